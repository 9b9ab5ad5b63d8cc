"""What is asked of a run that restores images, and what it returns."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from causaliqa.api.errors import InputError
from causaliqa.effects.names import NetworkRequest
from causaliqa.io.pairing import file_pairs
from causaliqa.utils.files import check_folder

if TYPE_CHECKING:
    from causaliqa.api.protocols import Degradation

__all__ = ["RestoreRun", "RestoredImage"]


@dataclass(frozen=True, kw_only=True)
class RestoreRun:
    """Everything that is asked of a run that restores images.

    Raises:
        InputError: the fields do not fit each other.

    Example:
        >>> request = NetworkRequest(network="tiny_edsr_x4", task="sr")
        >>> RestoreRun(network=request, source="small", out="large", tile=96).overlap is None
        True
    """

    network: NetworkRequest
    """The restoration network and its task."""
    source: str | os.PathLike[str]
    """An image, or a folder of images, degraded already unless ``degrade``."""
    out: str | os.PathLike[str]
    """Folder of the outputs ``STEM.png``; or the PNG file of a single one."""
    degrade: bool = False
    """Make the inputs from clean photographs first, by the degradation of the task."""
    degradation: str | Degradation | None = None
    """Degradation, NAME[:key=value,...], of --degrade; by default that of the task."""
    seed: int = 0
    """Seed of the noise or rain of --degrade, for every image the same, as for cem."""
    truth: str | os.PathLike[str] | None = None
    """Folder for the photographs of --degrade, cut to multiples of the scale, to compare the outputs with."""
    tile: int | Literal["auto"] = "auto"
    """Side of the part of an input that the network sees at once, in input pixels, overlap included; auto: the whole
    image, or tiles where memory is short."""
    overlap: int | None = None
    """Pixels of a tile on each side whose output is not used; by default the measured receptive radius."""
    device: str | None = None
    """Torch device; by default CUDA where there is one, else the CPU."""
    overwrite: bool = False
    """Replace outputs of another network or other settings, instead of refusing them."""

    def __post_init__(self) -> None:
        if self.tile != "auto" and (not isinstance(self.tile, int) or self.tile < 1):
            raise InputError(f"tile: got {self.tile!r}, expected auto or a whole number, 1 or more")
        if self.overlap is not None and self.overlap < 0:
            raise InputError(f"overlap: got {self.overlap}, expected 0 or more pixels")
        if self.overlap is not None and self.tile != "auto" and 2 * self.overlap >= self.tile:
            raise InputError(f"overlap: got {self.overlap}, expected less than half a tile of {self.tile} pixels")
        if self.seed < 0:
            raise InputError(f"seed: got {self.seed}, expected a whole number, 0 or more")
        if not self.degrade and self.truth is not None:
            raise InputError("truth: got a folder, but the images are no ground truth; pass degrade, too")

    def files(self) -> list[tuple[Path, Path]]:
        """Return every image and the file of its output.

        Raises:
            ImageError: there is no image, or two have the same stem.
            InputError: outputs would replace images, or cannot be written.
        """
        source, out = Path(self.source), Path(self.out)
        found = [path for path, _ in file_pairs(source, None)[0]]
        single = not source.is_dir() and out.suffix.lower() == ".png"
        check_folder(out.parent if single else out)
        files = [(path, out if single else out / f"{path.stem}.png") for path in found]
        truth = [Path(self.truth) / f"{path.stem}.png" for path in found] if self.truth is not None else []
        for written in (*(path for _, path in files), *truth):
            if any(written.exists() and written.samefile(path) for path in found):
                raise InputError(f"out: {written} is one of the images to restore, expected another folder")
        return files


@dataclass(frozen=True, kw_only=True)
class RestoredImage:
    """One image that was restored."""

    source: Path
    """The image."""
    path: Path
    """The output."""
    tiles: int = 1
    """Tiles that it was restored in; 0 where the output was there already."""
