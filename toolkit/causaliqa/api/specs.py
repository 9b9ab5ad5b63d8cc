"""Specs that plugins return: frozen facts, and a factory that builds the object.

Creating a spec imports neither torch nor pyiqa; only its factory does. New fields are keyword-only with defaults, so
that older plugins keep loading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from causaliqa.api.data import Finding, NeededFile

__all__ = [
    "BackboneSpec",
    "DatasetSpec",
    "DegradationSpec",
    "Lazy",
    "MetricSpec",
    "RestorerSpec",
    "SamplerSpec",
    "Spec",
    "WeightsEntry",
    "lazy",
]


@dataclass(frozen=True)
class Lazy:
    """A factory that imports its module on the first call; created by :func:`lazy`."""

    path: str
    """``package.module:function``."""
    fixed: tuple[tuple[str, Any], ...] = ()
    """Keyword arguments that are always passed."""

    def resolve(self) -> Callable[..., Any]:
        """Import and return the function."""
        module, _, function = self.path.partition(":")
        found: Callable[..., Any] = getattr(import_module(module), function)
        return partial(found, **dict(self.fixed)) if self.fixed else found

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.resolve()(*args, **options)


def lazy(path: str, **fixed: Any) -> Lazy:
    """Return a factory for a spec without importing its module.

    Example:
        >>> lazy("collections:Counter", a=2)()
        Counter({'a': 2})
    """
    return Lazy(path, tuple(fixed.items()))


@dataclass(frozen=True, kw_only=True)
class WeightsEntry:
    """One weights file, as described in registry.yaml or a spec."""

    file: str
    """File name; in registry.yaml also the key of the entry."""
    licence: str
    """Licence of the weights."""
    url: str = ""
    """Download URL."""
    sha256: str = ""
    """Complete checksum, or a prefix as in torchvision's file names; lower-case hexadecimal."""
    package: str = ""
    """Installed package that ships the file, as ``package:path/inside/it``."""
    source: str = ""
    """Origin, for humans."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Fields of every spec."""

    noun: ClassVar[str] = ""
    """Word for one such object in messages."""
    kind: ClassVar[str] = ""
    """Plural of :attr:`noun`, the word that the command line uses."""

    name: str
    """Unique name: letters, digits, ``_ . + -``."""
    factory: Callable[..., Any]
    """Builds the object; the only place for heavy imports. Its keyword arguments are the options."""
    summary: str
    """One line for listings."""
    licence: str
    """Licence of code and weights, as an SPDX expression where one exists."""
    reference: str = ""
    """Paper or project, with DOI or URL if available."""


@dataclass(frozen=True, kw_only=True)
class MetricSpec(Spec):
    """A quality metric. ``factory(**options)`` returns a module ``(img, ref) -> (N,)``."""

    noun: ClassVar[str] = "metric"
    kind: ClassVar[str] = "metrics"

    lower_better: bool
    """True if a lower score means better quality."""
    metric_mode: Literal["FR", "NR"] = "FR"
    """Full reference or no reference, as in pyiqa."""
    version: str = "1"
    """Increased whenever a score changes; part of the key of stored scores."""
    seeded: bool = False
    """True if the factory takes ``seed``; scores depend on it, but never on batch or order."""
    identity: float | None = None
    """Score of an image against itself, up to rounding; None if unspecified."""
    differentiable: bool = False
    """True if finite gradients reach ``img``, even if it equals ``ref``."""
    bytes_per_pixel: float = 0.0
    """Peak memory of a pair per pixel of one image, measured on a CPU; 0 if not measured or independent of the size."""
    needed_files: Callable[[], Iterable[NeededFile]] | None = None
    """Lists the files that the metric loads on its own, without loading them; None if there are none besides the
    backbone's, or if unknown."""
    trained_on: tuple[str, ...] | None = None
    """Data sets of human opinions that it was fitted to, by the names of ``causaliqa list datasets`` where they have
    one; empty if there are none, None if unknown."""
    year: int | None = None
    """Year in which it was published."""
    noticeable: float | None = None
    """Difference of scores from which on people see it, in the unit of the metric; None if no source says so."""
    noticeable_source: str = ""
    """Where :attr:`noticeable` comes from."""
    masked: bool = False
    """True if it takes ``mask=``, booleans ``(H, W)`` or None, and counts only what lies inside; what ``img`` shows
    outside must not matter. Others score both images, made equal outside and cut to the bounding box of the mask."""
    takes_hdr: bool = False
    """True if it may be given values above 1, brighter than the white of SDR, as ``--hdr`` makes them."""
    rounds_to_8_bits: bool = False
    """True if it rounds images to 8 bits: what a 16-bit image tells beyond does not change the score of gray."""
    backbone: str | None = None
    """Backbone to build and pass as ``backbone``, its spec as ``backbone_spec``; ``"*"`` creates a metric
    ``<name>_<backbone>`` for every registered backbone, and ``<name>`` itself takes ``backbone=``."""
    shares_backbone: bool = False
    """True if it leaves its backbone as it is, so that all metrics of a run on a backbone may use the same network."""


@dataclass(frozen=True, kw_only=True)
class BackboneSpec(Spec):
    """A feature network. ``factory(weights=path_or_None)`` returns a :class:`FeatureBackbone`."""

    noun: ClassVar[str] = "backbone"
    kind: ClassVar[str] = "backbones"

    weights: str | WeightsEntry | None = None
    """The file that is loaded: a key under ``weights:`` in registry.yaml, or a plugin's own entry; None for no file."""
    window: int = 4
    """Side of the windows of the causal metric, in feature pixels."""
    mass: Literal["share", "softmax"] = "softmax"
    """Conversion of features to mass: ``share`` needs features that are never negative."""
    normalise: str = "none"
    """Input normalisation by default: ``none``, ``imagenet`` or ``half`` (see ``functional.image``)."""
    min_size: int = 32
    """Smallest side of an image in pixels."""
    many: Callable[[str], BackboneSpec] | None = None
    """If given, the spec covers many networks: ``NAME.PART`` is the spec that ``many(PART)`` returns, which may import
    heavy packages."""


@dataclass(frozen=True, kw_only=True)
class RestorerSpec(Spec):
    """A restoration network. ``factory(checkpoint=path_or_None, **options)`` returns a :class:`Restorer`."""

    noun: ClassVar[str] = "restorer"
    kind: ClassVar[str] = "restorers"

    scale: int = 1
    """Output side divided by input side."""
    tasks: tuple[str, ...] = ()
    """Tasks that it was trained for: ``sr``, ``denoise``, ``derain`` or one of a plugin."""
    takes_task: bool = False
    """True if the factory takes ``task``, because the network restores one task otherwise than another; without a task
    it has the scale above."""
    weights: str | WeightsEntry | None = None
    """The file passed as ``checkpoint`` unless the user names one: a key under ``weights:`` in registry.yaml, or a
    plugin's own entry."""
    part: str = ""
    """If not empty, the spec covers many networks: in ``NAME:PART`` the part selects one and is passed to the factory
    as the argument of this name."""
    suffixes: tuple[str, ...] = ()
    """Suffixes of checkpoint files that this spec identifies by itself: ``net.pth`` alone then stands for
    ``NAME:net.pth``."""


@dataclass(frozen=True, kw_only=True)
class SamplerSpec(Spec):
    """An intervention sampler. ``factory(**options)`` returns a :class:`Sampler`."""

    noun: ClassVar[str] = "sampler"
    kind: ClassVar[str] = "samplers"


@dataclass(frozen=True, kw_only=True)
class DegradationSpec(Spec):
    """A degradation. ``factory(**options)`` returns a :class:`Degradation`."""

    noun: ClassVar[str] = "degradation"
    kind: ClassVar[str] = "degradations"

    scale: int = 1
    """Side of the clean image divided by the side of the degraded one."""


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """A data set. ``factory(root)`` returns a :class:`PairDataset` from the folder as its authors distribute it."""

    noun: ClassVar[str] = "data set"
    kind: ClassVar[str] = "datasets"

    verify: Callable[..., list[Finding]] | None = None
    """``verify(root, deep=False)`` lists what is missing, extra or changed; ``deep`` decodes every image. None if
    not supported."""
    labels_only: bool = False
    """True if ``factory(root, labels_only=True)`` works on a folder without images, for scores computed elsewhere."""
    references: int = 0
    """Reference images of the complete archive; 0 if unknown."""
    images: int = 0
    """Distorted images with a label; 0 if unknown."""
    label: str = ""
    """What the label is called: ``mos``, ``dmos`` or the data set's own term."""
    label_lower_better: bool = False
    """True if a low label means good quality."""
    source: str = ""
    """Where to get it."""
