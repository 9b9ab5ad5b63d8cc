"""Score labelled data sets in one call: what :func:`causaliqa.rank` needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import PairDataset
from causaliqa.api.errors import InputError
from causaliqa.api.protocols import Metric
from causaliqa.catalog.catalog import Backbones
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.workers import build_metric
from causaliqa.evaluation.pair_score import BatchScorer, metric_name
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.evaluation.prepared_pairs import PairPreparer
from causaliqa.evaluation.scoring import frame_of, refuse_hdr, score_dataset

if TYPE_CHECKING:
    import pandas as pd

    from causaliqa.evaluation.store import ScoreStore

__all__ = ["evaluate"]


def evaluate(
    metrics: Mapping[str, Metric] | str | Metric | Iterable[str | Metric],
    datasets: PairDataset | Iterable[PairDataset],
    *,
    device: str = "cpu",
    strict: bool = False,
    store: ScoreStore | None = None,
    prepare: Preparation = AS_THEY_ARE,
    progress: Callable[[int], object] | None = None,
) -> pd.DataFrame:
    """Score data sets and return one line per pair and metric.

    Args:
        metrics: names, or objects from :func:`causaliqa.create_metric`, or a mapping from labels to objects.
        datasets: data sets, for example from :func:`causaliqa.read_manifest`.
        device: where the metrics are.
        strict: raise at the first failure instead of writing it down.
        store: where scores are kept and taken from.
        prepare: what is done to every pair before: luma alone, border cut off, shift undone, resized, masked.
        progress: called with the number of scores just finished.

    Returns:
        Columns of :class:`~causaliqa.api.data.ScoreRow`: what :func:`causaliqa.rank` needs.
    """
    named = metrics if isinstance(metrics, Mapping) else _by_name(metrics, device)
    sets = [datasets] if isinstance(datasets, PairDataset) else list(datasets)
    modes = {name: getattr(metric, "metric_mode", "FR") for name, metric in named.items()}
    refuse_hdr(prepare)
    PairPreparer(prepare).check(modes, (pair.ref for dataset in sets for pair in dataset.pairs))
    work = partial(score_dataset, device=device, strict=strict, store=store, prepare=prepare, progress=progress)
    scorer = BatchScorer()
    return frame_of(row for dataset in sets for row in work(named, dataset, scorer=scorer))


def _by_name(metrics: str | Metric | Iterable[str | Metric], device: str) -> dict[str, Metric]:
    single = isinstance(metrics, str) or not isinstance(metrics, Iterable)
    given: list[Any] = [metrics] if single else list(metrics)  # type: ignore[arg-type]
    named: dict[str, Metric] = {}
    backbones: Backbones = {}
    for metric in given:
        if not isinstance(metric, str) and not callable(metric):
            raise InputError(f"metrics: got {metric!r}, expected names, or objects from causaliqa.create_metric")
        name = metric if isinstance(metric, str) else metric_name(metric)
        built = build_metric(default_catalog(), metric, device, 0, backbones) if isinstance(metric, str) else metric
        named[name] = built
    return named
