"""Images of several folders that belong together, by their file stems."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from causaliqa.api.errors import ImageError
from causaliqa.io.file_kinds import ARRAY_SUFFIXES, HDR_SUFFIXES
from causaliqa.io.images import image_suffixes
from causaliqa.utils.files import nearby

__all__ = ["common_files", "file_pairs", "images_by_stem"]


def file_pairs(
    img: Path, ref: Path | None, *, light: bool = False
) -> tuple[list[tuple[Path, Path | None]], list[Path]]:
    """Pair what is scored with its references.

    Args:
        img: an image, or a folder of them.
        ref: its reference; a folder with a reference of the same stem for every image; one reference for all images;
            None for none.
        light: files of linear light are asked for, which are otherwise taken only where a folder has no other images.

    Returns:
        The pairs, and the images of both folders without a partner.

    Raises:
        ImageError: a path does not exist, one image meets a folder of references, a stem occurs twice, or there is
            nothing to score.
    """
    for path in filter(None, (img, ref)):
        if not path.exists():
            raise ImageError(f"image {path} does not exist; expected a file or a folder{nearby(path)}")
    if not img.is_dir():
        if ref is not None and ref.is_dir():
            raise ImageError(
                f"got a file and a folder ({img}, {ref}), expected two files, two folders, or a folder and"
                " one reference for all its images"
            )
        return [(img, ref)], []
    if ref is not None and ref.is_dir():
        rows, alone = common_files([img, ref], light=light)
        return [(one, other) for one, other in rows], alone
    found = [path for path in images_by_stem(img, light=light).values() if ref is None or not path.samefile(ref)]
    if not found:
        raise ImageError(f"{img}: got no image, expected files that end in {', '.join(sorted(_kinds(light)[0]))}")
    return [(path, ref) for path in found], []


def common_files(folders: Sequence[Path], *, light: bool = False) -> tuple[list[tuple[Path, ...]], list[Path]]:
    """Return the images whose stem every folder has, one from each folder, and the images of other stems.

    Args:
        folders: where the images are.
        light: see :func:`file_pairs`.

    Raises:
        ImageError: a folder does not exist, a stem occurs twice in one, or none is common to all.
    """
    for folder in folders:
        if not folder.is_dir():
            raise ImageError(f"{folder}: expected a folder of images{nearby(folder)}")
    sides = [images_by_stem(folder, light=light) for folder in folders]
    common = sorted(set(sides[0]).intersection(*sides[1:]))
    alone = [side[stem] for side in sides for stem in sorted(side.keys() - set(common))]
    if not common:
        raise ImageError(
            f"{' and '.join(map(str, folders))} have no image with the same file stem: got "
            f"{' and '.join(str(len(side)) for side in sides)} images, expected names in common, as in a/1.png and "
            "b/1.png"
        )
    return [tuple(side[stem] for side in sides) for stem in common], alone


def _kinds(light: bool) -> tuple[frozenset[str], ...]:
    """File name endings that count, in this order: arrays and linear light only where there is nothing before."""
    return (HDR_SUFFIXES,) if light else (image_suffixes(), ARRAY_SUFFIXES, HDR_SUFFIXES)


def images_by_stem(folder: Path, *, light: bool = False) -> dict[str, Path]:
    """Return the images of a folder by their file stems, sorted.

    Args:
        folder: the folder.
        light: take files of linear light only.

    Raises:
        ImageError: a stem occurs twice.
    """
    files = sorted(folder.iterdir())
    sorts = ([path for path in files if path.suffix.lower() in suffixes] for suffixes in _kinds(light))
    stems: dict[str, Path] = {}
    for path in next(filter(None, sorts), []):
        if path.stem in stems:
            raise ImageError(f"{folder}: {stems[path.stem].name} and {path.name} have the same stem; rename one")
        stems[path.stem] = path
    return stems
