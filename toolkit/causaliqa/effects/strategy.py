"""Which interventions are made: the plain strategy, and the paper's coarse-to-fine strategy.

A strategy yields rounds; the effects of each are added to ``seen`` before the next is asked for. A strategy decides by
these effects and by nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from causaliqa.api.errors import InputError

__all__ = ["CHECK", "CoarseToFine", "Estimate", "Plain", "Round", "Seen", "Strategy", "make_strategy"]

CHECK = "check"
"""Stage of interventions that only check the estimates of an earlier stage."""
Seen = Mapping[str, Mapping[int, NDArray[np.float64]]]
"""Effects of every intervention so far (one array a patch), by stage and patch."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """Interventions that can be made in any order."""

    stage: str
    """Name of the stage."""
    patches: tuple[int, ...]
    """Patches to intervene on."""
    draws: range
    """Numbers of the interventions on each patch; the draw depends on seed, patch and number."""
    screening: bool = False
    """Draw as the sampler does for screening."""
    even: bool = False
    """Draw evenly where the sampler can, instead of independently."""
    blocks: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Patches that are replaced together, by the one of :attr:`patches` that represents them; others are alone."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Effect of one patch."""

    samples: NDArray[np.float64] = field(repr=False)
    """Effects of the interventions behind it, in the unit of the measure."""
    effect: float
    """Average treatment effect in the unit of the measure; positive if the patch helps."""
    sem: float
    """Standard error of the effect; NaN for one intervention."""

    @property
    def count(self) -> int:
        """Number of interventions."""
        return len(self.samples)

    @classmethod
    def mean_of(cls, samples: NDArray[np.float64]) -> Estimate:
        """Average independent effects."""
        sem = float(samples.std(ddof=1) / np.sqrt(len(samples))) if len(samples) > 1 else float("nan")
        return cls(samples=samples, effect=float(samples.mean()), sem=sem)


class Strategy(Protocol):
    """Decides which interventions are made, and estimates effects from them."""

    @property
    def name(self) -> str:
        """Its name in summaries."""

    def rounds(self, patches: Sequence[int], seen: Seen) -> Iterator[Round]:
        """Yield rounds until the effects are known well enough; ``seen`` grows between them."""

    def estimates(self, patches: Sequence[int], seen: Seen) -> dict[int, Estimate]:
        """Return the effects of all patches."""

    def most(self, patches: int) -> int:
        """Return the largest number of inferences that it may take."""


@dataclass(frozen=True, kw_only=True)
class Plain:
    """The same number of interventions on every patch (CEM, Eq. 2).

    Example:
        >>> [(r.stage, r.patches, len(r.draws)) for r in Plain(interventions=500).rounds([4, 7], {})]
        [('plain', (4, 7), 500)]
    """

    interventions: int = 500
    """T, interventions on each patch."""
    name: str = "plain"

    def rounds(self, patches: Sequence[int], seen: Seen) -> Iterator[Round]:
        """Yield one round."""
        yield Round(stage="plain", patches=tuple(patches), draws=range(self.interventions))

    def estimates(self, patches: Sequence[int], seen: Seen) -> dict[int, Estimate]:
        """Average all interventions."""
        return {p: Estimate.mean_of(seen["plain"][p]) for p in patches}

    def most(self, patches: int) -> int:
        """T inferences a patch."""
        return patches * self.interventions


@dataclass(frozen=True, kw_only=True)
class CoarseToFine:
    """Few interventions on every patch, then more on the sensitive ones (CEM, Eq. 3 and 4).

    Example:
        >>> strategy, seen = CoarseToFine(coarse=2, fine=5), {}
        >>> rounds = strategy.rounds([0, 1], seen)
        >>> next(rounds).stage
        'coarse'
        >>> seen["coarse"] = {0: np.array([0.0, 0.009]), 1: np.array([0.0, -0.02])}
        >>> fine = next(rounds)
        >>> fine.patches, fine.draws
        ((1,), range(2, 7))
    """

    coarse: int = 3
    """C, interventions on each patch; drawn for screening."""
    fine: int = 50
    """F, further interventions on each sensitive patch; its effect is the mean of these alone."""
    tolerance: float = 0.01
    """tau: a patch none of whose C effects reaches it is not sensitive; its effect is the mean of the C."""
    name: str = "coarse-to-fine"

    def rounds(self, patches: Sequence[int], seen: Seen) -> Iterator[Round]:
        """Yield the coarse round, then the fine one."""
        yield Round(stage="coarse", patches=tuple(patches), draws=range(self.coarse), screening=True)
        coarse = seen["coarse"]
        sensitive = tuple(p for p in patches if np.abs(coarse[p]).max() >= self.tolerance)
        yield Round(stage="fine", patches=sensitive, draws=range(self.coarse, self.coarse + self.fine))

    def estimates(self, patches: Sequence[int], seen: Seen) -> dict[int, Estimate]:
        """Average the fine interventions, or the coarse ones of a patch that is not sensitive."""
        best = {**seen["coarse"], **seen["fine"]}
        return {p: Estimate.mean_of(best[p]) for p in patches}

    def most(self, patches: int) -> int:
        """C + F inferences a patch."""
        return patches * (self.coarse + self.fine)


def make_strategy(strategy: str, *, coarse: int, fine: int, interventions: int, tolerance: float) -> Strategy:
    """Return the strategy of a name, ``plain`` or ``coarse-to-fine``.

    Raises:
        InputError: the name is unknown or a number is out of range.

    Example:
        >>> make_strategy("plain", coarse=3, fine=50, interventions=500, tolerance=0.01).most(1008)
        504000
    """
    for name, value in (("coarse", coarse), ("fine", fine), ("interventions", interventions)):
        if not isinstance(value, int) or value < 1:
            raise InputError(f"{name}: got {value!r}, expected a whole number, 1 or more")
    if not tolerance >= 0:
        raise InputError(f"tolerance: got {tolerance!r}, expected a number, 0 or more, in the unit of the measure")
    if strategy == "plain":
        return Plain(interventions=interventions)
    if strategy == "coarse-to-fine":
        return CoarseToFine(coarse=coarse, fine=fine, tolerance=tolerance)
    raise InputError(f"strategy: got {strategy!r}, expected plain, coarse-to-fine or adaptive")
