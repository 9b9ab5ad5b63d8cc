"""Options that several commands share, and the look of their help."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import InputError
from causaliqa.cli import _signals
from causaliqa.utils.files import check_file, check_folder

if TYPE_CHECKING:
    from causaliqa.evaluation.preparation import Preparation

__all__ = [
    "add_command",
    "add_device",
    "add_global_options",
    "add_metrics",
    "add_preparation",
    "add_seed",
    "add_shard",
    "add_store",
    "add_tables",
    "add_tables_out",
    "add_unseen",
    "add_workers",
    "out_file",
    "out_folder",
    "preparation",
]


class _Help(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Examples as they are written; every default is shown."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, [], "") or "default" in (action.help or ""):
            return action.help
        return super()._get_help_string(action)


def add_global_options(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    """Add the options that every command takes, before its name or (``again``) after it."""
    group = parser.add_argument_group("global options")
    options: dict[str, dict[str, Any]] = {
        "--registry": {"metavar": "FILE", "default": None, "help": "registry.yaml to merge over the installed one"},
        "--no-plugins": {"action": "store_true", "default": False, "help": "load built-ins only"},
        "--strict-plugins": {"action": "store_true", "default": False, "help": "a plugin that fails is an error"},
        "--offline": {
            "action": "store_true",
            "default": False,
            "help": "download nothing: fail at once where a file is missing",
        },
        "--verbose": {"flag": "-v", "action": "store_true", "default": False, "help": "show tracebacks"},
        "--quiet": {
            "flag": "-q",
            "action": "store_true",
            "default": False,
            "help": "no progress bars and no messages on stderr but warnings and errors",
        },
    }
    for name, settings in options.items():
        flags = [*filter(None, [settings.pop("flag", None)]), name]
        if again:  # what stands before the command must not be reset
            settings["default"] = argparse.SUPPRESS
        group.add_argument(*flags, **settings)


def add_command(
    commands: Any, name: str, summary: str, *, examples: tuple[str, str], run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """Add a command with its summary, two examples and the global options.

    Args:
        commands: what ``add_subparsers`` returned.
        name: of the command.
        summary: one sentence.
        examples: two command lines, without ``causaliqa``.
        run: carries it out, and returns the exit code.
    """
    shown = "\n".join(f"  causaliqa {example}" for example in examples)
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary[0].lower() + summary[1:].rstrip("."),
        description=f"{summary}\n\nexamples:\n{shown}",
        formatter_class=_Help,
    )
    parser.set_defaults(run=run)
    return parser


def add_device(group: Any) -> None:
    """Add ``--device``."""
    group.add_argument("--device", metavar="DEVICE", help="torch device (default: cuda if there is one, else cpu)")


def add_seed(group: Any, what: str) -> None:
    """Add ``--seed``."""
    group.add_argument("--seed", type=int, default=0, metavar="N", help=f"seed of {what}")


def add_preparation(group: Any, *, hdr: bool = True) -> None:
    """Add what is done to images before they are scored.

    Args:
        group: of options.
        hdr: add what images of high dynamic range need, too.
    """
    from causaliqa.evaluation.preparation import CHANNELS, ENCODINGS, FILTERS

    group.add_argument(
        "--channel",
        choices=CHANNELS,
        default="rgb",
        help="y: luma alone, as MATLAB's rgb2ycbcr; each: every channel as a gray image, the score is their mean",
    )
    group.add_argument("--crop", type=int, default=0, metavar="N", help="border pixels that are cut off both images")
    group.add_argument(
        "--align", type=int, default=0, metavar="N", help="find and undo shifts of up to N pixels against the reference"
    )
    group.add_argument("--resize", choices=FILTERS, default="", help="bring images to the size of their reference")
    group.add_argument(
        "--mask",
        metavar="DIR|FILE",
        default="",
        help="count only what is white in an image of the reference's size, or in a folder's image of the same stem",
    )
    group.add_argument("--region", metavar="X,Y,W,H", default="", help="count only this rectangle of the reference")
    if not hdr:
        group.set_defaults(hdr="", peak=None)
        return
    group.add_argument(
        "--hdr",
        choices=ENCODINGS,
        default="",
        help="high dynamic range, encoded by PU21; pu21: files of linear light (.exr, .hdr, .pfm) in cd/m2, pq: 16-bit "
        "images of SMPTE ST 2084",
    )
    group.add_argument(
        "--peak",
        type=float,
        metavar="CD/M2",
        help="luminance of the largest value of the reference, for linear light that is not in cd/m2",
    )


def add_metrics(command: Any, what: str = "metric (`causaliqa list metrics`); repeatable") -> None:
    """Add ``--metric``, at least one of which is needed."""
    command.add_argument(
        "--metric", action="append", required=True, metavar="NAME[:key=value,...]", dest="metrics", help=what
    )


def add_store(group: Any) -> None:
    """Add ``--store``; a command that is stopped says how many scores are there."""
    group.set_defaults(kept=_signals.kept_scores)
    group.add_argument(
        "--store",
        metavar="FILE",
        type=out_file,
        help="keep every score there; a run that was stopped goes on from it",
    )


def add_tables_out(group: Any) -> None:
    """Add how the tables of a comparison come out."""
    from causaliqa.report.formats import FORMATS

    group.add_argument(
        "--format", choices=FORMATS, help="how to print the tables (default: that of the suffix of --out, else plain)"
    )
    group.add_argument("--out", metavar="FILE", type=out_file, help="write the tables, do not print them")


def preparation(args: argparse.Namespace) -> Preparation:
    """Return what :func:`add_preparation` asked for.

    Raises:
        InputError: a value is out of range.
    """
    from causaliqa.evaluation.preparation import Preparation

    return Preparation(
        channel=args.channel,
        crop=args.crop,
        align=args.align,
        resize=args.resize,
        mask=args.mask,
        region=args.region,
        hdr=args.hdr,
        peak=args.peak,
    )


def add_tables(group: Any) -> None:
    """Add the further tables."""
    from causaliqa.evaluation.side_table import DEFAULT_TABLES, TABLES

    group.add_argument(
        "--tables",
        metavar="KIND[,KIND...]",
        type=_tables,
        default=",".join(DEFAULT_TABLES),
        help=f"further tables, of {', '.join(TABLES)}, or none: SRCC within references and over data sets, VQEG's "
        "measures, all pairs of metrics",
    )
    group.add_argument(
        "--subjects",
        metavar="N",
        type=int,
        help="subjects behind every label, for the table vqeg: the deviations of the labels are then those between "
        "them (default: deviations are standard errors of the labels)",
    )


def _tables(text: str) -> tuple[str, ...]:
    from causaliqa.evaluation.side_table import check_tables

    try:
        return check_tables(kind.strip() for kind in text.split(",")) if text != "none" else ()
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_unseen(group: Any) -> None:
    """Add what is done about results of metrics on their own training data."""
    group.add_argument(
        "--unseen",
        action="store_true",
        help="leave results on a metric's own training data out of the tables (`causaliqa list metrics` says what that "
        "is); stored scores stay",
    )
    group.add_argument(
        "--part-of",
        action="append",
        default=[],
        metavar="NAME=SET",
        help="images of the data set NAME come from SET, as in tid2013_real=tid2013: metrics trained on SET have seen "
        "them; repeatable",
    )


def add_workers(group: Any) -> None:
    """Add who does the work."""
    group.add_argument("--jobs", type=int, default=1, metavar="N", help="work in N local processes")
    group.add_argument(
        "--scheduler", metavar="ADDRESS", help="work on the Dask cluster whose scheduler is there (extra [dask])"
    )


def add_thumbnails(group: Any) -> None:
    """Add ``--thumbnails``."""
    group.add_argument(
        "--thumbnails",
        type=_count,
        default=0,
        metavar="N",
        help="show N images on the page: those that metrics and people, or metrics and metrics, disagree on most",
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number, 0 or more")
    return int(text)


def add_shard(group: Any, what: str) -> None:
    """Add ``--shard``."""
    group.add_argument(
        "--shard",
        metavar="I/N|auto",
        help=f"{what}; auto: the share of this task of a SLURM array, srun or torchrun",
    )


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
