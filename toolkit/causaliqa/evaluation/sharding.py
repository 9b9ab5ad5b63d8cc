"""A data set in parts: shards for independent processes, units for the workers of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, islice
from typing import TYPE_CHECKING

from causaliqa.api.data import PairDataset, ScoreKey, ScoreRow
from causaliqa.api.errors import CausaliqaError
from causaliqa.api.protocols import Metric
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.evaluation.prepared_pairs import PairPreparer
from causaliqa.evaluation.scoring import by_reference, keys_of, row_of
from causaliqa.io.images import image_key

if TYPE_CHECKING:
    from causaliqa.evaluation.store import ScoreStore

    Send = Callable[[Iterable["ScoreUnit"]], Iterator[tuple["ScoreUnit", Sequence[ScoreRow] | CausaliqaError]]]

__all__ = ["ScoreUnit", "score_elsewhere", "shard"]

_UNIT_SIZE = 8
"""Most pairs in a unit: an interrupted run loses at most one unit per worker."""


def shard(dataset: PairDataset, number: int, count: int) -> PairDataset:
    """Return the share ``number`` (from 1) of ``count``: every reference's pairs stay together.

    >>> from pathlib import Path
    >>> from causaliqa.api.data import Pair
    >>> pairs = tuple(Pair(ref=Path(ref), dist=Path(f"{k}.png"), label=1.0) for k, ref in enumerate("abca"))
    >>> data = PairDataset(name="d", pairs=pairs, label="mos", label_lower_better=False)
    >>> [[pair.dist.name for pair in shard(data, number, 2).pairs] for number in (1, 2)]
    [['0.png', '2.png', '3.png'], ['1.png']]
    """
    refs = sorted({dataset.image_name(pair.ref) for pair in dataset.pairs})
    mine = set(refs[number - 1 :: count])
    return replace(dataset, pairs=tuple(pair for pair in dataset.pairs if dataset.image_name(pair.ref) in mine))


@dataclass(frozen=True, kw_only=True)
class ScoreUnit:
    """Scores that one worker computes: some pairs of one reference, by the metrics that lack them."""

    dataset: PairDataset
    """The data set, with these pairs only."""
    metrics: tuple[str, ...]
    """Names of the metrics."""
    places: tuple[int, ...]
    """Where the pairs are in the whole data set."""


def score_elsewhere(
    metrics: Mapping[str, Metric],
    dataset: PairDataset,
    send: Send,
    *,
    strict: bool = False,
    store: ScoreStore | None = None,
    prepare: Preparation = AS_THEY_ARE,
    progress: Callable[[int], object] | None = None,
) -> Iterator[ScoreRow]:
    """Yield what :func:`score_dataset` yields, computed by other processes, whatever the order of their answers.

    Only pairs that the store lacks are sent, and results are written as they arrive; workers never write the store.

    Args:
        metrics: metrics by the name that rows shall carry; only their facts are used.
        dataset: labelled pairs.
        send: gives units to workers, which call :func:`score_dataset` on each, and yields them with their rows, or
            with the reason why there are none.
        strict: raise instead of writing a failure down.
        store: see :func:`score_dataset`.
        prepare: what the workers do to every pair before.
        progress: called with the number of rows just finished.

    Raises:
        CausaliqaError: a metric failed, under ``strict``.
        InputError: a store is given and a metric has no ``key``.
    """
    keys: dict[int, dict[str, ScoreKey]] = {}
    rows: dict[int, dict[str, ScoreRow]] = {k: {} for k in range(len(dataset.pairs))}
    hashed = lru_cache(maxsize=2)(image_key)
    preparer = PairPreparer(prepare)

    def finished(k: int, row: ScoreRow) -> None:
        if store is not None:
            store.put(keys[k][row.metric], row)
        rows[k][row.metric] = row
        if progress is not None:
            progress(1)

    def lacking() -> Iterator[tuple[int, tuple[str, ...]]]:
        for k, pair in by_reference(dataset):
            if store is not None:
                keys[k] = keys_of(metrics, dataset.name, pair, hashed, preparer)
                known = store.get(keys[k].values())
                for name in [name for name, key in keys[k].items() if key in known]:
                    found = known[keys[k][name]]
                    facts = {"lower_better": metrics[name].lower_better, "score": found.score, "seconds": found.seconds}
                    finished(k, row_of(dataset, name, pair, **facts))
            if left := tuple(name for name in metrics if name not in rows[k]):
                yield k, left

    done = 0
    for unit, answer in send(_units(dataset, lacking())):
        if isinstance(answer, CausaliqaError):
            if strict:
                raise answer
            for k in unit.places:
                for name in unit.metrics:
                    facts = {"lower_better": metrics[name].lower_better, "score": None, "error": str(answer)}
                    finished(k, row_of(dataset, name, dataset.pairs[k], **facts))
        else:
            places = [k for k in unit.places for _ in unit.metrics]
            for k, row in zip(places, answer, strict=True):
                finished(k, row)
        while done < len(rows) and len(rows[done]) == len(metrics):
            yield from (rows[done].pop(name) for name in metrics)
            done += 1
    for k in range(done, len(rows)):
        yield from (rows[k][name] for name in metrics)


def _units(dataset: PairDataset, lacking: Iterable[tuple[int, tuple[str, ...]]]) -> Iterator[ScoreUnit]:
    """Group consecutive pairs that share a reference and lack the same metrics."""
    for (_, metrics), group in groupby(lacking, key=lambda item: (dataset.pairs[item[0]].ref, item[1])):
        numbers = (k for k, _ in group)
        while places := tuple(islice(numbers, _UNIT_SIZE)):
            part = replace(dataset, pairs=tuple(dataset.pairs[k] for k in places))
            yield ScoreUnit(dataset=part, metrics=metrics, places=places)
