"""The scoring job: metrics x data sets -> rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.errors import CausaliqaError
from causaliqa.images import load_image
from causaliqa.specs import Metric, Pair, PairDataset, ScoreRow

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

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
        progress: called with the number of rows just finished.
    """
    order = sorted(range(len(dataset.pairs)), key=lambda k: (str(dataset.pairs[k].ref), k))
    rows: dict[int, list[ScoreRow]] = {}
    done = 0
    last: tuple[Path | None, Any] = (None, None)
    for k in order:
        pair = dataset.pairs[k]
        if last[0] != pair.ref:
            last = (pair.ref, _load(pair.ref, device))
        rows[k] = _rows(metrics, dataset.name, pair, last[1], device, strict)
        if progress is not None:
            progress(len(rows[k]))
        while done in rows:
            yield from rows.pop(done)
            done += 1


def _load(path: Path, device: str) -> Tensor | CausaliqaError:
    try:
        return load_image(path).to(device)
    except CausaliqaError as error:
        return error


def _rows(
    metrics: Mapping[str, Metric],
    dataset: str,
    pair: Pair,
    ref: Tensor | CausaliqaError,
    device: str,
    strict: bool,
) -> list[ScoreRow]:
    img = _load(pair.dist, device)
    rows = []
    for name, metric in metrics.items():
        start = time.perf_counter()
        score, error = None, ""
        try:
            for loaded in (ref, img):
                if isinstance(loaded, CausaliqaError):
                    raise loaded
            if img.shape != ref.shape:  # type: ignore[union-attr]
                raise CausaliqaError(f"sizes differ: {_size(img)} against {_size(ref)}")
            score = score_pair(metric, img, ref)  # type: ignore[arg-type]
        except Exception as problem:
            if strict:
                raise CausaliqaError(f"{name} failed on {pair.dist}: {problem}") from problem
            text = " ".join(str(problem).split())[:300]
            error = text if isinstance(problem, CausaliqaError) else f"{type(problem).__name__}: {text}"
        rows.append(
            ScoreRow(
                dataset=dataset,
                metric=name,
                ref=str(pair.ref),
                dist=str(pair.dist),
                label=pair.label,
                type=pair.type,
                level=pair.level,
                split=pair.split,
                score=score,
                error=error,
                seconds=time.perf_counter() - start,
            )
        )
    return rows


def _size(img: Any) -> str:
    return f"{img.shape[-2]} x {img.shape[-1]}"


def evaluate(
    metrics: Mapping[str, Metric] | Iterable[Metric],
    datasets: PairDataset | Iterable[PairDataset],
    *,
    device: str = "cpu",
    strict: bool = False,
    progress: Callable[[int], object] | None = None,
) -> pd.DataFrame:
    """Score data sets and return one line per pair and metric.

    Args:
        metrics: objects from :func:`causaliqa.create_metric`, or a mapping from names to objects.
        datasets: data sets, for example from :func:`causaliqa.read_manifest`.
        device: where the metrics are.
        strict: raise at the first failure instead of writing it down.
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
        for row in score_dataset(named, dataset, device=device, strict=strict, progress=progress)
    ]
    return pd.DataFrame(lines)


def _name(metric: Metric) -> str:
    return str(getattr(metric, "name", type(metric).__name__))
