"""Scores for a card: a failure is a fact, and no exception."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from causaliqa.api.protocols import Metric
from causaliqa.evaluation.pair_score import score_pair
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Scorer"]

T = TypeVar("T")


class Scorer:
    """Scores pairs with one metric and remembers what went wrong, each problem once.

    Args:
        metric: the metric.
        device: where it is.
        tick: called after every score.

    Example:
        >>> import torch
        >>> metric = lambda img, ref: (img - ref).abs().mean((1, 2, 3))
        >>> metric.lower_better, metric.metric_mode = True, "FR"
        >>> scorer = Scorer(metric, "cpu")
        >>> scorer(torch.ones(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), "white")
        1.0
        >>> scorer(torch.ones(1, 3, 8, 9), torch.zeros(1, 3, 8, 8), "white") is None, len(scorer.problems)
        (True, 1)
    """

    def __init__(self, metric: Metric, device: str, tick: Callable[[], object] = lambda: None) -> None:
        self.metric = metric
        self.device = device
        self.tick = tick
        self.sign = 1.0 if metric.lower_better else -1.0
        self.full_reference = getattr(metric, "metric_mode", "FR") == "FR"
        self._problems: dict[str, list[str]] = {}

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong: where it happened first, how often, and why."""
        return tuple(
            f"{places[0]}{f' and {len(places) - 1} more' if len(places) > 1 else ''}: {reason}"
            for reason, places in self._problems.items()
        )

    def __call__(self, img: Tensor, ref: Tensor, what: str) -> float | None:
        """Score one pair ``(1, 3, H, W)``; None if that fails."""
        score = self.attempt(what, lambda: score_pair(self.metric, img.to(self.device), ref.to(self.device)))
        self.tick()
        return score

    def attempt(self, what: str, work: Callable[[], T]) -> T | None:
        """Return what ``work`` returns; None if it fails, which is a problem of ``what``."""
        try:
            return work()
        except Exception as error:  # metrics of others fail in their own ways
            self._problems.setdefault(brief(error, 160), []).append(what)
            return None

    def worsening(self, score: float | None, before: float | None) -> float | None:
        """Return by how much a score is worse than another one; negative if it is better, None if one is not known."""
        if score is None or before is None or not math.isfinite(gap := score - before):
            return None
        return self.sign * gap
