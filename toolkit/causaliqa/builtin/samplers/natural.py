"""The natural image library: patches of photographs, drawn by their gradient magnitude."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from causaliqa.api.errors import InputError, OutputError
from causaliqa.functional.degrade import generator_for
from causaliqa.functional.patches import cut_patches, even_place, gradient_magnitude, spread_order
from causaliqa.io.images import image_suffixes, load_image
from causaliqa.io.photographs import NAMES, photographs
from causaliqa.io.weights import cache_folder, sha256
from causaliqa.utils.files import atomic, package_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COUNT", "DRAWS", "Library", "NaturalPatches", "build"]

COUNT = 24_000
"""Number of patches of a library that is cropped from images."""

DRAWS = ("density", "uniform")
"""``density``: every patch with the same probability; ``uniform``: uniform in gradient magnitude."""

_AXES = 6
"""Principal components that are the coordinates of a patch."""
_POPULATION = 2000
"""Patches that represent the library where something is averaged over it."""

_COLOUR = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle_left", "china", "flower", "grace_hopper")
"""Photographs of the default library: colour, and no two of one scene."""


class Library:
    """Patches of natural images at any size, cropped on demand.

    Args:
        source: a folder of images, an ``.npz`` with 8-bit patches ``(P, s, s, 3)``, or None for the photographs that
            come with pip packages.

    Raises:
        InputError: the source is missing, empty or of another form.

    Example:
        >>> library = Library()
        >>> library.patches(8).shape
        torch.Size([24000, 3, 8, 8])
    """

    def __init__(self, source: str | os.PathLike[str] | None = None) -> None:
        self.source = None if source is None else Path(source).expanduser()
        self._cut: dict[int, Tensor] = {}
        if self.source is not None and not self.source.is_dir() and self.source.suffix != ".npz":
            raise InputError(
                f"library: got {str(source)!r}, expected a folder of images or an .npz of 8-bit patches (P, s, s, 3)"
            )
        if self.source is not None and not self.source.exists():
            raise InputError(f"library: {str(source)!r} does not exist")

    def patches(self, size: int) -> Tensor:
        """Return every patch at one size, 8-bit ``(P, 3, size, size)``.

        Raises:
            InputError: no image is large enough, or an ``.npz`` holds smaller patches.
        """
        if size not in self._cut:
            if self.source is not None and self.source.suffix == ".npz":
                self._cut[size] = _from_archive(self.source, size)
            else:
                self._cut[size] = self._cached(size)
        return self._cut[size]

    def plot(self, size: int = 8) -> Figure:
        """Draw the density of the gradient magnitude of the patches, and patches of five ranges (CEM, Figure 17)."""
        from causaliqa.builtin.samplers.picture import draw_patches

        return draw_patches(self.patches(size))

    def _cached(self, size: int) -> Tensor:
        """Crop once, keep the patches in the cache folder; the key identifies the images."""
        files = [] if self.source is None else _images(self.source)
        # By content: a file can change and keep its size and time stamp.
        shipped = filter(None, (package_file(NAMES[name]) for name in _COLOUR))
        facts = [(f.name, sha256(f)) for f in files or shipped]
        key = hashlib.sha256(repr((str(self.source), facts, _COLOUR, size, COUNT)).encode()).hexdigest()[:16]
        name = "photographs" if self.source is None else self.source.name
        path = cache_folder().parent / "libraries" / f"{name}-{size}-{key}.npy"
        # A damaged file is made again.
        with contextlib.suppress(OSError, ValueError, EOFError):
            return torch.from_numpy(np.load(path, allow_pickle=False))
        made = _cut(size, (_read(f) for f in files) if files else _photographs(), len(files) or len(_COLOUR))
        # If it cannot be written, the next run makes it again.
        with contextlib.suppress(OutputError), atomic(path) as part:
            np.save(part, made.numpy())
        return made


def _images(folder: Path) -> list[Path]:
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in image_suffixes())
    if not files:
        raise InputError(
            f"library {str(folder)!r} is empty: found no image, expected {', '.join(sorted(image_suffixes()))}"
        )
    return files


def _read(path: Path) -> NDArray[np.uint8]:
    pixels = load_image(path)[0].permute(1, 2, 0)
    rounded: NDArray[np.uint8] = np.rint(pixels.numpy() * 255).astype(np.uint8)
    return rounded


def _photographs() -> Iterator[NDArray[np.uint8]]:
    return (pixels for _, pixels in photographs(_COLOUR))


def _cut(size: int, images: Iterable[NDArray[np.uint8]], total: int) -> Tensor:
    share = -(-COUNT // total)
    parts = []
    for index, array in enumerate(images):
        img = torch.from_numpy(array).permute(2, 0, 1)
        if min(img.shape[1:]) >= size:
            parts.append(cut_patches(img, size, share, generator_for(size, index)))
    if not parts:
        raise InputError(f"library: no image is as large as a patch of {size} x {size}; use smaller patches")
    return torch.cat(parts)[:COUNT]


def _from_archive(path: Path, size: int) -> Tensor:
    try:
        with np.load(path, allow_pickle=False) as archive:
            named = [archive[key] for key in sorted(archive.files, key=lambda k: (k != "patches", k))]
    except Exception as error:
        # Damaged archives raise whatever zipfile, zlib and NumPy's header parser do.
        raise InputError(f"library {str(path)!r} cannot be read: {error}") from error
    array = next((a for a in named if a.ndim == 4 and a.shape[-1] == 3 and a.dtype == np.uint8), None)
    if array is None or not len(array):
        raise InputError(f"library {str(path)!r} is empty: found no 8-bit patches of shape (P, s, s, 3)")
    if min(array.shape[1:3]) < size:
        raise InputError(
            f"library {str(path)!r} holds patches of {array.shape[1]} x {array.shape[2]}, expected at least "
            f"{size} x {size}; use a folder of images for larger patches"
        )
    return torch.from_numpy(np.ascontiguousarray(array[:, :size, :size].transpose(0, 3, 1, 2)))


class _Space:
    """Principal components of patches, and an order in which neighbours are similar."""

    def __init__(self, patches: Tensor, indices: NDArray[np.int64]) -> None:
        flat = patches.flatten(1).double()
        self._mean = flat.mean(0)
        spread = (flat - self._mean).T @ (flat - self._mean) / len(flat)
        # The signs of eigenvectors are arbitrary; fix them, so that results do not depend on the machine.
        axes = torch.linalg.eigh(spread).eigenvectors[:, -_AXES:].flip(1)
        self._axes = axes * torch.where(axes.sum(0) < 0, -1.0, 1.0)
        self._unit = max(float(((flat - self._mean) @ self._axes[:, 0]).std()), 1e-12)
        points = self.coordinates(patches)
        order = spread_order(points)
        self.order = indices[order]
        count = min(_POPULATION, len(order))
        self.population = points[order[[(2 * k + 1) * len(order) // (2 * count) for k in range(count)]]]

    def coordinates(self, patches: Tensor) -> NDArray[np.float64]:
        points: NDArray[np.float64] = ((patches.flatten(1).double() - self._mean) @ self._axes / self._unit).numpy()
        return points


@lru_cache(maxsize=8)
def _default() -> Library:
    return Library()


class NaturalPatches:
    """Draw patches of natural images.

    Args:
        library: the patches.
        draws: one of :data:`DRAWS`. ``density`` draws every patch with the same probability, so that the
            gradient magnitude G of the draws has its density D in the library (flat patches are common);
            ``uniform`` draws G uniformly between its extremes and takes the patch with the closest G.
        screening: the same for the coarse stage; None for ``draws``.

    Raises:
        InputError: an option is unknown.

    Source: CEM, sections IV-D, IV-E and VI-C.

    Example:
        >>> sampler = NaturalPatches(Library())
        >>> sampler(2, 8, torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3, 8, 8])
    """

    def __init__(self, library: Library, *, draws: str = "density", screening: str | None = "uniform") -> None:
        for name, value in (("draws", draws), ("screening", screening)):
            if value not in DRAWS and not (name == "screening" and value is None):
                raise InputError(f"sampler natural: got {name} {value!r}, expected {' or '.join(DRAWS)}")
        self.library, self.draws = library, draws
        self.screening = self
        if screening is not None and screening != draws:
            self.screening = NaturalPatches(library, draws=screening, screening=None)
        self._ranked: dict[int, tuple[Tensor, Tensor]] = {}
        self._spaces: dict[int, _Space] = {}

    def __call__(self, n: int, size: int, generator: Generator) -> Tensor:
        """Draw ``(n, 3, size, size)`` patches in [0, 1]."""
        patches = self.library.patches(size)
        if self.draws == "density":
            chosen = torch.randint(len(patches), (n,), generator=generator)
        else:
            chosen = self._of_magnitude(torch.rand(n, generator=generator), size)
        return patches[chosen].float() / 255

    def sequence(self, number: int, seed: int, size: int) -> Tensor:
        """Return patch ``number`` of an endless sequence, spread evenly over the library, ``(1, 3, size, size)``.

        Over random seeds below 2 ** 32 every element has the distribution of a draw, so means are unbiased.
        """
        order = self._space(size).order
        chosen = order[int(even_place(number, seed) * len(order))]
        return self.library.patches(size)[chosen : chosen + 1].float() / 255

    def coordinates(self, patches: Tensor) -> NDArray[np.float64]:
        """Return the coordinates of patches ``(n, 3, size, size)`` in the population, ``(n, k)``.

        The first six principal components of the library (96 % of its variance: mostly brightness, its gradient and
        colour), in units of the standard deviation of the first.
        """
        return self._space(patches.shape[-1]).coordinates(patches)

    def population(self, size: int) -> NDArray[np.float64]:
        """Return the coordinates of a representative part of the population, ``(m, k)``."""
        return self._space(size).population

    def _of_magnitude(self, shares: Tensor, size: int) -> Tensor:
        """Return the patches with gradient magnitudes closest to fractions of the range of the library."""
        magnitude, order = self._rank(size)
        low, high = magnitude[0], magnitude[-1]
        wanted = low + (high - low) * shares
        above = torch.searchsorted(magnitude, wanted).clamp(1, len(order) - 1)
        nearer = (wanted - magnitude[above - 1] < magnitude[above] - wanted).long()
        return order[above - nearer]

    def _space(self, size: int) -> _Space:
        """Return the space of the patches, each with its multiplicity among the draws."""
        if size not in self._spaces:
            patches = self.library.patches(size)
            all_of = torch.arange(len(patches))
            if self.draws == "uniform":
                all_of = self._of_magnitude((all_of + 0.5) / len(patches), size)
            self._spaces[size] = _Space(patches[all_of].float() / 255, all_of.numpy())
        return self._spaces[size]

    def _rank(self, size: int) -> tuple[Tensor, Tensor]:
        """Return the sorted gradient magnitudes of the library, and the indices of their patches."""
        if size not in self._ranked:
            self._ranked[size] = gradient_magnitude(self.library.patches(size).float() / 255).sort()
        return self._ranked[size]


def build(
    *, library: str | os.PathLike[str] | None = None, draws: str = "density", screening: str | None = "uniform"
) -> NaturalPatches:
    """Build the sampler ``natural``; see :class:`Library` and :class:`NaturalPatches`."""
    return NaturalPatches(_default() if library is None else Library(library), draws=draws, screening=screening)
