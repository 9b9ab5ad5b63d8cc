"""The records of one plugin: registered with pluggy, asked for, and checked before anybody uses them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pluggy

from causaliqa.api import hookspecs
from causaliqa.api.errors import PluginError
from causaliqa.api.specs import MetricSpec, Spec
from causaliqa.catalog.training import spec_problem

__all__ = ["register"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def register(manager: pluggy.PluginManager, canonical: str, load: Callable[[], Any]) -> list[Spec]:
    """Import, register, call and check one plugin; leave no trace of it if any step fails.

    Args:
        manager: knows the hooks.
        canonical: name of the plugin, ``distribution:entry``.
        load: imports the plugin and returns it.

    Raises:
        PluginError: the plugin implements no hook, or returns something else than records.
        Exception: whatever the plugin's own code raises.
    """
    plugin = load()
    try:
        manager.register(plugin, name=canonical)
        return list(_records(manager, plugin, canonical))
    except BaseException:
        if manager.has_plugin(canonical):
            manager.unregister(name=canonical)
        raise


def _records(manager: pluggy.PluginManager, plugin: Any, canonical: str) -> Iterator[Spec]:
    callers = manager.get_hookcallers(plugin) or []
    if not callers:
        raise PluginError(f"it implements no hook; expected functions marked with causaliqa.hookimpl named {_hooks()}")
    seen: set[tuple[str, str]] = set()
    for caller in callers:
        if caller.name not in hookspecs.HOOKS:
            raise PluginError(f"unknown hook {caller.name!r}; expected {_hooks()}")
        expected = hookspecs.HOOKS[caller.name]
        for impl in caller.get_hookimpls():
            if impl.plugin_name != canonical:
                continue
            if impl.hookwrapper or impl.wrapper:
                raise PluginError(f"hook {caller.name!r} is a wrapper, which this host does not call")
            result: Any = impl.function()
            if result is None or isinstance(result, (str, Spec)):
                raise PluginError(f"hook {caller.name!r} returned {result!r}, expected a list of {expected.__name__}")
            for spec in result:
                _validate(spec, expected, caller.name)
                if (spec.kind, spec.name) in seen:
                    raise PluginError(f"it provides {spec.noun} {spec.name!r} twice")
                seen.add((spec.kind, spec.name))
                yield spec


def _hooks() -> str:
    return ", ".join(hookspecs.HOOKS)


def _validate(spec: Any, expected: type[Spec], hook: str) -> None:
    if not isinstance(spec, expected):
        raise PluginError(f"hook {hook!r} returned a {type(spec).__name__}, expected {expected.__name__}")
    if not isinstance(spec.name, str) or not _NAME.fullmatch(spec.name):
        raise PluginError(f"name {spec.name!r}: expected letters, digits and _ . + - only")
    if expected.kind in ("metrics", "backbones") and "fid" in spec.name:
        raise PluginError(f"name {spec.name!r} contains 'fid', which pyiqa takes for the FID metric; choose another")
    if not callable(spec.factory):
        raise PluginError(f"{spec.name!r}: factory is {spec.factory!r}, expected a callable")
    for text in ("summary", "licence"):
        if not isinstance(getattr(spec, text), str) or not getattr(spec, text).strip():
            raise PluginError(f"{spec.name!r}: {text} is empty, expected one line")
    if isinstance(spec, MetricSpec) and (problem := spec_problem(spec)):
        raise PluginError(f"{spec.name!r}: {problem}")
