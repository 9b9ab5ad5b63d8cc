"""The part of the leaderboard job that runs in a worker."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from causaliqa.api.data import ScoreKey, ScoreRow
from causaliqa.api.errors import InputError
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.workers import WorkerContext, build_metric, missing_on_worker, process_cache
from causaliqa.evaluation.pair_score import BatchScorer
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.evaluation.scoring import score_dataset
from causaliqa.evaluation.sharding import ScoreUnit
from causaliqa.utils.devices import choose_device

if TYPE_CHECKING:
    from causaliqa.catalog.built_metric import BuiltMetric

__all__ = ["MetricRecipe", "score_unit"]


@dataclass(frozen=True, kw_only=True)
class MetricRecipe:
    """Metrics by name, and how they are asked for."""

    context: WorkerContext
    """How names and paths are resolved."""
    requests: tuple[tuple[str, str, ScoreKey], ...]
    """What rows call a metric, what was asked for, and what its scores depend on."""
    device: str | None = None
    """Device; None for the best that a worker has."""
    seed: int = 0
    """Seed of metrics that take one."""
    strict: bool = False
    """Raise at the first failure."""
    prepare: Preparation = AS_THEY_ARE
    """What is done to every pair before."""

    def metric(self, catalog: Catalog, label: str) -> BuiltMetric:
        """Return a metric, built if it was not asked for before.

        Raises:
            InputError: its version or weights differ from those of the process that sent the recipe.
        """
        cache = process_cache(self)
        built, backbones = (cache.setdefault(kind, {}) for kind in ("metrics", "backbones"))
        if label not in built:
            request, expected = next((request, key) for name, request, key in self.requests if name == label)
            metric = build_metric(catalog, request, choose_device(self.device), self.seed, backbones)
            if (got := metric.key) != expected:
                raise InputError(
                    f"metric {label!r} is another one on a worker: got {got}, expected {expected}; "
                    "install the same versions and the same weights everywhere"
                )
            built[label] = metric
        found: BuiltMetric = built[label]
        return found


def score_unit(recipe: MetricRecipe, unit: ScoreUnit) -> list[ScoreRow]:
    """Compute a unit of :func:`causaliqa.evaluation.sharding.score_elsewhere` in this process.

    Raises:
        InputError: this process does not see the images, or has other metrics.
        CausaliqaError: a metric failed, where the recipe is strict.
    """
    with recipe.context.entered() as catalog:
        for pair in unit.dataset.pairs:
            # A file that is missing costs its row; a folder that is missing is another machine's.
            if not pair.dist.parent.is_dir():
                raise missing_on_worker(pair.dist.parent)
        metrics = {label: recipe.metric(catalog, label) for label in unit.metrics}
        scorer = process_cache(recipe).setdefault("scorer", BatchScorer())
        work = partial(score_dataset, strict=recipe.strict, prepare=recipe.prepare, scorer=scorer)
        return list(work(metrics, unit.dataset, device=choose_device(recipe.device)))
