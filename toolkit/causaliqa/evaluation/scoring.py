"""The scoring job: metrics x data sets -> rows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from causaliqa.api.data import Pair, PairDataset, ScoreKey, ScoreRow
from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.api.protocols import Metric
from causaliqa.evaluation.image_reader import ImageReader
from causaliqa.evaluation.pair_score import BatchScorer
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.evaluation.prepared_pairs import PairPreparer, PreparedPair
from causaliqa.io.images import image_key
from causaliqa.utils.text import one_line

if TYPE_CHECKING:
    import pandas as pd

    from causaliqa.evaluation.image_reader import Image
    from causaliqa.evaluation.store import ScoreStore

__all__ = [
    "by_reference",
    "frame_of",
    "given_rows",
    "keys_of",
    "refuse_hdr",
    "row_of",
    "score_dataset",
]

T = TypeVar("T")
_BATCH = 16
"""Pairs that are scored at once on devices other than the CPU."""
_READERS = 4
"""Threads that decode images for a batch."""


@dataclass(frozen=True, kw_only=True)
class _Task:
    """A pair of a data set that is to be scored by all metrics."""

    number: int
    """Its place in the data set."""
    pair: Pair
    """The pair."""
    keys: Mapping[str, ScoreKey]
    """What its scores depend on, by metric; empty without a store."""
    ready: Callable[[], PreparedPair | CausaliqaError]
    """Returns its images as they are scored, or why they cannot be."""


def score_dataset(
    metrics: Mapping[str, Metric],
    dataset: PairDataset,
    *,
    device: str = "cpu",
    strict: bool = False,
    store: ScoreStore | None = None,
    prepare: Preparation = AS_THEY_ARE,
    progress: Callable[[int], object] | None = None,
    batch: int | None = None,
    scorer: BatchScorer | None = None,
) -> Iterator[ScoreRow]:
    """Yield one row per pair and metric, in the order of the data set, then of the metrics.

    Work goes reference by reference, so that an image is decoded once and metrics can keep its features; a score does
    not depend on that order. A metric that fails on a pair gives a row that says why.

    Args:
        metrics: metrics by the name that rows shall carry.
        dataset: labelled pairs.
        device: where the metrics are.
        strict: raise instead of writing a failure down.
        store: a score that is there is not computed again, new ones are written before the next batch is begun.
            Failures are tried again.
        prepare: what is done to every pair before; a score of another preparation is another score.
        progress: called with the number of rows just finished.
        batch: pairs that are scored at once by metrics that take batches, see :class:`BatchScorer`; by default 1 on
            the CPU, where scores are those of single pairs to the last bit, and 16 on other devices.
        scorer: knows which metrics take batches; give the same to several calls, so that each is measured once.

    Raises:
        CausaliqaError: a metric failed, under ``strict``.
        InputError: a store is given and a metric has no ``key``, as :func:`causaliqa.create_metric` gives it one; or
            images of high dynamic range are asked for.
    """
    refuse_hdr(prepare)
    rows: dict[int, list[ScoreRow]] = {}
    done = 0
    if batch is None:
        batch = 1 if device == "cpu" else _BATCH
    scorer = BatchScorer() if scorer is None else scorer
    with ImageReader(device, threads=min(batch, _READERS)) as reader:
        tasks = _ahead(_tasks(metrics, dataset, reader, store, PairPreparer(prepare)), 2 * batch - 1)
        while chunk := list(islice(tasks, batch)):
            known = [store.get(task.keys.values()) if store is not None else {} for task in chunk]
            for name, metric in metrics.items():
                stored = [have.get(task.keys[name]) if have else None for have, task in zip(known, chunk, strict=True)]
                missing = [task for task, score in zip(chunk, stored, strict=True) if score is None]
                computed = iter(_compute(name, metric, missing, scorer, strict))
                for task, score in zip(chunk, stored, strict=True):
                    result = {"score": score.score, "seconds": score.seconds} if score else next(computed)
                    row = row_of(dataset, name, task.pair, lower_better=metric.lower_better, **result)
                    if store is not None:
                        store.put(task.keys[name], row)
                    rows.setdefault(task.number, []).append(row)
                    if progress is not None:
                        progress(1)
            while done in rows:
                yield from rows.pop(done)
                done += 1


def refuse_hdr(prepare: Preparation) -> None:
    """Refuse high dynamic range, whose pairs must be read together, where images are read one by one.

    Raises:
        InputError: it is asked for.
    """
    if prepare.hdr:
        raise InputError(
            f"hdr: got {prepare.hdr!r}, expected ordinary images here; `causaliqa score`, `compare` and "
            "`rd` take high dynamic range"
        )


def _tasks(
    metrics: Mapping[str, Metric],
    dataset: PairDataset,
    reader: ImageReader,
    store: ScoreStore | None,
    preparer: PairPreparer,
) -> Iterator[_Task]:
    """Yield all pairs with their keys; their images are being read, where a score is missing."""
    hashed = lru_cache(maxsize=2)(image_key)
    for k, pair in by_reference(dataset):
        keys = keys_of(metrics, dataset.name, pair, hashed, preparer) if store is not None else {}
        complete = store is not None and len(store.get(keys.values())) == len(set(keys.values()))
        images = () if complete else (reader.start_reference(pair.ref), reader.start(pair.dist))
        yield _Task(number=k, pair=pair, keys=keys, ready=cache(partial(_ready, preparer, pair, images, reader)))


def _ahead(items: Iterator[T], count: int) -> Iterator[T]:
    """Fetch so many items before the one in front of them is worked on: their images are decoded meanwhile."""
    waiting = deque(islice(items, count))
    for item in items:
        waiting.append(item)
        yield waiting.popleft()
    yield from waiting


def by_reference(dataset: PairDataset) -> list[tuple[int, Pair]]:
    """Return all pairs with their indices, sorted by reference."""
    return sorted(enumerate(dataset.pairs), key=lambda item: (str(item[1].ref), item[0]))


def keys_of(
    metrics: Mapping[str, Metric], dataset: str, pair: Pair, hashed: Callable[[Path], str], preparer: PairPreparer
) -> dict[str, ScoreKey]:
    """Return what the score of a pair depends on, by metric.

    Args:
        metrics: metrics by name.
        dataset: name of the data set.
        pair: the pair.
        hashed: returns what an image is known by.
        preparer: what is done to the pair before.

    Raises:
        InputError: a metric has no ``key``.
    """
    keys = {}
    for name, metric in metrics.items():
        key = getattr(metric, "key", None)
        if not isinstance(key, ScoreKey):
            raise InputError(f"store: metric {name!r} has no key; build it with causaliqa.create_metric")
        ref_hash = hashed(pair.ref) if pair.ref else ""
        protocol = " ".join(filter(None, (key.protocol, preparer.key)))
        keys[name] = replace(key, dataset=dataset, img_hash=hashed(pair.dist), ref_hash=ref_hash, protocol=protocol)
    return keys


def _ready(
    preparer: PairPreparer, pair: Pair, images: tuple[Image, ...], reader: ImageReader
) -> PreparedPair | CausaliqaError:
    """Return a pair as it is scored, or why it cannot be."""
    ref, img = (image() for image in images or (reader.start_reference(pair.ref), reader.start(pair.dist)))
    for found in (ref, img):
        if isinstance(found, CausaliqaError):
            return found
    try:
        return preparer(img, ref, pair.ref)  # type: ignore[arg-type]
    except CausaliqaError as error:
        return error


def _compute(
    name: str, metric: Metric, tasks: Sequence[_Task], scorer: BatchScorer, strict: bool
) -> Iterator[dict[str, Any]]:
    """Yield score, error and seconds of every pair."""
    images = [task.ready() for task in tasks]
    start = time.perf_counter()
    sound = [pair for pair in images if isinstance(pair, PreparedPair)]
    scores = iter(scorer(name, metric, sound))
    found = [next(scores) if isinstance(pair, PreparedPair) else pair for pair in images]
    seconds = (time.perf_counter() - start) / max(1, len(sound))
    for task, score in zip(tasks, found, strict=True):
        if not isinstance(score, Exception):
            yield {"score": score, "error": "", "seconds": seconds}
            continue
        if strict:
            raise CausaliqaError(f"{name} failed on {task.pair.dist}: {score}") from score
        text = " ".join(str(score).split())[:300]
        error = text if isinstance(score, CausaliqaError) else f"{type(score).__name__}: {text}"
        yield {"score": None, "error": error, "seconds": seconds}


def row_of(dataset: PairDataset, metric: str, pair: Pair, **result: Any) -> ScoreRow:
    """Return the row of a pair, with what was found."""
    low, high = dataset.label_range or (None, None)
    # Messages name files, whose names may hold bytes that are no text.
    result["error"] = one_line(result.get("error", ""))
    return ScoreRow(
        dataset=dataset.name,
        metric=metric,
        ref=dataset.image_name(pair.ref),
        dist=dataset.image_name(pair.dist),
        label=pair.label,
        type=pair.type,
        level=pair.level,
        split=pair.split,
        label_lower_better=dataset.label_lower_better,
        label_std=pair.label_std,
        label_low=low,
        label_high=high,
        **result,
    )


def given_rows(
    dataset: PairDataset, metric: str, *, lower_better: bool, scores: Mapping[int, float | None], reason: str
) -> Iterator[ScoreRow]:
    """Yield one row per pair from scores that were not computed here.

    Args:
        dataset: labelled pairs; their images are not opened.
        metric: what rows shall call the metric.
        lower_better: direction of the metric.
        scores: by the number of the pair in the data set.
        reason: why a pair failed that has no score, or None for one.

    Example:
        >>> pair = Pair(ref=None, dist=Path("a.png"), label=3.0)
        >>> dataset = PairDataset(name="d", pairs=(pair, pair), label="mos", label_lower_better=False)
        >>> rows = given_rows(dataset, "m", lower_better=True, scores={0: 7.5}, reason="not there")
        >>> [(row.score, row.error) for row in rows]
        [(7.5, ''), (None, 'not there')]
    """
    for number, pair in enumerate(dataset.pairs):
        score = scores.get(number)
        yield row_of(
            dataset, metric, pair, lower_better=lower_better, score=score, error="" if score is not None else reason
        )


def frame_of(rows: Iterable[ScoreRow]) -> pd.DataFrame:
    """Return rows as a frame with the columns of :class:`~causaliqa.api.data.ScoreRow`, also where there is none."""
    lines = [vars(row) for row in rows]
    import pandas as pd  # only now: the rows may be what is computed for hours

    return pd.DataFrame(lines, columns=[field.name for field in fields(ScoreRow)])
