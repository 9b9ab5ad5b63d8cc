"""Our metrics under pyiqa's interface: ``pyiqa.create_metric("causal_vgg")``."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import torch

from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.built_metric import BuiltMetric
from causaliqa.catalog.create import default_catalog

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["ARCH", "ScoreOrLoss", "build", "extend", "register_arch", "register_with_pyiqa"]

ARCH = "CausaliqaMetric"
"""Name of our one entry in pyiqa's registry of architectures."""


def extend(configs: MutableMapping[str, Any]) -> tuple[str, ...]:
    """Add every metric that pyiqa does not have to its table of defaults; return the names that are ours."""
    ours = []
    catalog = default_catalog()
    for name, record in catalog.registrations(MetricSpec).items():
        spec = record.spec
        if record.provider == "pyiqa" or not isinstance(spec, MetricSpec) or catalog.stands_for_many(spec):
            continue
        if name in configs and configs[name]["metric_opts"].get("type") != ARCH:
            continue
        configs[name] = {
            "metric_opts": {"type": ARCH, "metric": name},
            "metric_mode": spec.metric_mode,
            "lower_better": spec.lower_better,
        }
        ours.append(name)
    return tuple(sorted(ours))


class ScoreOrLoss(BuiltMetric):
    """A metric for pyiqa that has a ``loss`` of its own: its score, or with ``as_loss=True`` that loss, not reduced.

    pyiqa does not tell a network of ``as_loss``, but enables gradients in it then and only then; it takes the mean.
    """

    def forward(self, img: Tensor, ref: Tensor | None = None, **options: Any) -> Tensor:  # type: ignore[override]
        """Return one value per image: scores where gradients are disabled, otherwise losses."""
        if torch.is_grad_enabled():
            loss: Tensor = self.module.loss(img, ref, **options)
            return loss
        return super().forward(img, ref, **options)


def build(metric: str, *, noise_seed: int | None = None, **options: Any) -> nn.Module:
    """Build one of our metrics for pyiqa, which keeps the word ``seed`` to itself: say ``noise_seed``."""
    if noise_seed is not None:
        options["seed"] = noise_seed
    built: Any = default_catalog().create_metric(metric, device="cpu", **options)
    if not hasattr(built, "loss"):
        return built  # type: ignore[no-any-return]
    return ScoreOrLoss(built.module, name=built.name, spec=built.spec, key=built.key)


def register_arch() -> None:
    """Register :func:`build` with pyiqa, once."""
    from pyiqa.utils.registry import ARCH_REGISTRY

    ARCH_REGISTRY.register(build, name=ARCH, override=True)


def register_with_pyiqa() -> tuple[str, ...]:
    """Make our metrics known to pyiqa by hand, where the automatic way is switched off.

    Returns:
        The names that ``pyiqa.create_metric`` now takes.
    """

    register_arch()
    return extend(sys.modules["pyiqa.default_model_configs"].DEFAULT_CONFIGS)
