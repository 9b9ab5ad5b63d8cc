"""The score of one pair of images, or of several pairs of one size at once."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import CausaliqaError
from causaliqa.api.protocols import Metric
from causaliqa.evaluation.channels import gray_channels
from causaliqa.evaluation.prepared_pairs import PreparedPair, masked_call
from causaliqa.utils import memory

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BATCH_TOLERANCE", "BatchScorer", "metric_name", "score_pair", "score_prepared"]

_LOG = logging.getLogger(__name__)
BATCH_TOLERANCE = 1e-5
"""Largest difference of a score in a batch from that of the pair alone, relative to the largest score of the batch."""
_MOST_PIXELS = 2**22
"""Pixels of all images of a batch."""


def score_pair(metric: Metric, img: Tensor, ref: Tensor, mask: Tensor | None = None) -> float:
    """Score one pair ``(1, 3, H, W)`` on the metric's device; on the CPU by one thread.

    Args:
        metric: the metric.
        img: image ``(1, 3, H, W)``.
        ref: its reference.
        mask: true where pixels count, ``(H, W)``; see :func:`~causaliqa.evaluation.prepared_pairs.masked_call`.

    Raises:
        CausaliqaError: the score is not a finite number, or there is too little memory.
    """
    import torch

    call: Any = metric
    img, ref, options = masked_call(metric, img, ref, mask)

    pixels = img.shape[-2] * img.shape[-1]
    remedy = "crop the images or make them smaller"
    least = getattr(metric, "bytes_per_pixel", 0.0) * pixels
    size = f"{img.shape[-2]} x {img.shape[-1]} pixels"
    memory.require(least, f"{metric_name(metric)} on {size}", device=str(img.device), remedy=remedy)
    try:
        with torch.no_grad(), _one_thread(img):
            score = float(call(img, ref, **options).reshape(-1)[0])
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        raise CausaliqaError(f"memory ran out on {size}; {remedy}") from error
    except RuntimeError as error:
        # This is all that torch says of the CPU's.
        if "can't allocate memory" not in str(error):
            raise
        raise CausaliqaError(f"memory ran out on {size}; {remedy}") from error
    if not math.isfinite(score):
        raise CausaliqaError(f"the score is {score}")
    return score


def score_prepared(metric: Metric, pair: PreparedPair) -> float:
    """Score a pair on the metric's device, channel by channel where that is asked for.

    Raises:
        CausaliqaError: as :func:`score_pair`.
    """
    ref = pair.img if pair.ref is None else pair.ref
    if not pair.each:
        return score_pair(metric, pair.img, ref, pair.mask)
    channels = zip(gray_channels(pair.img), gray_channels(ref), strict=True)
    return fmean(score_pair(metric, img, other, pair.mask) for img, other in channels)


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


class BatchScorer:
    """Score several pairs of one size in one call, where a metric takes batches.

    Whether it does is measured on its first batch: every pair is scored alone, too, and a metric whose scores differ by
    more than :data:`BATCH_TOLERANCE`, or that fails, scores pairs one by one from then on.

    Example:
        >>> import torch
        >>> mae = lambda img, ref: (img - ref).abs().mean((1, 2, 3))
        >>> pairs = [PreparedPair(img=torch.full((1, 3, 8, 8), 0.25 * k), ref=torch.zeros(1, 3, 8, 8)) for k in (1, 2)]
        >>> scorer = BatchScorer()
        >>> scorer("mae", mae, pairs), scorer.takes_batches
        ([0.25, 0.5], {'mae': True})
    """

    def __init__(self) -> None:
        self.takes_batches: dict[str, bool] = {}

    def __call__(self, name: str, metric: Metric, pairs: Sequence[PreparedPair]) -> list[float | Exception]:
        """Return the score of every pair, or why it has none.

        Args:
            name: what the metric is called.
            metric: the metric.
            pairs: images with references, of any sizes.
        """
        found: dict[int, float | Exception] = {}
        for places in _of_one_size(pairs):
            found.update(zip(places, self._scores(name, metric, [pairs[k] for k in places]), strict=True))
        return [found[k] for k in range(len(pairs))]

    def _scores(self, name: str, metric: Metric, pairs: Sequence[PreparedPair]) -> list[float | Exception]:
        known = self.takes_batches.get(name)
        if len(pairs) > 1 and known and (together := _together(metric, pairs)) is not None:
            return list(together)
        alone = [_alone(metric, pair) for pair in pairs]
        if len(pairs) > 1 and known is None and not any(isinstance(score, Exception) for score in alone):
            self.takes_batches[name] = _close(_together(metric, pairs), alone)
            if not self.takes_batches[name]:
                _LOG.info("%s: scores in a batch differ from those of single pairs; pairs are scored one by one", name)
        return alone


def _of_one_size(pairs: Sequence[PreparedPair]) -> Iterator[list[int]]:
    """Yield places of pairs that can be stacked; those with a mask, or scored channel by channel, are alone."""
    sizes: dict[Any, list[int]] = {}
    for place, pair in enumerate(pairs):
        sizes.setdefault(tuple(pair.img.shape) if pair.mask is None and not pair.each else place, []).append(place)
    for size, places in sizes.items():
        most = max(1, _MOST_PIXELS // (size[-1] * size[-2])) if isinstance(size, tuple) else 1
        yield from (places[start : start + most] for start in range(0, len(places), most))


def _alone(metric: Metric, pair: PreparedPair) -> float | Exception:
    try:
        if pair.ref is None:
            raise CausaliqaError("no reference is known")
        return score_prepared(metric, pair)
    except Exception as problem:
        return problem


def _together(metric: Metric, pairs: Sequence[PreparedPair]) -> list[float] | None:
    """Return the scores of a batch; None where there are not as many finite ones as pairs."""
    import torch

    refs = [pair.ref for pair in pairs if pair.ref is not None]
    try:
        img, ref = torch.cat([pair.img for pair in pairs]), torch.cat(refs)
        with torch.no_grad(), _one_thread(img):
            scores: list[float] = metric(img, ref).reshape(-1).tolist()
    except Exception as problem:
        _LOG.debug("a batch of %d failed: %s", len(pairs), problem)
        return None
    return scores if len(scores) == len(pairs) and all(map(math.isfinite, scores)) else None


def _close(together: Sequence[float] | None, alone: Sequence[Any]) -> bool:
    if together is None:
        return False
    gap = max(abs(a - b) for a, b in zip(together, alone, strict=True))
    return bool(gap <= BATCH_TOLERANCE * max(map(abs, alone)))


def metric_name(metric: Metric) -> str:
    """Return what messages and tables call a metric."""
    return str(getattr(metric, "name", type(metric).__name__))
