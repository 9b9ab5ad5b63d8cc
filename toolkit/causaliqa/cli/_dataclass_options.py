"""Options of a command made from the fields of a dataclass: name, type, default and help stand there once."""

from __future__ import annotations

import argparse
import ast
import inspect
import itertools
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["add_options", "values"]

_TYPES: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": str, "Path": Path}


def add_options(command: Any, kind: type, *, only: Collection[str], metavars: Mapping[str, str] = {}) -> None:
    """Add options for fields of a dataclass.

    ``patch_size: int = 8`` becomes ``--patch-size`` with the docstring of the field as help text; ``prune: bool =
    True`` becomes ``--no-prune``.

    Args:
        command: argparse's parser or group.
        kind: the dataclass, of a module with postponed annotations.
        only: names of the fields.
        metavars: what the help calls the value of a field.
    """
    documented = _docstrings(kind)
    for field in fields(kind):
        if field.name not in only:
            continue
        text = _help(documented[field.name])
        name = field.name.replace("_", "-")
        if field.type == "bool":
            if field.default:
                command.add_argument(f"--no-{name}", dest=field.name, action="store_false", help=f"do not {text}")
            else:
                command.add_argument(f"--{name}", action="store_true", help=text)
            continue
        default = "" if field.default in (None, MISSING, "") else f" (default: {field.default})"
        command.add_argument(
            f"--{name}",
            type=_converter(str(field.type)),
            default=field.default,
            metavar=metavars.get(field.name, _metavar(str(field.type))),
            help=f"{text}{default}",
        )


def values(args: argparse.Namespace, kind: type) -> dict[str, Any]:
    """Return the fields of a dataclass that the parsed options give, under their names."""
    return {field.name: getattr(args, field.name) for field in fields(kind) if hasattr(args, field.name)}


def _help(docstring: str) -> str:
    """Return a docstring as the other help texts are written: no capital, no full stop; % is argparse's own."""
    text = docstring.removesuffix(".") if not docstring.endswith("...") else docstring
    first, _, rest = text.partition(" ")
    plain = first.lower() if first.istitle() else first
    return f"{plain} {rest}".replace("%", "%%")


def _metavar(annotation: str) -> str | None:
    return "N" if annotation.startswith("int") else "X" if annotation.startswith("float") else None


def _converter(annotation: str) -> Callable[[str], Any]:
    """Return what turns the text of an option into the first type of an annotation, or into a word that it allows."""
    first, *others = (part.strip() for part in annotation.split("|"))
    convert = _TYPES[first]
    words = [ast.literal_eval(part[len("Literal[") : -1]) for part in others if part.startswith("Literal[")]
    if not words:
        return convert

    def number_or_word(text: str) -> Any:
        if text in words:
            return text
        try:
            return convert(text)
        except ValueError as error:
            said = " or ".join([*words, {"int": "a whole number"}.get(first, first)])
            raise argparse.ArgumentTypeError(f"got {text!r}, expected {said}") from error

    return number_or_word


@cache
def _docstrings(kind: type) -> dict[str, str]:
    """Return the docstrings that follow the fields in the source of a dataclass, as one line each."""
    (node,) = ast.parse(inspect.getsource(kind)).body
    found = {}
    body = node.body if isinstance(node, ast.ClassDef) else []
    for statement, after in itertools.pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            value = after.value if isinstance(after, ast.Expr) else None
            text = value.value if isinstance(value, ast.Constant) else ""
            found[statement.target.id] = " ".join(str(text).split()).replace("``", "")
    return found
