"""Shared by all checks: the subject under test, photographs, comparisons, and the import test of a plugin."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, Generic, NoReturn, TypeVar

import numpy as np
import torch
from torch import Tensor

from causaliqa.api.errors import CausaliqaError
from causaliqa.api.hookspecs import HOOKS, hookimpl
from causaliqa.api.specs import RestorerSpec, Spec
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.discovery import EntryPoint
from causaliqa.catalog.host import PluginHost
from causaliqa.catalog.registry import load_registry
from causaliqa.io.photographs import photograph

__all__ = [
    "CLOSE",
    "AnySubject",
    "ContractError",
    "Subject",
    "check_repeats",
    "difference",
    "photo",
    "reseeded",
    "subject",
]

SpecT = TypeVar("SpecT", bound=Spec)

CLOSE = 1e-4
"""Largest relative difference that counts as rounding on one device."""

HEAVY = ("torch", "torchvision", "timm", "pyiqa", "pandas", "numba", "matplotlib")
"""Packages that hooks must not import."""

_PROBE = """
import json, sys
provider, heavy = json.loads(sys.argv[1])
from causaliqa.catalog.host import PluginHost
from causaliqa.catalog.discovery import discover
from causaliqa.api.hookspecs import KINDS
from causaliqa.api.specs import Lazy
entries = [e for e in discover() if e.provider == provider]
host = PluginHost(entry_points=lambda: entries, strict=True)
own = {e.module.partition(":")[0] for e in entries}
records = [r.spec for kind in KINDS.values() for r in host.registrations(kind).values()
           if not entries or r.provider == provider]
lazy = {s.factory.path.partition(":")[0] for s in records if isinstance(s.factory, Lazy)}
print(json.dumps([m for m in (*heavy, *sorted(lazy - own)) if m in sys.modules]))
"""
"""Script that calls every hook of a distribution and prints the modules that must not be imported."""


class ContractError(AssertionError):
    """A contract is broken; the message gives the clause and a remedy."""


@dataclass(frozen=True, kw_only=True)
class Subject(Generic[SpecT]):
    """The object under test."""

    catalog: Catalog
    """Catalogue that provides it."""
    name: str
    """Name in the catalogue."""
    spec: SpecT
    """Its spec."""

    def fail(self, clause: str, problem: str) -> NoReturn:
        """Raise a :class:`ContractError` that names the subject and the clause."""
        raise ContractError(f"{self.spec.noun} {self.name!r}: {clause}: {problem}")


def subject(thing: str | SpecT, kind: type[SpecT]) -> Subject[SpecT]:
    """Look up a name, or put a spec into a catalogue of its own.

    Raises:
        ContractError: the spec is not valid, or the hooks of its plugin import heavy packages.
        UnknownNameError: the name is unknown.
    """
    if isinstance(thing, str):
        catalog = default_catalog()
        # NAME:PART of a restorer belongs to the spec NAME.
        registered = catalog.find_restorer(thing)[0].spec.name if kind is RestorerSpec else thing
        found = catalog.get(kind, registered)
        made = Subject(catalog=catalog, name=thing, spec=found.spec)
        if loaded := _loaded_by(found.provider, tuple(sys.path)):
            made.fail("import", f"its hooks load {', '.join(loaded)}; import them inside the factory, or use lazy()")
        return made
    try:
        catalog = _alone(thing)
        catalog.get(kind, thing.name)
    except CausaliqaError as error:
        raise ContractError(f"record {getattr(thing, 'name', thing)!r}: {error}") from error
    return Subject(catalog=catalog, name=thing.name, spec=thing)


def _alone(spec: Spec) -> Catalog:
    def announce() -> list[Spec]:
        return [spec]

    hook = next((name for name, record in HOOKS.items() if isinstance(spec, record)), "causaliqa_metrics")
    plugin = ModuleType("under_test")
    setattr(plugin, hook, hookimpl(announce))
    entry = EntryPoint(distribution="under-test", version="", name="record", load=lambda: plugin)
    return Catalog(PluginHost(entry_points=lambda: [entry], strict=True), load_registry())


@lru_cache(maxsize=64)
def _loaded_by(provider: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the modules that the hooks of a distribution import in a fresh process although they must not."""
    question = json.dumps([provider, HEAVY])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    command = [sys.executable, "-c", _PROBE, question]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise ContractError(f"plugin {provider!r}: import: {done.stderr.strip().splitlines()[-1]}")
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def photo(height: int = 168, width: int = 184, *, name: str = "astronaut") -> Tensor:
    """Return a natural image ``(1, 3, height, width)`` in [0, 1], by default not square."""
    array = photograph(name)[20 : 20 + height, 120 : 120 + width]
    return torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1)[None].float() / 255


def difference(one: Tensor, other: Tensor) -> float:
    """Return the largest difference, relative to the largest magnitude if above 1; infinite if NaN differ."""
    one, other = one.detach().cpu().double(), other.detach().cpu().double()
    if one.shape != other.shape or not torch.equal(one.isfinite(), other.isfinite()):
        return float("inf")
    one, other = one.nan_to_num(), other.nan_to_num()
    return float((one - other).abs().max() / one.abs().max().clamp_min(1))


@contextlib.contextmanager
def reseeded(seed: int) -> Iterator[None]:
    """Seed every global generator, and restore its state afterwards: results must not depend on them."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


AnySubject = Subject[Any]
"""A subject of any kind."""


def check_repeats(made: AnySubject, call: Callable[[], Any], *inputs: Tensor, what: str) -> Any:
    """Call twice with different global seeds; results must be bit-equal, and inputs must not change.

    Returns:
        The first result; the caller checks its type.

    Raises:
        ContractError: the results differ, or an input was changed.
    """
    before = [x.clone() for x in inputs]
    with reseeded(1):
        first = call()
    if not all(torch.equal(x, was) for x, was in zip(inputs, before, strict=True)):
        made.fail("input", "an image is changed in place; work on a copy")
    with reseeded(2):
        second = call()
    pairs = zip(*(v if isinstance(v, (list, tuple)) else [v] for v in (first, second)), strict=False)
    if any(isinstance(a, Tensor) and isinstance(b, Tensor) and difference(a, b) > 0 for a, b in pairs):
        made.fail("determinism", f"{what}; draw from a generator of your own, and put networks into eval()")
    return first
