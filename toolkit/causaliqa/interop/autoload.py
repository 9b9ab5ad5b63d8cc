"""Makes our names known to pyiqa without anybody importing causaliqa.

torch calls :func:`autoload` at the end of its own import (entry-point group ``torch.backends``), so this module imports
nothing but the standard library's ``sys`` and ``os``. It only puts a finder on ``sys.meta_path`` that waits for pyiqa's
table of metrics. The post-import hooks of the package wrapt do the same, but importing wrapt costs four milliseconds in
every process that uses torch; this costs some microseconds.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["autoload", "register_archs"]

_TABLE = "pyiqa.default_model_configs"


class _Waiting:
    """A finder that lets the real ones find pyiqa's table, and adds our names once it has been executed."""

    def __init__(self) -> None:
        self._busy = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, module: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for pyiqa's table alone."""
        if fullname != _TABLE or self._busy:
            return None
        from importlib.util import find_spec

        self._busy = True
        try:
            spec = find_spec(fullname)
        finally:
            self._busy = False
        if spec is not None and spec.loader is not None:
            _after(spec.loader)
        return spec


def _after(loader: Any) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        _extend(module)

    loader.exec_module = exec_module


def _extend(table: ModuleType) -> None:
    """Add our names; whatever goes wrong, pyiqa stays usable."""
    try:
        from causaliqa.interop.bridge import extend

        extend(table.DEFAULT_CONFIGS)
    except Exception as error:
        print(f"causaliqa: its metrics are not known to pyiqa: {type(error).__name__}: {error}", file=sys.stderr)


def _switched_off() -> bool:
    from causaliqa.utils.environment import is_set

    return is_set("CAUSALIQA_NO_AUTOLOAD")


def autoload() -> None:
    """Wait for pyiqa; called by torch. Obeys ``CAUSALIQA_NO_AUTOLOAD=1`` and never raises."""
    try:
        if _switched_off() or any(isinstance(finder, _Waiting) for finder in sys.meta_path):
            return
        table = sys.modules.get(_TABLE)
        if table is not None and hasattr(table, "DEFAULT_CONFIGS"):
            _extend(table)
        else:
            sys.meta_path.insert(0, _Waiting())
    except Exception as error:
        print(f"causaliqa: {type(error).__name__}: {error}", file=sys.stderr)


def register_archs() -> None:
    """Tell pyiqa's registry how to build our metrics; called by pyiqa (entry-point group ``pyiqa.archs``)."""
    if not _switched_off():
        from causaliqa.interop.bridge import register_arch

        register_arch()
