"""Write the package of a new plugin: one spec, one class, and a test of its contract."""

from __future__ import annotations

import os
import re
from pathlib import Path
from string import Template

from causaliqa.api.errors import InputError
from causaliqa.utils.files import check_folder, unwritten

__all__ = ["KINDS", "new_plugin"]

KINDS = ("metric", "backbone", "restorer", "sampler")
"""What a new plugin can provide."""

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")


def new_plugin(name: str, kind: str, folder: str | os.PathLike[str]) -> Path:
    """Write a plugin package with one entry, and its test.

    Args:
        name: name of the new entry: lower-case letters, digits, ``_`` and ``-``.
        kind: one of :data:`KINDS`.
        folder: parent folder of ``causaliqa-<name>/``.

    Returns:
        The folder of the package.

    Raises:
        InputError: the name or kind is not valid, the package exists, or the folder cannot be written to.
        OutputError: writing failed.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as temporary:
        ...     made = new_plugin("edge_loss", "metric", Path(temporary))
        ...     sorted(path.name for path in made.iterdir())
        ['README.md', 'causaliqa_edge_loss', 'pyproject.toml', 'setup.cfg', 'tests']
    """
    if kind not in KINDS:
        raise InputError(f"new-plugin: got kind {kind!r}, expected {' or '.join(KINDS)}")
    if not _NAME.fullmatch(name):
        raise InputError(f"new-plugin: got name {name!r}, expected lower-case letters and digits joined by _ or -")
    if kind in ("metric", "backbone") and "fid" in name:
        raise InputError(
            f"new-plugin: name {name!r} contains 'fid', which pyiqa takes for the FID metric; choose another"
        )
    thing = name.replace("-", "_")
    module = f"causaliqa_{thing}"
    package = Path(folder) / f"causaliqa-{thing.replace('_', '-')}"
    if package.exists():
        raise InputError(f"new-plugin: {package} is there already; choose another name or --out DIR")
    check_folder(package)
    words = {
        "name": thing,
        "kind": kind,
        "module": module,
        "distribution": package.name,
        "title": "".join(part.capitalize() for part in thing.split("_")),
    }
    try:
        for path, template in (
            ("setup.cfg", "setup.cfg"),
            ("pyproject.toml", "pyproject.toml"),
            ("README.md", f"{kind}.md"),
            (f"{module}/__init__.py", f"{kind}.py"),
            (f"{module}/py.typed", None),
            (f"tests/test_{thing}.py", "test.py"),
        ):
            file = package / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_filled(template, words) if template else "", encoding="utf-8")
    except OSError as error:
        raise unwritten(package, error) from error
    return package


def _filled(template: str, words: dict[str, str]) -> str:
    from importlib.resources import files

    text = files("causaliqa.testing").joinpath("templates", f"{template}.txt").read_text(encoding="utf-8")
    return Template(text).substitute(words)
