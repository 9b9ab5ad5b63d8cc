"""The scoring job: metrics x data sets -> rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.errors import CausaliqaError, InputError
from causaliqa.images import load_image
from causaliqa.specs import Metric, Pair, PairDataset, ScoreKey, ScoreRow
from causaliqa.weights import sha256

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from causaliqa.store import ScoreStore

__all__ = ["evaluate", "score_dataset", "score_pair"]


def score_pair(metric: Metric, img: Tensor, ref: Tensor) -> float:
    """Score one pair ``(1, 3, H, W)`` on the metric's device.

    Raises:
        CausaliqaError: the score is not a finite number.
    """
    import torch

    with torch.no_grad():
        score = float(metric(img, ref).reshape(-1)[0])
    if not math.isfinite(score):
        raise CausaliqaError(f"the score is {score}")
    return score


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
    order = sorted(range(len(dataset.pairs)), key=lambda k: (str(dataset.pairs[k].ref), k))
    rows: dict[int, list[ScoreRow]] = {}
    done = 0
    reference = lru_cache(maxsize=1)(lambda path: _load(path, device))
    hashed = lru_cache(maxsize=2)(sha256)
    with ThreadPoolExecutor(1) as reader:
        ahead = _read_ahead(reader, [dataset.pairs[k].dist for k in order], device)
        for k, image in zip(order, ahead, strict=True):
            pair = dataset.pairs[k]
            keys = _keys(metrics, dataset.name, pair, hashed) if store is not None else {}
            known = store.get(keys.values()) if store is not None else {}
            rows[k] = []
            for name, metric in metrics.items():
                if stored := known.get(keys[name]) if keys else None:
                    row = _row(dataset.name, name, pair, score=stored.score, seconds=stored.seconds)
                else:
                    row = _compute(dataset.name, name, metric, pair, image, reference, strict)
                if store is not None:
                    store.put(keys[name], row)
                rows[k].append(row)
                if progress is not None:
                    progress(1)
            while done in rows:
                yield from rows.pop(done)
                done += 1


def _read_ahead(reader: ThreadPoolExecutor, paths: list[Path], device: str) -> Iterator[Future[Any]]:
    """Yield the images one by one while the next one is being decoded."""
    following = None
    for k, path in enumerate(paths):
        current = following or reader.submit(_load, path, device)
        following = reader.submit(_load, paths[k + 1], device) if k + 1 < len(paths) else None
        yield current


def _keys(
    metrics: Mapping[str, Metric], dataset: str, pair: Pair, hashed: Callable[[Path], str]
) -> dict[str, ScoreKey]:
    keys = {}
    for name, metric in metrics.items():
        key = getattr(metric, "key", None)
        if not isinstance(key, ScoreKey):
            raise InputError(f"store: metric {name!r} has no key; build it with causaliqa.create_metric")
        keys[name] = replace(key, dataset=dataset, img_hash=hashed(pair.dist), ref_hash=hashed(pair.ref))
    return keys


def _load(path: Path, device: str) -> Tensor | CausaliqaError:
    try:
        return load_image(path).to(device)
    except CausaliqaError as error:
        return error


def _compute(
    dataset: str,
    name: str,
    metric: Metric,
    pair: Pair,
    image: Future[Any],
    reference: Callable[[Path], Tensor | CausaliqaError],
    strict: bool,
) -> ScoreRow:
    start = time.perf_counter()
    score, error = None, ""
    try:
        ref, img = reference(pair.ref), image.result()
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
    return _row(dataset, name, pair, score=score, error=error, seconds=time.perf_counter() - start)


def _row(dataset: str, metric: str, pair: Pair, **result: Any) -> ScoreRow:
    return ScoreRow(
        dataset=dataset,
        metric=metric,
        ref=str(pair.ref),
        dist=str(pair.dist),
        label=pair.label,
        type=pair.type,
        level=pair.level,
        split=pair.split,
        **result,
    )


def _size(img: Tensor) -> str:
    return f"{img.shape[-2]} x {img.shape[-1]}"


def evaluate(
    metrics: Mapping[str, Metric] | Iterable[Metric],
    datasets: PairDataset | Iterable[PairDataset],
    *,
    device: str = "cpu",
    strict: bool = False,
    store: ScoreStore | None = None,
    progress: Callable[[int], object] | None = None,
) -> pd.DataFrame:
    """Score data sets and return one line per pair and metric.

    Args:
        metrics: objects from :func:`causaliqa.create_metric`, or a mapping from names to objects.
        datasets: data sets, for example from :func:`causaliqa.read_manifest`.
        device: where the metrics are.
        strict: raise at the first failure instead of writing it down.
        store: where scores are kept and taken from.
        progress: called with the number of scores just finished.

    Returns:
        Columns of :class:`~causaliqa.specs.ScoreRow`, and ``label_lower_better`` and ``lower_better``, which
        :func:`causaliqa.rank` needs.
    """
    import pandas as pd

    named = metrics if isinstance(metrics, Mapping) else {_name(m): m for m in metrics}
    sets = [datasets] if isinstance(datasets, PairDataset) else list(datasets)
    lines = [
        {
            **asdict(row),
            "label_lower_better": dataset.label_lower_better,
            "lower_better": named[row.metric].lower_better,
        }
        for dataset in sets
        for row in score_dataset(named, dataset, device=device, strict=strict, store=store, progress=progress)
    ]
    return pd.DataFrame(lines)


def _name(metric: Metric) -> str:
    return str(getattr(metric, "name", type(metric).__name__))
