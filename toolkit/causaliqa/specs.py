"""The records that plugins return: frozen facts about a thing, and a factory that builds it.

A record is cheap: creating one imports neither torch nor pyiqa. Only its factory does.
Records grow only by keyword fields with defaults, so that old plugins keep loading.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from causaliqa.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

__all__ = [
    "ROI",
    "BackboneSpec",
    "DatasetSpec",
    "Degradation",
    "DegradationSpec",
    "FeatureBackbone",
    "FeatureInfo",
    "Lazy",
    "Metric",
    "MetricSpec",
    "Pair",
    "PairDataset",
    "PlacedSampler",
    "Restorer",
    "RestorerSpec",
    "Sampler",
    "SamplerSpec",
    "ScoreKey",
    "ScoreRow",
    "Spec",
    "canonical_options",
    "lazy",
]


class FeatureInfo(Protocol):
    """What timm's ``features_only`` models say of their maps."""

    def channels(self) -> list[int]:
        """Number of channels of every map."""

    def reduction(self) -> list[int]:
        """Stride of every map against the input."""


@dataclass(frozen=True)
class Lazy:
    """A factory that imports its module when it is called; made by :func:`lazy`."""

    path: str
    """``package.module:function``."""
    fixed: tuple[tuple[str, Any], ...] = ()
    """Arguments that are always passed."""

    def resolve(self) -> Callable[..., Any]:
        """Import and return the function."""
        module, _, function = self.path.partition(":")
        found: Callable[..., Any] = getattr(import_module(module), function)
        return partial(found, **dict(self.fixed)) if self.fixed else found

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.resolve()(*args, **options)


def lazy(path: str, **fixed: Any) -> Lazy:
    """Return a factory for a record without importing what it builds.

    Example:
        >>> lazy("collections:Counter", a=2)()
        Counter({'a': 2})
    """
    return Lazy(path, tuple(fixed.items()))


@runtime_checkable
class FeatureBackbone(Protocol):
    """timm's ``features_only`` contract: an image goes in, a list of feature maps comes out."""

    feature_info: FeatureInfo

    def __call__(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Map ``(N, 3, H, W)`` to maps ``(N, C_k, H_k, W_k)``."""


class Metric(Protocol):
    """A quality metric: ``(img, ref) -> (N,)``, both ``(N, 3, H, W)``, RGB in [0, 1]."""

    lower_better: bool
    metric_mode: str

    def __call__(self, img: torch.Tensor, ref: torch.Tensor) -> torch.Tensor:
        """Score every image of the batch on its own."""


@dataclass(frozen=True)
class ROI:
    """A rectangle in output pixels: the region of interest.

    Example:
        >>> ROI.parse("96,152,32,32")
        ROI(x=96, y=152, width=32, height=32)
    """

    x: int
    """First column."""
    y: int
    """First row."""
    width: int
    """Columns."""
    height: int
    """Rows."""

    @classmethod
    def parse(cls, text: str) -> ROI:
        """Read ``X,Y,W,H``.

        Raises:
            InputError: it is not four whole numbers.
        """
        try:
            x, y, width, height = (int(part) for part in text.split(","))
        except ValueError as error:
            raise InputError(f"roi: got {text!r}, expected four whole numbers X,Y,W,H") from error
        return cls(x, y, width, height)

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width},{self.height}"


class Restorer(Protocol):
    """A restoration network: ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``; N > 1 works."""

    def __call__(self, img: torch.Tensor) -> torch.Tensor:
        """Restore every image of the batch on its own."""


class Sampler(Protocol):
    """A source of clean patches for interventions.

    One that has an attribute ``screening``, a sampler too, is asked for that one's patches in the coarse stage.
    """

    def __call__(self, n: int, size: int, generator: torch.Generator) -> torch.Tensor:
        """Draw ``(n, 3, size, size)`` patches, RGB in [0, 1]; the generator decides which."""


@runtime_checkable
class PlacedSampler(Protocol):
    """A sampler whose patches depend on the image, or on the patch that they replace."""

    def in_place(
        self, img: torch.Tensor, y: int, x: int, height: int, width: int, *, generator: torch.Generator
    ) -> torch.Tensor:
        """Draw one ``(3, height, width)`` patch for the place ``(y, x)`` of the clean image ``(3, H, W)``."""


class Degradation(Protocol):
    """What spoils a clean image, and a patch in its place in the same way; both 8-bit where files would be.

    An image and a patch that goes into it must come from the same degraded distribution, or the effect of the patch
    is that of the seam (CEM, Definition IV.1).
    """

    scale: int
    """Side of the clean image divided by the side of the degraded one."""

    def degrade(self, img: torch.Tensor, seed: int) -> torch.Tensor:
        """Degrade a clean image ``(3, H, W)``; returns ``(3, H // scale, W // scale)``."""

    def patch_in_place(
        self, img: torch.Tensor, y: int, x: int, patch: torch.Tensor, *, seed: int, generator: torch.Generator
    ) -> torch.Tensor:
        """Degrade clean patches as they would be at ``(y, x)`` of the clean image.

        Args:
            img: clean image ``(3, H, W)``.
            y: first row of the place, in clean pixels, a multiple of ``scale``.
            x: first column of the place.
            patch: clean patches ``(n, 3, h, w)``, sides multiples of ``scale``.
            seed: seed of the whole image, as passed to :meth:`degrade`: what the image and the patch share.
            generator: decides what is fresh for every patch.

        Returns:
            Degraded patches ``(n, 3, h // scale, w // scale)``.
        """


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every record says."""

    kind: ClassVar[str] = ""
    """Plural word that the command line uses for this kind of record."""

    name: str
    """Unique name: letters, digits, ``_ . + -``."""
    factory: Callable[..., Any]
    """Builds the thing; the only place for heavy imports. Its keyword arguments are the options."""
    summary: str
    """One line for listings."""
    licence: str
    """Licence of code and weights, as an SPDX expression where one exists."""
    reference: str = ""
    """Paper or project, with DOI or address where there is one."""


@dataclass(frozen=True, kw_only=True)
class MetricSpec(Spec):
    """A quality metric. ``factory(**options)`` returns a module ``(img, ref) -> (N,)``."""

    kind: ClassVar[str] = "metrics"

    lower_better: bool
    """True if a lower score means better quality."""
    metric_mode: Literal["FR", "NR"] = "FR"
    """Full reference or no reference, as in pyiqa."""
    version: str = "1"
    """Raised whenever a score changes; part of the key of stored scores."""
    seeded: bool = False
    """True if the factory takes ``seed`` (scores depend on it, but never on batch or order)."""
    identity: float | None = None
    """Score of an image against itself, to rounding; None if nothing is promised."""
    differentiable: bool = False
    """True if finite gradients reach ``img``, also where it equals ``ref``."""
    backbone: str | None = None
    """Backbone to build and pass as ``backbone`` and ``features``; ``"*"`` makes a metric
    ``<name>_<backbone>`` of every registered backbone, and ``<name>`` itself takes ``backbone=``."""


@dataclass(frozen=True, kw_only=True)
class BackboneSpec(Spec):
    """A feature network. ``factory(weights=path_or_None)`` returns a :class:`FeatureBackbone`."""

    kind: ClassVar[str] = "backbones"

    weights: str | None = None
    """Key under ``weights:`` in registry.yaml; None if the factory needs no file."""
    window: int = 4
    """Side of the windows of the causal metric, in feature pixels."""
    mass: Literal["share", "softmax"] = "softmax"
    """How features become mass: ``share`` needs features that are never negative."""
    normalise: str = "none"
    """Input normalisation by default: ``none``, ``imagenet`` or ``half`` (see ``functional.image``)."""
    min_size: int = 32
    """Smallest side of an image, in pixels, that the network takes."""


@dataclass(frozen=True, kw_only=True)
class RestorerSpec(Spec):
    """A restoration network. ``factory(checkpoint=path_or_None, **options)`` returns a :class:`Restorer`."""

    kind: ClassVar[str] = "restorers"

    scale: int = 1
    """Output side divided by input side."""
    tasks: tuple[str, ...] = ()
    """Tasks that it was trained for: ``sr``, ``denoise``, ``derain`` or a plugin's."""
    weights: str | None = None
    """Key under ``weights:`` in registry.yaml of the file passed as ``checkpoint`` unless the user names one."""
    part: str = ""
    """If not empty, the record stands for many networks: in ``NAME:PART`` the part says which, and is passed to the
    factory as the argument of this name."""


@dataclass(frozen=True, kw_only=True)
class SamplerSpec(Spec):
    """An intervention sampler. ``factory(**options)`` returns a :class:`Sampler`."""

    kind: ClassVar[str] = "samplers"


@dataclass(frozen=True, kw_only=True)
class DegradationSpec(Spec):
    """A degradation. ``factory(**options)`` returns a :class:`Degradation`."""

    kind: ClassVar[str] = "degradations"

    scale: int = 1
    """Side of the clean image divided by the side of the degraded one."""


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """A data set. ``factory(root)`` returns a :class:`PairDataset` from the folder as its authors distribute it."""

    kind: ClassVar[str] = "datasets"

    verify: Callable[..., list[str]] | None = None
    """``verify(root)`` lists what is missing, extra or changed, one line each; None if nobody can tell."""
    references: int = 0
    """Reference images of the whole archive; 0 if unknown."""
    images: int = 0
    """Distorted images with a label; 0 if unknown."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One distorted image beside its reference."""

    ref: Path
    """Reference image."""
    dist: Path
    """Distorted image."""
    label: float
    """Opinion score, on the scale of the data set."""
    type: str = ""
    """Distortion type."""
    level: str = ""
    """Distortion level."""
    split: str = ""
    """Train, validation or test."""
    label_std: float | None = None
    """Deviation of the label as the data set publishes it: between subjects, or of the mean."""


@dataclass(frozen=True, kw_only=True)
class PairDataset:
    """Labelled pairs that share one scale."""

    name: str
    """Short name for tables."""
    pairs: tuple[Pair, ...]
    """All pairs, in the order of the manifest."""
    label: str
    """What the label is called: ``mos``, ``dmos`` or the data set's own word."""
    label_lower_better: bool
    """True if a low label means good quality, as with DMOS."""
    label_range: tuple[float, float] | None = None
    """Ends of the label's scale, for its normalisation before a fit; None if unknown."""


@dataclass(frozen=True, kw_only=True)
class ScoreKey:
    """Everything that a score depends on: where any of it differs, a stored score does not count."""

    metric: str
    """Name of the metric, without options."""
    version: str
    """Version of the metric's record."""
    options: str = "{}"
    """Options as canonical JSON, see :func:`canonical_options`."""
    weights: str = ""
    """SHA-256 of the weights file; empty if there is none."""
    dataset: str
    """Name of the data set."""
    img_hash: str
    """SHA-256 of the distorted image's file."""
    ref_hash: str
    """SHA-256 of the reference's file, also where the metric does not look at it."""
    seed: int = 0
    """Seed of the metric."""
    protocol: str
    """Version of how the toolkit reads and feeds images."""


def canonical_options(options: Mapping[str, Any]) -> str:
    """Return options as JSON that is the same for equal options, whatever their order.

    >>> canonical_options({"window": 8, "terms": "md"})
    '{"terms":"md","window":8}'
    """
    return json.dumps(dict(options), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """What one metric says of one pair; a failure is a row too."""

    dataset: str
    """Name of the data set."""
    metric: str
    """Name of the metric, with its options where it has any."""
    ref: str
    """Reference image."""
    dist: str
    """Distorted image."""
    label: float
    """Opinion score, on the scale of the data set."""
    type: str = ""
    """Distortion type."""
    level: str = ""
    """Distortion level."""
    split: str = ""
    """Train, validation or test."""
    score: float | None = None
    """Score of the metric; None where it failed."""
    error: str = ""
    """Why it failed."""
    seconds: float = 0.0
    """Time that the metric took."""
