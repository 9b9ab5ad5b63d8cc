"""Quality metrics, registered through the hooks like any plugin's."""

from __future__ import annotations

from collections.abc import Iterable

from causaliqa.hookspecs import hookimpl
from causaliqa.specs import MetricSpec, lazy

__all__ = ["causaliqa_metrics"]


@hookimpl
def causaliqa_metrics() -> Iterable[MetricSpec]:
    """The causal metric on every backbone, and the baseline of its paper that pyiqa lacks."""
    yield MetricSpec(
        name="causal",
        factory=lazy("causaliqa.metrics.causal:CausalMetric"),
        summary="causal transport cost between deep features",
        licence="Apache-2.0",
        reference="Full-reference IQA by abductive counterfactual inference",
        lower_better=True,
        seeded=True,
        identity=0.0,
        differentiable=True,
        backbone="*",
    )
    yield MetricSpec(
        name="deepwsd",
        factory=lazy("causaliqa.metrics.deepwsd:DeepWSD"),
        summary="Wasserstein distance between VGG16 features",
        licence="Apache-2.0",
        reference="Liao et al., DeepWSD, ACM MM 2022, arXiv:2208.03323",
        lower_better=True,
        identity=0.0,
        differentiable=True,
        backbone="vgg",
    )
