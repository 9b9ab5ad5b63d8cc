"""Explanation of a calibrated score: which channels, where, and how they respond to changes that hardly show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from causaliqa.builtin.metrics.explanation import LevelExplanation
from causaliqa.functional.calibration import TERMS, calibrated_ratio

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from typing_extensions import Self

__all__ = ["CalibratedExplanation", "StrongChannel"]


class StrongChannel(NamedTuple):
    """A channel with a large share of the score."""

    level: int
    """Level of the channel; 0 is the image."""
    channel: int
    """Its number in the level."""
    share: float
    """Its share of the score."""
    cost: float
    """Its cost, mean over terms; 1 is the effect of a just noticeable change."""
    responses: tuple[float, ...]
    """The same for every intervention on the reference."""


@dataclass(frozen=True, kw_only=True, repr=False)
class CalibratedExplanation(LevelExplanation):
    """Where the score of the calibrated metric comes from; the mean of its map is about the score.

    All costs and responses are in units of a just noticeable change.
    """

    cost_title = "score in place"
    cost_label = "just noticeable changes; the mean is about the score"
    channels_stem = "channels"
    level_heading = f"share of the terms {', '.join(TERMS)}"

    interventions: tuple[str, ...]
    """Names of the interventions on the reference."""
    ratios: tuple[Tensor, ...]
    """Cost of every term and channel in units of its mean response, per level ``(T, C_k)``."""
    responses: tuple[Tensor, ...]
    """Cost of every term and channel for every intervention on the reference, not yet in these units, per level
    ``(K, T, C_k)``."""

    def calibrated_responses(self, level: int) -> Tensor:
        """Return the responses of a level in units of their mean, ``(K, T, C)``."""
        return calibrated_ratio(self.responses[level], self.responses[level])

    def term_shares(self) -> Tensor:
        """Return the share of every level and term in the score, ``(levels, T)``; they sum as :attr:`shares` do."""
        sums = torch.stack([r.mean(dim=1) for r in self.ratios])
        total = sums.sum()
        return sums / total if float(total) > 0 else sums

    def strongest(self, count: int = 12) -> list[StrongChannel]:
        """Return the channels with the largest shares of the score, the largest first."""
        places = [(k, c) for k, share in enumerate(self.shares) for c in range(len(share))]
        order = torch.cat(self.shares).argsort(descending=True, stable=True)[:count].tolist()
        return [
            StrongChannel(
                level=k,
                channel=c,
                share=float(self.shares[k][c]),
                cost=float(self.ratios[k][:, c].mean()),
                responses=tuple(self.calibrated_responses(k)[:, :, c].mean(dim=1).tolist()),
            )
            for k, c in (places[number] for number in order)
        ]

    def columns(self) -> dict[str, tuple[Tensor, ...]]:
        """Return share, cost of every term, and response to every intervention (mean over terms) of every channel."""
        responses = [self.calibrated_responses(k).mean(dim=1) for k in range(len(self.shares))]
        return {
            "share": self.shares,
            **{term: tuple(r[t] for r in self.ratios) for t, term in enumerate(TERMS)},
            **{f"do({name})": tuple(r[k] for r in responses) for k, name in enumerate(self.interventions)},
        }

    def channel_figure(self, others: Sequence[Self] = (), *, names: Sequence[str] = (), title: str = "") -> Figure:
        """Return shares of levels and terms, and the strongest channels with their responses."""
        from causaliqa.builtin.metrics.calibrated_plot import channel_figure

        return channel_figure([self, *others], names=names, title=title)

    def level_fact(self, level: int) -> str:
        """Return the shares of the terms."""
        return ", ".join(f"{float(share):.1%}" for share in self.term_shares()[level])

    def __repr__(self) -> str:
        first = self.strongest(1)[0]
        return (
            f"CalibratedExplanation(score={self.score:.6g}, {len(self.shares)} levels, strongest channel: "
            f"{first.channel} of level {first.level}, {first.share:.1%} of the score)"
        )
