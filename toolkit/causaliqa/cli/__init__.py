"""The command line: parse, resolve names, call one job, print.

stdout carries the result and nothing else, stderr the log. Exit 0: done; 1: the job failed, or part of it did;
2: bad usage or bad input. One file a command; each has ``add(subparsers)`` and ``run(args) -> int``.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextvars import copy_context
from importlib import import_module

import causaliqa
from causaliqa.errors import CausaliqaError
from causaliqa.offline import VARIABLE, enforce
from causaliqa.report._escape import one_line

__all__ = ["main", "parser"]

COMMANDS = (
    "score",
    "explain",
    "leaderboard",
    "report",
    "cem",
    "cem_table",
    "lam",
    "list",
    "plugins",
    "weights",
    "data",
    "new_plugin",
    "demo",
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="causaliqa", description="Causal image quality metrics, and leaderboards that can be trusted."
    )
    top.add_argument("--version", action="version", version=f"causaliqa {causaliqa.__version__}")
    top.add_argument("--registry", metavar="FILE", help="registry.yaml to merge over the installed one")
    top.add_argument("--no-plugins", action="store_true", help="load built-ins only")
    top.add_argument("--strict-plugins", action="store_true", help="a plugin that fails is an error")
    top.add_argument("--offline", action="store_true", help="download nothing: fail at once where a file is not here")
    top.add_argument("-v", "--verbose", action="store_true", help="show tracebacks")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"causaliqa.cli.{name}").add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # Names of files may hold bytes that are no text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    args = parser().parse_args(argv)
    if args.offline:
        os.environ[VARIABLE] = "1"
    enforce()
    try:
        # The catalogue that a command chooses is gone with its context.
        code: int = copy_context().run(args.run, args)
        sys.stdout.flush()
        return code
    except CausaliqaError as error:
        if args.verbose:
            raise
        print(f"causaliqa: error: {one_line(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("causaliqa: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (head, less); writing more would fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
