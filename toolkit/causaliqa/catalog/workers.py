"""Work as it is sent to another process: names and options instead of objects, built once where they arrive."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import threading
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from causaliqa.api.errors import InputError, PluginError
from causaliqa.api.specs import MetricSpec

if TYPE_CHECKING:
    from causaliqa.api.data import ScoreKey, ScoreRow
    from causaliqa.api.protocols import Metric
    from causaliqa.api.specs import MetricSpec
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.evaluation.sharding import ScoreUnit

__all__ = [
    "MetricRecipe",
    "Workplace",
    "blind",
    "build_metric",
    "choose_device",
    "fixed_weights",
    "score_unit",
    "shelf",
]

_ONE_AT_A_TIME = threading.RLock()
"""Metrics and networks keep state, the current folder is the process's; a Dask worker may have several threads."""


def choose_device(wanted: str | None) -> str:
    """Return the device that was asked for, or the best there is.

    Raises:
        InputError: torch cannot use it.
    """
    import torch

    if wanted is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {wanted!r} cannot be used: {' '.join(str(error).split())[:200]}") from error
    return wanted


@contextlib.contextmanager
def fixed_weights() -> Iterator[None]:
    """Give weights that are drawn, not loaded, the same values in every process and run."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def build_metric(catalog: Catalog, request: str, device: str, seed: int) -> tuple[Metric, MetricSpec]:
    """Build a metric from ``NAME[:key=value,...]``; ``seed`` reaches metrics that take one and were given none."""
    from causaliqa.api.specs import MetricSpec
    from causaliqa.catalog.request import parse_request

    name, options = parse_request(request)
    spec = catalog.get(MetricSpec, name).spec
    if not isinstance(spec, MetricSpec):
        raise InputError(f"{name!r} is no metric")
    if spec.seeded:
        options.setdefault("seed", seed)
    try:
        # torch.hub announces downloads on stdout, which is for the result.
        with contextlib.redirect_stdout(sys.stderr), fixed_weights():
            return catalog.create_metric(name, device=device, **options), spec
    except PluginError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        raise PluginError(
            f"{error}; it fetches its weights itself: `causaliqa doctor score {name} IMG REF` names the files"
        ) from error


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where names and relative paths mean what they mean here."""

    folder: str
    """The current folder; every worker must see it under the same path."""
    registry: str | None = None
    """The user's registry.yaml."""
    disabled: tuple[str, ...] = ()
    """Plugins that are not loaded."""
    strict_plugins: bool = False
    """A plugin that fails is an error."""
    run: str = field(default_factory=lambda: uuid4().hex)
    """Tells runs apart: what a worker has built is not used in the next run, since files may have changed."""

    @contextlib.contextmanager
    def entered(self) -> Iterator[Catalog]:
        """Go there, and let its catalogue answer; one unit of work at a time.

        Raises:
            InputError: this process does not see the folder.
        """
        from causaliqa.catalog.create import use_catalog

        with _ONE_AT_A_TIME:
            before = Path.cwd()
            try:
                os.chdir(self.folder)
            except OSError as error:
                raise blind(self.folder) from error
            try:
                yield use_catalog(_catalog(self))
            finally:
                os.chdir(before)


def blind(path: object) -> InputError:
    """Return the error of a worker that lacks a file or folder."""
    return InputError(
        f"the worker on {platform.node()} does not see {path}; expected the same files under the same paths for every "
        "worker, so use a folder that all machines share"
    )


@lru_cache(maxsize=1)
def _catalog(place: Workplace) -> Catalog:
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.catalog.host import PluginHost
    from causaliqa.catalog.registry import load_registry

    return Catalog(PluginHost(disabled=place.disabled, strict=place.strict_plugins), load_registry(place.registry))


@lru_cache(maxsize=1)
def shelf(recipe: Hashable) -> dict[str, Any]:
    """Return what this process has built from a recipe; it forgets that of the recipe before."""
    return {}


@dataclass(frozen=True, kw_only=True)
class MetricRecipe:
    """Metrics by name, and how they are asked for."""

    place: Workplace
    """Where names mean something."""
    requests: tuple[tuple[str, str, ScoreKey], ...]
    """What rows call a metric, what was asked for, and what its scores depend on."""
    device: str | None = None
    """Device; None for the best that a worker has."""
    seed: int = 0
    """Seed of metrics that take one."""
    strict: bool = False
    """Raise at the first failure."""

    def metric(self, catalog: Catalog, label: str) -> Metric:
        """Return a metric, built if it was not asked for before.

        Raises:
            InputError: its version or weights differ from those of the process that sent the recipe.
        """
        built = shelf(self)
        if label not in built:
            request, expected = next((request, key) for name, request, key in self.requests if name == label)
            metric, _ = build_metric(catalog, request, choose_device(self.device), self.seed)
            if (got := getattr(metric, "key", None)) != expected:
                raise InputError(
                    f"metric {label!r} is another one on a worker: got {got}, expected {expected}; "
                    "install the same versions and the same weights everywhere"
                )
            built[label] = metric
        found: Metric = built[label]
        return found


def score_unit(recipe: MetricRecipe, unit: ScoreUnit) -> list[ScoreRow]:
    """Compute a unit of :func:`causaliqa.evaluation.sharding.score_elsewhere` in this process.

    Raises:
        InputError: this process does not see the images, or has other metrics.
        CausaliqaError: a metric failed, where the recipe is strict.
    """
    from causaliqa.evaluation.scoring import score_dataset

    with recipe.place.entered() as catalog:
        for pair in unit.dataset.pairs:
            # A file that is missing costs its row; a folder that is missing is another machine's.
            if not pair.dist.parent.is_dir():
                raise blind(pair.dist.parent)
        metrics = {label: recipe.metric(catalog, label) for label in unit.metrics}
        work = partial(score_dataset, device=choose_device(recipe.device), strict=recipe.strict)
        return list(work(metrics, unit.dataset))
