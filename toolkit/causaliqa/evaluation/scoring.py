"""The scoring job: metrics x data sets -> rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from causaliqa.api.data import Pair, PairDataset, ScoreKey, ScoreRow
from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.api.protocols import Metric
from causaliqa.catalog.catalog import Backbones
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.workers import build_metric
from causaliqa.io.images import image_key, load_image
from causaliqa.utils import memory
from causaliqa.utils.text import one_line

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from causaliqa.evaluation.store import ScoreStore

    Image = Callable[[], Tensor | CausaliqaError]

__all__ = [
    "by_reference",
    "evaluate",
    "frame_of",
    "given_rows",
    "keys_of",
    "row_of",
    "score_dataset",
    "score_pair",
]

T = TypeVar("T")


def score_pair(metric: Metric, img: Tensor, ref: Tensor) -> float:
    """Score one pair ``(1, 3, H, W)`` on the metric's device; on the CPU by one thread.

    Raises:
        CausaliqaError: the score is not a finite number, or there is too little memory.
    """
    import torch

    pixels = img.shape[-2] * img.shape[-1]
    remedy = "crop the images or make them smaller"
    least = getattr(metric, "bytes_per_pixel", 0.0) * pixels
    memory.require(least, f"{_name(metric)} on {_size(img)} pixels", device=str(img.device), remedy=remedy)
    try:
        with torch.no_grad(), _one_thread(img):
            score = float(metric(img, ref).reshape(-1)[0])
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        raise CausaliqaError(f"memory ran out on {_size(img)} pixels; {remedy}") from error
    except RuntimeError as error:
        # This is all that torch says of the CPU's.
        if "can't allocate memory" not in str(error):
            raise
        raise CausaliqaError(f"memory ran out on {_size(img)} pixels; {remedy}") from error
    if not math.isfinite(score):
        raise CausaliqaError(f"the score is {score}")
    return score


@contextmanager
def _one_thread(img: Tensor) -> Iterator[None]:
    """Several threads split a sum over an image, and round it differently for every number of them."""
    import torch

    count = torch.get_num_threads() if img.device.type == "cpu" else 1
    if count > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if count > 1:
            torch.set_num_threads(count)


def score_dataset(
    metrics: Mapping[str, Metric],
    dataset: PairDataset,
    *,
    device: str = "cpu",
    strict: bool = False,
    store: ScoreStore | None = None,
    progress: Callable[[int], object] | None = None,
) -> Iterator[ScoreRow]:
    """Yield one row per pair and metric, in the order of the data set, then of the metrics.

    Work goes reference by reference, so that an image is decoded once and metrics can keep its features; a score does
    not depend on that order. A metric that fails on a pair gives a row that says why.

    Args:
        metrics: metrics by the name that rows shall carry.
        dataset: labelled pairs.
        device: where the metrics are.
        strict: raise instead of writing a failure down.
        store: a score that is there is not computed again, a new one is written before the next is begun. Failures
            are tried again.
        progress: called with the number of rows just finished.

    Raises:
        CausaliqaError: a metric failed, under ``strict``.
        InputError: a store is given and a metric has no ``key``, as :func:`causaliqa.create_metric` gives it one.
    """
    rows: dict[int, list[ScoreRow]] = {}
    done = 0
    reference = lru_cache(maxsize=1)(lambda path: _load(path, device))
    hashed = lru_cache(maxsize=2)(image_key)
    with ThreadPoolExecutor(1) as reader:

        def prepared() -> Iterator[tuple[int, dict[str, ScoreKey], Image]]:
            """Pairs with their keys, and their images, decoded only where a score is missing."""
            for k, pair in by_reference(dataset):
                keys = keys_of(metrics, dataset.name, pair, hashed) if store is not None else {}
                complete = store is not None and len(store.get(keys.values())) == len(set(keys.values()))
                load = partial(_load, pair.dist, device)
                yield k, keys, load if complete else reader.submit(load).result

        for k, keys, image in _one_ahead(prepared()):
            pair = dataset.pairs[k]
            known = store.get(keys.values()) if store is not None else {}
            rows[k] = []
            for name, metric in metrics.items():
                if stored := known.get(keys[name]) if keys else None:
                    result = {"score": stored.score, "seconds": stored.seconds}
                else:
                    result = _compute(name, metric, pair, image, reference, strict)
                row = row_of(dataset, name, pair, lower_better=metric.lower_better, **result)
                if store is not None:
                    store.put(keys[name], row)
                rows[k].append(row)
                if progress is not None:
                    progress(1)
            while done in rows:
                yield from rows.pop(done)
                done += 1


def by_reference(dataset: PairDataset) -> list[tuple[int, Pair]]:
    """Return all pairs with their indices, sorted by reference."""
    return sorted(enumerate(dataset.pairs), key=lambda item: (str(item[1].ref), item[0]))


def _one_ahead(items: Iterable[T]) -> Iterator[T]:
    """Fetch an item before the one in front of it is worked on: its image is decoded meanwhile."""
    waiting: list[T] = []
    for item in items:
        waiting.append(item)
        if len(waiting) > 1:
            yield waiting.pop(0)
    yield from waiting


def keys_of(
    metrics: Mapping[str, Metric], dataset: str, pair: Pair, hashed: Callable[[Path], str]
) -> dict[str, ScoreKey]:
    """Return what the score of a pair depends on, by metric.

    Raises:
        InputError: a metric has no ``key``.
    """
    keys = {}
    for name, metric in metrics.items():
        key = getattr(metric, "key", None)
        if not isinstance(key, ScoreKey):
            raise InputError(f"store: metric {name!r} has no key; build it with causaliqa.create_metric")
        ref_hash = hashed(pair.ref) if pair.ref else ""
        keys[name] = replace(key, dataset=dataset, img_hash=hashed(pair.dist), ref_hash=ref_hash)
    return keys


def _load(path: Path | None, device: str) -> Tensor | CausaliqaError:
    if path is None:
        return CausaliqaError("no reference is known")
    try:
        return load_image(path).to(device)
    except CausaliqaError as error:
        return error


def _compute(
    name: str,
    metric: Metric,
    pair: Pair,
    image: Image,
    reference: Callable[[Path | None], Tensor | CausaliqaError],
    strict: bool,
) -> dict[str, Any]:
    start = time.perf_counter()
    score, error = None, ""
    try:
        ref, img = reference(pair.ref), image()
        if isinstance(ref, CausaliqaError):
            raise ref
        if isinstance(img, CausaliqaError):
            raise img
        if img.shape != ref.shape:
            raise CausaliqaError(f"sizes differ: {_size(img)} against {_size(ref)}")
        score = score_pair(metric, img, ref)
    except Exception as problem:
        if strict:
            raise CausaliqaError(f"{name} failed on {pair.dist}: {problem}") from problem
        text = " ".join(str(problem).split())[:300]
        error = text if isinstance(problem, CausaliqaError) else f"{type(problem).__name__}: {text}"
    return {"score": score, "error": error, "seconds": time.perf_counter() - start}


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


def _size(img: Tensor) -> str:
    return f"{img.shape[-2]} x {img.shape[-1]}"


def evaluate(
    metrics: Mapping[str, Metric] | str | Metric | Iterable[str | Metric],
    datasets: PairDataset | Iterable[PairDataset],
    *,
    device: str = "cpu",
    strict: bool = False,
    store: ScoreStore | None = None,
    progress: Callable[[int], object] | None = None,
) -> pd.DataFrame:
    """Score data sets and return one line per pair and metric.

    Args:
        metrics: names, or objects from :func:`causaliqa.create_metric`, or a mapping from labels to objects.
        datasets: data sets, for example from :func:`causaliqa.read_manifest`.
        device: where the metrics are.
        strict: raise at the first failure instead of writing it down.
        store: where scores are kept and taken from.
        progress: called with the number of scores just finished.

    Returns:
        Columns of :class:`~causaliqa.api.data.ScoreRow`: what :func:`causaliqa.rank` needs.
    """
    named = metrics if isinstance(metrics, Mapping) else _by_name(metrics, device)
    sets = [datasets] if isinstance(datasets, PairDataset) else list(datasets)
    return frame_of(
        row
        for dataset in sets
        for row in score_dataset(named, dataset, device=device, strict=strict, store=store, progress=progress)
    )


def _by_name(metrics: str | Metric | Iterable[str | Metric], device: str) -> dict[str, Metric]:
    single = isinstance(metrics, str) or not isinstance(metrics, Iterable)
    given: list[Any] = [metrics] if single else list(metrics)  # type: ignore[arg-type]
    named: dict[str, Metric] = {}
    backbones: Backbones = {}
    for metric in given:
        if not isinstance(metric, str) and not callable(metric):
            raise InputError(f"metrics: got {metric!r}, expected names, or objects from causaliqa.create_metric")
        name = metric if isinstance(metric, str) else _name(metric)
        built = build_metric(default_catalog(), metric, device, 0, backbones) if isinstance(metric, str) else metric
        named[name] = built
    return named


def frame_of(rows: Iterable[ScoreRow]) -> pd.DataFrame:
    """Return rows as a frame with the columns of :class:`~causaliqa.api.data.ScoreRow`, also where there is none."""
    lines = [vars(row) for row in rows]
    import pandas as pd  # only now: the rows may be what is computed for hours

    return pd.DataFrame(lines, columns=[field.name for field in fields(ScoreRow)])


def _name(metric: Metric) -> str:
    return str(getattr(metric, "name", type(metric).__name__))
