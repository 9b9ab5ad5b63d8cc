"""Write the package of a new plugin: one record, one class, one test that holds it to its contract."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from causaliqa.api.errors import InputError

__all__ = ["KINDS", "new_plugin"]

KINDS = ("metric", "backbone", "restorer", "sampler")
"""What a new plugin can provide."""

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")


def new_plugin(name: str, kind: str, folder: Path) -> Path:
    """Write a package that provides one thing, and a test of it.

    Args:
        name: what the thing will be called: lower-case letters, digits, ``_`` and ``-``.
        kind: one of :data:`KINDS`.
        folder: where ``causaliqa-<name>/`` goes.

    Returns:
        The folder of the package.

    Raises:
        InputError: the name or kind cannot be used, or the package is there already.

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
    package = folder / f"causaliqa-{thing.replace('_', '-')}"
    if package.exists():
        raise InputError(f"new-plugin: {package} is there already; choose another name or --out DIR")
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
        raise InputError(f"new-plugin: {package} cannot be written: {error.strerror or error}") from error
    return package


def _filled(template: str, words: dict[str, str]) -> str:
    from importlib.resources import files

    text = files("causaliqa.testing").joinpath("templates", f"{template}.txt").read_text(encoding="utf-8")
    return Template(text).substitute(words)
