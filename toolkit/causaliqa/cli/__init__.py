"""The command line: parse, resolve names, call one job, print.

stdout carries the result and nothing else, stderr the log. Exit 0: done; 1: the job failed, or part of it did;
2: bad usage or bad input; 130 and 143: stopped by SIGINT and SIGTERM. One file a command; each has ``add(subparsers)``
and ``run(args) -> int``, and, where work is kept as it comes, ``kept``, which says what.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextvars import copy_context
from importlib import import_module
from typing import Any, NoReturn

import causaliqa
from causaliqa.api.errors import CausaliqaError, InputError, OutputError
from causaliqa.cli import _common, _options, _signals
from causaliqa.utils.allocator import keep_freed_memory
from causaliqa.utils.caches import give_matplotlib_a_folder
from causaliqa.utils.garbage import collect_rarely
from causaliqa.utils.offline import VARIABLE, enforce
from causaliqa.utils.text import one_line

__all__ = ["main", "parser"]

COMMANDS = (
    "score",
    "explain",
    "compare",
    "rd",
    "restore",
    "video",
    "card",
    "leaderboard",
    "report",
    "cem",
    "cem_bench",
    "cem_check",
    "cem_table",
    "lam",
    "list",
    "plugins",
    "store",
    "weights",
    "data",
    "doctor",
    "new_plugin",
    "demo",
)


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, as everything else here does."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see `{self.prog} --help`")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Name the option that was probably meant."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            (commands,) = (a for a in self._actions if isinstance(a, argparse._SubParsersAction))
            command = commands.choices[found.command]
            near = difflib.get_close_matches(rest[0].partition("=")[0], command._option_string_actions, n=1)
            hint = f". Did you mean {near[0]}?" if near else ""
            command.error(f"unknown option or argument {rest[0]!r} of {found.command}{hint}")
        return found


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the whole command line, or of one command ``only``, which imports less."""
    top = _Parser(
        prog="causaliqa",
        description="Causal image quality metrics, causal effect maps of restoration networks, and leaderboards.",
        epilog="Every command has examples: causaliqa COMMAND --help. In Python each is one call: docs/python.md.",
    )
    top.add_argument("--version", action="version", version=f"causaliqa {causaliqa.__version__}")
    top.add_argument("--print-completion", action=_Completion, help="print the completion of a shell, and stop")
    _options.add_global_options(top)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS if only is None else (only,):
        import_module(f"causaliqa.cli.{name}").add(commands)
    for command in dict.fromkeys(commands.choices.values()):
        _options.add_global_options(command, again=True)
    return top


def _asked(argv: Sequence[str]) -> str | None:
    """Return the module of the command, if the first word that is no option names one."""
    words = iter(argv)
    for word in words:
        if word == "--registry":
            next(words, None)
        elif not word.startswith("-"):
            name = word.replace("-", "_")
            return name if name in COMMANDS and "_" not in word else None
    return None


class _Completion(argparse.Action):
    """Print what a shell needs to complete commands, options and files."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, choices=("bash", "zsh", "tcsh"), default=argparse.SUPPRESS, **options)

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None) -> NoReturn:
        import shtab

        print(shtab.complete(parser, shell=str(values)))
        parser.exit()


@contextlib.contextmanager
def _messages(quiet: bool) -> Iterator[None]:
    """Print on stderr what library code logs."""
    logger, handler = logging.getLogger("causaliqa"), _common.Messages()
    before = logger.level, logger.propagate
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # Names of files may hold bytes that are no text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if argv is None:  # this process is ours
        keep_freed_memory()
        collect_rarely()
    args = argparse.Namespace(verbose=False, quiet=False)
    try:
        return _run(sys.argv[1:] if argv is None else argv, args)
    except CausaliqaError as error:
        if args.verbose:
            traceback.print_exc()
        left = _signals.kept(args) if isinstance(error, OutputError) else ""
        print(f"causaliqa: error: {one_line(str(error))}{left and '. '}{left}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stop:
        name, code = ("SIGTERM", 143) if isinstance(stop, _signals.Terminated) else ("SIGINT", 130)
        left = _signals.kept(args)
        print(f"causaliqa: stopped by {name}{left and '; '}{left}", file=sys.stderr)
        return code
    except BrokenPipeError:
        # The reader of stdout was closed (head, less).
        _signals.abandon_stdout()
        return 0
    except OSError as error:
        if not _signals.no_room(error) or args.verbose:
            raise
        _signals.abandon_stdout()
        what = error.filename or "the output"
        print(
            f"causaliqa: error: {what} cannot be written: {error.strerror}; make room and run it again", file=sys.stderr
        )
        return 1


def _run(argv: Sequence[str], args: argparse.Namespace) -> int:
    """Parse into ``args`` and run the command; whatever was printed is flushed, also after an error."""
    try:
        with _signals.stoppable():
            parser(_asked(argv)).parse_args(argv, args)
            if args.offline:
                os.environ[VARIABLE] = "1"
            enforce()
            give_matplotlib_a_folder()
            with _messages(args.quiet):
                # The catalogue of a command is used in this context only.
                code: int = copy_context().run(args.run, args)
            return code
    finally:
        sys.stdout.flush()
