"""Hooks that a plugin may implement.

A hook takes no argument, returns specs and builds nothing: heavy imports belong into the factories of the specs. A
plugin is a module (or object) with functions of these names, marked with :data:`hookimpl`, and an entry point in the
group ``causaliqa.plugins``::

    import causaliqa

    @causaliqa.hookimpl
    def causaliqa_metrics():
        return [causaliqa.MetricSpec(name="mine", factory=build, summary="...", licence="MIT", lower_better=True)]
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from causaliqa.api.specs import (
    BackboneSpec,
    DatasetSpec,
    DegradationSpec,
    MetricSpec,
    RestorerSpec,
    SamplerSpec,
    Spec,
)

__all__ = ["ENTRY_POINT_GROUP", "HOOKS", "KINDS", "PROJECT", "hookimpl", "hookspec"]

PROJECT = "causaliqa"
ENTRY_POINT_GROUP = "causaliqa.plugins"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def causaliqa_metrics() -> Iterable[MetricSpec]:
    """Return the quality metrics that this plugin adds.

    Each appears in ``causaliqa list metrics``, ``score`` and ``leaderboard``, and under the same name in
    ``pyiqa.create_metric``. Names must not contain ``fid``, which pyiqa reserves for the FID metric.
    """
    return ()


@hookspec
def causaliqa_backbones() -> Iterable[BackboneSpec]:
    """Return the feature networks that this plugin adds; each gives a metric ``causal_<name>``."""
    return ()


@hookspec
def causaliqa_restorers() -> Iterable[RestorerSpec]:
    """Return the restoration networks that this plugin adds."""
    return ()


@hookspec
def causaliqa_samplers() -> Iterable[SamplerSpec]:
    """Return the intervention samplers that this plugin adds."""
    return ()


@hookspec
def causaliqa_degradations() -> Iterable[DegradationSpec]:
    """Return the degradations that this plugin adds."""
    return ()


@hookspec
def causaliqa_datasets() -> Iterable[DatasetSpec]:
    """Return the data sets that this plugin can read."""
    return ()


HOOKS: dict[str, type[Spec]] = {
    "causaliqa_metrics": MetricSpec,
    "causaliqa_backbones": BackboneSpec,
    "causaliqa_restorers": RestorerSpec,
    "causaliqa_samplers": SamplerSpec,
    "causaliqa_degradations": DegradationSpec,
    "causaliqa_datasets": DatasetSpec,
}
"""Type of spec that every hook returns."""

KINDS: dict[str, type[Spec]] = {spec.kind: spec for spec in HOOKS.values()}
"""Type of spec by its plural name on the command line."""
