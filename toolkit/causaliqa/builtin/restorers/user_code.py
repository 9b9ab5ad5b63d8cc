"""A restorer from any Python factory: ``path/to/file.py:factory`` or ``module:factory``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from causaliqa.api.errors import InputError
from causaliqa.api.protocols import Restorer
from causaliqa.builtin.restorers.checkpoint import load_checkpoint
from causaliqa.utils.text import brief

__all__ = ["build", "find_factory"]


def _module_from(path: Path) -> ModuleType:
    """Import a file under a unique name, so that two files of the same name do not collide."""
    path = path.resolve()
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    name = f"causaliqa_user_{re.sub('[^A-Za-z0-9_]', '_', path.stem)}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"restorer: {str(path)!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def find_factory(where: str) -> Callable[..., Any]:
    """Return the function that ``path/to/file.py:factory`` or ``module:factory`` names.

    Raises:
        InputError: the file, the module or the function is missing, or importing it fails.

    Example:
        >>> find_factory("torch.nn:Identity").__name__
        'Identity'
    """
    place, _, name = where.rpartition(":")
    if not place or not name:
        raise InputError(f"restorer: got {where!r}, expected path/to/file.py:factory or module:factory")
    path = Path(place).expanduser() if place.endswith(".py") else None
    if path is not None and not path.is_file():
        raise InputError(f"restorer: {place!r} is no file; expected path/to/file.py:factory")
    try:
        module = importlib.import_module(place) if path is None else _module_from(path)
    except Exception as error:
        raise InputError(f"restorer: importing {place!r} failed: {brief(error)}") from error
    factory = getattr(module, name, None)
    if not callable(factory):
        offered = [
            k for k, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__
        ]
        raise InputError(f"restorer: {place!r} has no factory {name!r}; it offers {', '.join(offered) or 'none'}")
    found: Callable[..., Any] = factory
    return found


def build(*, where: str, checkpoint: str | os.PathLike[str] | None = None, **options: Any) -> Restorer:
    """Call a factory, and load a checkpoint into what it returns.

    Args:
        where: ``path/to/file.py:factory`` or ``module:factory``; the factory returns a module or a plain function
            ``(N, 3, h, w) -> (N, 3, s h, s w)``, both in [0, 1].
        checkpoint: a ``.pth`` or ``.safetensors`` file that fits the module.
        options: arguments of the factory.

    Raises:
        InputError: there is no such factory, it does not take the options, what it returns cannot be called, or the
            checkpoint does not fit it.

    Example:
        >>> import torch
        >>> build(where="torch.nn:Identity")(torch.ones(1, 3, 2, 2)).shape
        torch.Size([1, 3, 2, 2])
    """
    factory = find_factory(where)
    try:
        made = factory(**options)
    except TypeError as error:
        raise InputError(f"restorer {where!r}: {error}") from error
    if not callable(made):
        raise InputError(f"restorer {where!r} returned {type(made).__name__}, expected a module or a function")
    if isinstance(made, nn.Module):
        made = made.eval().requires_grad_(False)
        if checkpoint is not None:
            load_checkpoint(made, checkpoint)
    elif checkpoint is not None:
        raise InputError(f"restorer {where!r} returned a function, which takes no checkpoint; expected a module")
    restorer: Restorer = made
    return restorer
