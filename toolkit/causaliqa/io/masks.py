"""Masks of images: files that are white where pixels count."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.api.errors import ImageError
from causaliqa.io.images import load_image
from causaliqa.io.pairing import images_by_stem
from causaliqa.io.weights import sha256
from causaliqa.utils.files import nearby

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

__all__ = ["MaskFiles"]


class MaskFiles:
    """The masks that a user names: one for all images, or a folder of them by the file stems of the references.

    Args:
        path: the file or folder.

    Raises:
        ImageError: it does not exist, or is a folder without images.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise ImageError(f"mask {path} does not exist; expected an image or a folder of them{nearby(self.path)}")
        self._stems = images_by_stem(self.path) if self.path.is_dir() else None
        if self._stems is not None and not self._stems:
            raise ImageError(f"mask {path}: got a folder without images, expected a mask for every reference")

    def check(self, refs: Iterable[Path]) -> None:
        """Refuse references without a mask, before any work.

        Raises:
            ImageError: there is one.
        """
        lacking = sorted({str(ref) for ref in refs if self._stems is not None and ref.stem not in self._stems})
        if lacking:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise ImageError(
                f"mask {self.path}: got none for {lacking[0]}{more}, expected an image of the same file stem"
            )

    def of(self, ref: Path) -> Path:
        """Return the file of the mask of a reference.

        Raises:
            ImageError: there is none.
        """
        self.check([ref])
        return self.path if self._stems is None else self._stems[ref.stem]

    def read(self, ref: Path, size: tuple[int, int]) -> Tensor:
        """Return the mask of a reference as booleans ``(H, W)``: true where it is at least half as bright as white.

        Args:
            ref: the reference.
            size: height and width that the mask must have.

        Raises:
            ImageError: there is no mask, it cannot be read, has another size or no white pixel.
        """
        path = self.of(ref)
        mask = load_image(path)[0].mean(dim=0) >= 0.5
        if tuple(mask.shape) != size:
            height, width = mask.shape
            raise ImageError(
                f"mask {path}: got {width} x {height} pixels, expected {size[1]} x {size[0]}, those of the reference"
            )
        if not bool(mask.any()):
            raise ImageError(f"mask {path}: it is empty: no pixel is white; expected white where pixels count")
        return mask

    def checksum(self) -> str:
        """Return a SHA-256 of all masks and the stems that they belong to, wherever they are."""
        if self._stems is None:
            return sha256(self.path)
        lines = "".join(f"{stem} {sha256(path)}\n" for stem, path in sorted(self._stems.items()))
        return hashlib.sha256(lines.encode("utf-8", "backslashreplace")).hexdigest()
