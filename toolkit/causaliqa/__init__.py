"""Causal image quality assessment and causal effect maps for PyTorch, integrated with pyiqa.

Importing this package loads neither torch nor pyiqa; the first use of a name does.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if sys.version_info < (3, 10):  # noqa: UP036 - pip refuses, but a folder on the path asks nobody
    _OLD = "causaliqa needs Python 3.10 or newer, got " + sys.version.split()[0] + "; run it with a newer one"
    if sys.argv[:1] == ["-m"]:  # one line is enough for `python -m causaliqa`
        sys.stderr.write("causaliqa: error: " + _OLD + "\n")
        raise SystemExit(2)
    raise ImportError(_OLD)

__version__ = "0.1.0"

_WHERE = {
    "BackboneSpec": "specs",
    "CausalEffectMap": "effects.cem",
    "CausaliqaError": "errors",
    "DatasetSpec": "specs",
    "DegradationSpec": "specs",
    "EffectMap": "effects.effect_map",
    "InputError": "errors",
    "MetricSpec": "specs",
    "ROI": "specs",
    "RestorerSpec": "specs",
    "SamplerSpec": "specs",
    "WeightsEntry": "specs",
    "create_backbone": "catalog",
    "create_degradation": "catalog",
    "create_metric": "catalog",
    "create_restorer": "catalog",
    "create_sampler": "catalog",
    "evaluate": "scoring",
    "hookimpl": "hookspecs",
    "lazy": "specs",
    "list_backbones": "catalog",
    "list_datasets": "catalog",
    "list_degradations": "catalog",
    "list_metrics": "catalog",
    "list_restorers": "catalog",
    "list_samplers": "catalog",
    "rank": "leaderboard",
    "read_manifest": "datasets.manifest",
    "register_with_pyiqa": "pyiqa_bridge",
}

__all__ = [
    "ROI",
    "BackboneSpec",
    "CausalEffectMap",
    "CausaliqaError",
    "DatasetSpec",
    "DegradationSpec",
    "EffectMap",
    "InputError",
    "MetricSpec",
    "RestorerSpec",
    "SamplerSpec",
    "WeightsEntry",
    "__version__",
    "create_backbone",
    "create_degradation",
    "create_metric",
    "create_restorer",
    "create_sampler",
    "evaluate",
    "hookimpl",
    "lazy",
    "list_backbones",
    "list_datasets",
    "list_degradations",
    "list_metrics",
    "list_restorers",
    "list_samplers",
    "rank",
    "read_manifest",
    "register_with_pyiqa",
]

if TYPE_CHECKING:
    from causaliqa.catalog import (
        create_backbone,
        create_degradation,
        create_metric,
        create_restorer,
        create_sampler,
        list_backbones,
        list_datasets,
        list_degradations,
        list_metrics,
        list_restorers,
        list_samplers,
    )
    from causaliqa.datasets.manifest import read_manifest
    from causaliqa.effects.cem import CausalEffectMap
    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.errors import CausaliqaError, InputError
    from causaliqa.hookspecs import hookimpl
    from causaliqa.leaderboard import rank
    from causaliqa.pyiqa_bridge import register_with_pyiqa
    from causaliqa.scoring import evaluate
    from causaliqa.specs import (
        ROI,
        BackboneSpec,
        DatasetSpec,
        DegradationSpec,
        MetricSpec,
        RestorerSpec,
        SamplerSpec,
        WeightsEntry,
        lazy,
    )


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'causaliqa' has no attribute {name!r}")
    value = getattr(import_module(f"causaliqa.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
