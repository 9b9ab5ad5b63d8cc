"""Images in two folders, paired by their file stems."""

from __future__ import annotations

from pathlib import Path

from causaliqa.api.errors import ImageError
from causaliqa.io.images import image_suffixes
from causaliqa.utils.files import nearby

__all__ = ["file_pairs"]


def file_pairs(img: Path, ref: Path) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """Pair two files, or two folders by file stem; return the pairs and the images without a partner.

    Raises:
        ImageError: a path does not exist, a file meets a folder, a stem occurs twice, or no pair is found.
    """
    for path in (img, ref):
        if not path.exists():
            raise ImageError(f"image {path} does not exist; expected a file or a folder{nearby(path)}")
    if img.is_dir() != ref.is_dir():
        raise ImageError(f"got a file and a folder ({img}, {ref}), expected two files or two folders")
    if not img.is_dir():
        return [(img, ref)], []
    sides: list[dict[str, Path]] = []
    for folder in (img, ref):
        stems: dict[str, Path] = {}
        for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in image_suffixes()):
            if path.stem in stems:
                raise ImageError(f"{folder}: {stems[path.stem].name} and {path.name} have the same stem; rename one")
            stems[path.stem] = path
        sides.append(stems)
    left, right = sides
    common = sorted(left.keys() & right.keys())
    alone = [side[stem] for side in sides for stem in sorted(side.keys() - set(common))]
    if not common:
        raise ImageError(
            f"{img} and {ref} have no image with the same file stem: got {len(left)} and {len(right)} images, expected "
            "names in common, as in a/1.png and b/1.png"
        )
    return [(left[stem], right[stem]) for stem in common], alone
