"""The public functions: build or list anything by name, from the catalogue that flags or environment ask for."""

from __future__ import annotations

import os
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import PairDataset
from causaliqa.api.errors import InputError
from causaliqa.api.specs import BackboneSpec, DatasetSpec, DegradationSpec, MetricSpec, RestorerSpec, SamplerSpec
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.host import PluginHost
from causaliqa.catalog.registry import load_registry
from causaliqa.io.manifest import read_manifest
from causaliqa.utils.environment import Environment
from causaliqa.utils.files import nearby

if TYPE_CHECKING:
    from torch import nn

    from causaliqa.api.protocols import Degradation, Restorer, Sampler
    from causaliqa.catalog.built_metric import BuiltMetric

__all__ = [
    "create_backbone",
    "create_degradation",
    "create_metric",
    "create_restorer",
    "create_sampler",
    "default_catalog",
    "list_backbones",
    "list_datasets",
    "list_degradations",
    "list_metrics",
    "list_presets",
    "list_restorers",
    "list_samplers",
    "read_dataset",
    "use_catalog",
]

_CHOSEN: ContextVar[Catalog | None] = ContextVar("causaliqa_catalog", default=None)


def use_catalog(catalog: Catalog) -> Catalog:
    """Let a catalogue answer every question of this context, also those that pyiqa asks; returns it."""
    _CHOSEN.set(catalog)
    return catalog


def default_catalog() -> Catalog:
    """Return the catalogue that was chosen with :func:`use_catalog`, else the one that the environment asks for."""
    return _CHOSEN.get() or _from_environment()


@lru_cache(maxsize=1)
def _from_environment() -> Catalog:
    asked = Environment.current()
    return Catalog(PluginHost(disabled=asked.disabled_plugins, strict=asked.strict_plugins), load_registry())


def create_metric(name: str, *, device: str | None = None, **options: Any) -> BuiltMetric:
    """Build a quality metric by name.

    Args:
        name: any name that ``causaliqa list metrics`` shows.
        device: torch device; by default CUDA where there is one, else the CPU.
        options: options of the metric, for example ``terms``, ``channels``, ``seed``; ``weights`` is a local file.

    Returns:
        A module ``(img, ref) -> (N,)`` with ``lower_better`` and ``metric_mode``. It takes tensors ``(N, 3, H, W)``,
        RGB in [0, 1], and also paths of images and arrays ``(H, W, 3)``.

    Raises:
        InputError: unknown name or option.
        WeightsError: its weights cannot be had.
        PluginError: a plugin failed to build it.

    Example:
        >>> import torch
        >>> metric = create_metric("causal_effnet_lite0", device="cpu")
        >>> x = torch.rand(1, 3, 64, 64)
        >>> float(metric(x, x)), metric.lower_better
        (0.0, True)
    """
    return default_catalog().create_metric(name, device=device, **options)


def create_backbone(
    name: str, *, pretrained: bool = True, weights: str | os.PathLike[str] | None = None, **options: Any
) -> nn.Module:
    """Build a feature network: timm's ``features_only`` contract.

    Args:
        name: any name that ``causaliqa list backbones`` shows.
        pretrained: load its trained weights; False leaves it random.
        weights: a local file instead of the usual one.
        options: options of the factory.

    Example:
        >>> create_backbone("effnet_lite0").feature_info.channels()
        [16, 24, 40, 112, 320]
    """
    return default_catalog().create_backbone(name, pretrained=pretrained, weights=weights, **options)


def create_restorer(
    name: str,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    device: str | None = None,
    **options: Any,
) -> Restorer:
    """Build a restoration network: ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``.

    Args:
        name: any name that ``causaliqa list restorers`` shows, ``basicsr:ARCH``, ``path/to/file.py:factory`` or
            ``module:factory``.
        checkpoint: a ``.pth`` or ``.safetensors`` file; where there is a usual one, it is taken by default.
        device: torch device; by default CUDA where there is one, else the CPU.
        options: arguments of the architecture or factory.

    Raises:
        InputError: unknown name or option, or a checkpoint that does not fit.
        WeightsError: its usual weights cannot be had.

    Example:
        >>> import torch
        >>> create_restorer("torch.nn:PixelShuffle", upscale_factor=1)(torch.rand(1, 3, 4, 4)).shape
        torch.Size([1, 3, 4, 4])
    """
    return default_catalog().create_restorer(name, checkpoint=checkpoint, device=device, **options)


def create_sampler(name: str, **options: Any) -> Sampler:
    """Build an intervention sampler: any name that ``causaliqa list samplers`` shows, and its options."""
    return default_catalog().create_sampler(name, **options)


def create_degradation(name: str, **options: Any) -> Degradation:
    """Build a degradation: any name that ``causaliqa list degradations`` shows, and its options.

    Example:
        >>> create_degradation("sr", scale=2).scale
        2
    """
    return default_catalog().create_degradation(name, **options)


def list_metrics(pattern: str = "*") -> list[str]:
    """Return the names of all metrics that match a glob pattern, as in ``list_metrics("causal_*")``."""
    return default_catalog().names(MetricSpec, pattern)


def list_backbones(pattern: str = "*") -> list[str]:
    """Return the names of all feature networks that match a glob pattern."""
    return default_catalog().names(BackboneSpec, pattern)


def list_restorers(pattern: str = "*") -> list[str]:
    """Return the names of all restoration networks that match a glob pattern."""
    return default_catalog().names(RestorerSpec, pattern)


def list_samplers(pattern: str = "*") -> list[str]:
    """Return the names of all intervention samplers that match a glob pattern."""
    return default_catalog().names(SamplerSpec, pattern)


def list_degradations(pattern: str = "*") -> list[str]:
    """Return the names of all degradations that match a glob pattern."""
    return default_catalog().names(DegradationSpec, pattern)


def list_datasets(pattern: str = "*") -> list[str]:
    """Return the names of all data sets that match a glob pattern."""
    return default_catalog().names(DatasetSpec, pattern)


def list_presets() -> dict[str, tuple[str, ...]]:
    """Return the lists of metrics in registry.yaml, by name."""
    return {name: preset.metrics for name, preset in default_catalog().registry.presets.items()}


def read_dataset(
    name: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    labels_only: bool = False,
    allow_outside: bool = False,
    catalog: Catalog | None = None,
) -> PairDataset:
    """Read labelled image pairs: an archive of the field by name, or a manifest.

    Args:
        name: any name that ``causaliqa list datasets`` shows, with its folder as ``root``; or, without ``root``, the
            path of a manifest (see :func:`causaliqa.read_manifest`).
        root: folder of the archive, as its authors distribute it.
        labels_only: the images need not exist, for scores from elsewhere.
        allow_outside: paths in a manifest may lead out of its folder.
        catalog: where the name is looked up; by default what the environment asks for.

    Raises:
        InputError: the name is unknown, or there is no such file.
        ManifestError: the manifest or the archive cannot be used; names file and line.

    Example:
        >>> import tempfile
        >>> from causaliqa.builtin.datasets.graded import write_graded_set
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     read_dataset(write_graded_set(Path(folder), images=1, side=32))
        PairDataset('severity', 25 pairs, 1 reference, label severity (lower is better))
    """
    if root is None:
        path = Path(name)
        if not path.is_file():
            what = "it is a folder" if path.is_dir() else "there is no such file"
            raise InputError(f"data {path} cannot be read: {what}, expected a csv file, or NAME=ROOT{nearby(path)}")
        return read_manifest(path, labels_only=labels_only, allow_outside=allow_outside)
    catalog = catalog or default_catalog()
    spec = catalog.get(DatasetSpec, str(name)).spec
    bare = {"labels_only": True} if labels_only and spec.labels_only else {}
    dataset: PairDataset = catalog.create(DatasetSpec, str(name), root=Path(root), **bare)
    return dataset
