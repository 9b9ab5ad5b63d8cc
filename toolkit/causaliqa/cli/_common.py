"""What several commands share: the catalogue that they ask for, messages, output."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import InputError, OutputError
from causaliqa.cli._options import out_file, out_folder, preparation
from causaliqa.cli._signals import abandon_stdout
from causaliqa.utils.text import one_line

if TYPE_CHECKING:
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.catalog.host import PluginHost
    from causaliqa.report.table_set import TableSet

__all__ = [
    "Messages",
    "catalog",
    "check_picture",
    "host",
    "named_as_options",
    "note",
    "out_file",
    "out_folder",
    "pictures",
    "publish",
    "said",
    "scoring",
    "write_or_print",
    "wrote",
]


class Messages(logging.Handler):
    """Prints what library code logs on stderr, one line a message."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record on the stderr of this moment."""
        print(f"causaliqa: {one_line(record.getMessage())}", file=sys.stderr)


def host(args: argparse.Namespace) -> PluginHost:
    """Return the plugin host that flags and environment ask for."""
    from causaliqa.catalog.host import PluginHost
    from causaliqa.utils.environment import Environment

    asked = Environment.current()
    disabled = ("*",) if args.no_plugins else asked.disabled_plugins
    return PluginHost(disabled=disabled, strict=args.strict_plugins or asked.strict_plugins)


def catalog(args: argparse.Namespace) -> Catalog:
    """Return the catalogue that flags and environment ask for."""
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.catalog.create import use_catalog
    from causaliqa.catalog.registry import load_registry

    return use_catalog(Catalog(host(args), load_registry(args.registry)))


def check_picture(option: str, path: Path | None) -> None:
    """Refuse a picture that cannot be written before hours of scoring, not after.

    Raises:
        InputError: its suffix names no kind of picture.
    """
    from causaliqa.utils.figures import SUFFIXES

    if path is not None and path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{option} {path}: expected a name that ends in one of {', '.join(SUFFIXES)}")


@contextlib.contextmanager
def named_as_options() -> Iterator[None]:
    """Name what is wrong with a field of a run as the option that it came from."""
    try:
        yield
    except InputError as error:
        raise InputError(f"--{error}") from error


def scoring(args: argparse.Namespace) -> dict[str, Any]:
    """Return what calls that score image files have in common.

    Raises:
        InputError: a preparation of the images is out of range.
    """
    with named_as_options():
        prepare = preparation(args)
    return {
        "device": args.device,
        "seed": args.seed,
        "prepare": prepare,
        "progress": not args.quiet,
        "catalog": catalog(args),
    }


def note(text: str) -> None:
    """Print a warning on stderr, in one line, whatever names of files are in it."""
    print(f"causaliqa: {one_line(text)}", file=sys.stderr)


def said(text: str) -> None:
    """Say something on stderr; -q silences it."""
    logging.getLogger("causaliqa.cli").info("%s", text)


def wrote(*paths: Path) -> None:
    """Say on stderr what was written, a line a folder; -q silences it."""
    for folder in dict.fromkeys(path.parent for path in paths):
        first, *rest = [path for path in paths if path.parent == folder]
        logging.getLogger("causaliqa.cli").info("wrote %s", ", ".join([str(first), *(path.name for path in rest)]))


def pictures(folder: Path, figures: str, *names: str) -> list[Path]:
    """Return the pictures that ``--figures`` makes in a folder."""
    from causaliqa.utils.figures import formats

    return [folder / f"{name}{suffix}" for suffix in formats(figures) for name in names]


def publish(made: TableSet, form: str, out: Path | None) -> int:
    """Print or write the tables of a comparison and say what to look at; return the exit code.

    Raises:
        OutputError: a file cannot be written.
    """
    if out is None:
        write_or_print(made.to_text(form), None)
    else:
        wrote(*made.save(out, form))
    for line in (*made.warnings, *made.failures):
        note(line)
    return 1 if made.failures else 0


def write_or_print(text: str, out: Path | None) -> None:
    """Print text, or write it to a file.

    Raises:
        OutputError: the file cannot be written.
    """
    from causaliqa.utils.files import write_text

    if out is None:
        try:
            print(text, flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            abandon_stdout()
            raise OutputError(f"the output cannot be written: {error.strerror}; make room and run it again") from error
    else:
        write_text(text, out)
        wrote(out)
