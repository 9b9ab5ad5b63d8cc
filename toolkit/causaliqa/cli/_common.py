"""What several commands share: the catalogue they ask for, pairs of files, versions, progress."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.api.errors import CausaliqaError, ImageError, InputError
from causaliqa.utils.files import atomic, check_file, check_folder

if TYPE_CHECKING:
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.catalog.host import PluginHost

__all__ = [
    "catalog",
    "failed",
    "file_pairs",
    "host",
    "nearby",
    "note",
    "out_file",
    "out_folder",
    "plugin_switches",
    "write_or_print",
]


def host(args: argparse.Namespace) -> PluginHost:
    """Return the plugin host that flags and environment ask for."""
    from causaliqa.catalog.host import PluginHost

    disabled, strict = plugin_switches(args)
    return PluginHost(disabled=disabled, strict=strict)


def plugin_switches(args: argparse.Namespace) -> tuple[tuple[str, ...], bool]:
    """Return which plugins flags and environment switch off, and whether a failure of another is an error."""
    disabled = "*" if args.no_plugins else os.environ.get("CAUSALIQA_DISABLE_PLUGINS", "")
    strict = args.strict_plugins or os.environ.get("CAUSALIQA_STRICT_PLUGINS", "") not in ("", "0")
    return tuple(disabled.split(",")), strict


def catalog(args: argparse.Namespace) -> Catalog:
    """Return the catalogue that flags and environment ask for."""
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.catalog.create import use_catalog
    from causaliqa.catalog.registry import load_registry

    return use_catalog(Catalog(host(args), load_registry(args.registry)))


def failed(metric: str, img: Path, error: Exception) -> CausaliqaError:
    """Return the error of a metric that failed on an image for a reason of its own."""
    text = " ".join(str(error).split())[:300]
    return CausaliqaError(f"{metric} failed on {img}: {type(error).__name__}: {text}; -v shows where")


def file_pairs(img: Path, ref: Path) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """Pair two files, or two folders by file stem; return the pairs and the images without a partner.

    Raises:
        ImageError: a path does not exist, a file meets a folder, a stem occurs twice, or no pair is found.
    """
    from causaliqa.io.images import image_suffixes

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


def nearby(path: Path) -> str:
    """Say where a path that does not exist was looked for, and name a file of that name that is here."""
    if path.is_absolute():
        return ""
    here = Path(path.name)
    hint = f", where there is {here}" if here != path and here.exists() else ""
    return f"; looked from {Path.cwd()}{hint}"


def out_file(text: str) -> Path:
    """Read an option that names a file to be written; refused now rather than after hours of work."""
    return _checked(check_file, text)


def out_folder(text: str) -> Path:
    """Read an option that names a folder to write to; refused now rather than after hours of work."""
    return _checked(check_folder, text)


def _checked(check: Callable[[str], Path], text: str) -> Path:
    try:
        return check(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def note(text: str) -> None:
    """Say something on stderr, in one line, whatever names of files are in it."""
    from causaliqa.utils.text import one_line

    print(f"causaliqa: {one_line(text)}", file=sys.stderr)


def write_or_print(text: str, out: Path | None) -> None:
    """Print text, or write it to a file.

    Raises:
        OutputError: the file cannot be written.
    """
    if out is None:
        print(text)
        return
    with atomic(out) as part:
        # Bytes of a file name that are no text are shown, not lost.
        part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
