"""The adaptive strategy: blocks first, even draws, quadrature over the library, and more where the error is largest.

(1) Blocks of patches are replaced together; where that does not change the region, their patches are not tried one by
one. (2) The effect of an intervention is mostly a smooth function of the inserted patch: patches are drawn evenly over
the library instead of independently, and (3) the effect is averaged over the library by Bayesian quadrature. (4)
Further interventions go to the patches with the largest standard errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from causaliqa.api.errors import InputError
from causaliqa.effects.strategy import CHECK, Estimate, Round, Seen
from causaliqa.functional.quadrature import Population

__all__ = ["Adaptive", "Place", "make_adaptive"]

Place = Callable[[int, int], NDArray[np.float64]]
"""Coordinates ``(k,)`` of the patch drawn for intervention ``number`` on a patch; empty where unknown."""

_BLOCKS = "blocks"
"""Stage of the interventions on whole blocks."""
_SIDE = 4
"""Patches along the side of a block."""
_TWICE = 2
"""Interventions on a block; in a single one the effects of its patches may cancel out."""
_SHARE = 10
"""Each round samples at most 1/10 of the patches, so that the next can use its effects."""
_QUIET = 20
"""A block is skipped if its effect is below 1/20 of the tolerance."""
_TINY = 1e-16
"""Added to squared effects to avoid log(0)."""
_FEW = 6
"""Below so many interventions the root mean square of the effects replaces their standard deviation."""


def _nowhere(patch: int, number: int) -> NDArray[np.float64]:
    return np.empty(0)


@dataclass(frozen=True, kw_only=True)
class Adaptive:
    """Interventions on blocks of patches, then on the patches of the active blocks, then where the error falls fastest.

    Example:
        >>> strategy, seen = Adaptive(budget=8), {}
        >>> rounds = strategy.rounds([0, 1], seen)
        >>> next(rounds).draws
        range(0, 2)
        >>> seen["draws 0-2"] = {0: np.array([0.0, 0.001]), 1: np.array([0.3, -0.2])}
        >>> more = next(rounds)
        >>> more.patches, more.draws
        ((1,), range(2, 6))
    """

    budget: int | None = None
    """Interventions in all; None for as many as :attr:`precision` needs."""
    precision: float | None = None
    """Wanted standard error of every patch in the unit of the measure, where there is no budget."""
    quiet: float = 0.0005
    """Blocks with at most this effect are skipped."""
    first: int = 2
    """Most interventions on every patch of the first round."""
    step: int = 4
    """Further interventions on a patch in one round, at least."""
    limit: int = 500
    """Most interventions on one patch."""
    columns: int | None = None
    """Patches in a row of the grid; None where unknown: then there are no blocks and no neighbours."""
    place: Place = field(default=_nowhere, repr=False, compare=False)
    """Coordinates of each draw."""
    population: Population | None = field(default=None, repr=False, compare=False)
    """Coordinates of all patches that may be drawn; None where unknown: then effects are plain means."""
    name: str = "adaptive"

    def rounds(self, patches: Sequence[int], seen: Seen) -> Iterator[Round]:
        """Yield a round on blocks, a check of the skipped ones, a round on single patches, then the adaptive rounds.

        Raises:
            InputError: the budget is too small to try every block.
        """
        blocks = self._blocks(patches)
        left = math.inf if self.budget is None else self.budget
        if left < (least := sum(min(len(block), _TWICE) for block in blocks)):
            raise InputError(f"budget: got {left}, expected {least} or more: all blocks of patches are tried first")
        if large := {block[0]: block for block in blocks if len(block) > 1}:
            yield Round(stage=_BLOCKS, patches=tuple(large), draws=range(_TWICE), even=True, blocks=large)
            left -= _TWICE * len(large)
        # Half of the budget is kept for the adaptive rounds.
        opened = self._loud(blocks, seen, left / 2)
        if checks := self._checks(blocks, opened, left / 2):
            yield Round(stage=CHECK, patches=tuple(checks), draws=range(1), even=True)
            left -= len(checks)
            missed = [block for p, block in checks.items() if abs(seen[CHECK][p][0]) > self.quiet]
            opened += _fitting(missed, left / 2 - sum(map(len, opened)))
        if opened:
            yield from self._singles(sorted(p for block in opened for p in block), seen, left)

    def _blocks(self, patches: Sequence[int]) -> list[tuple[int, ...]]:
        """Divide the patches into squares of the grid."""
        if self.columns is None:
            return [(p,) for p in patches]
        squares: dict[tuple[int, int], list[int]] = {}
        for p in patches:
            row, col = divmod(p, self.columns)
            squares.setdefault((row // _SIDE, col // _SIDE), []).append(p)
        return [tuple(square) for square in squares.values()]

    def _loud(self, blocks: list[tuple[int, ...]], seen: Seen, room: float) -> list[tuple[int, ...]]:
        """Return the active blocks: single patches, and blocks above :attr:`quiet`, the strongest first."""
        size = {block: float(np.abs(seen[_BLOCKS][block[0]]).max()) for block in blocks if len(block) > 1}
        loud = sorted((b for b, moved in size.items() if moved > self.quiet), key=lambda b: (-size[b], b))
        alone = [block for block in blocks if len(block) == 1]
        return alone + _fitting(loud, room - len(alone))

    def _checks(
        self, blocks: list[tuple[int, ...]], opened: list[tuple[int, ...]], room: float
    ) -> dict[int, tuple[int, ...]]:
        """Return one patch of every skipped block to be tried alone: the closest to an active block."""
        loud = [divmod(p, self.columns or 1) for block in opened for p in block]

        def away(p: int) -> int:
            row, col = divmod(p, self.columns or 1)
            return min((max(abs(row - r), abs(col - c)) for r, c in loud), default=0)

        known = set(opened)
        witnesses = {min(block, key=away): block for block in blocks if block not in known}
        return witnesses if len(loud) + len(witnesses) <= room else {}

    def _singles(self, patches: Sequence[int], seen: Seen, left: float) -> Iterator[Round]:
        """Yield a first round on all patches, then rounds on those where the error falls fastest."""
        first = int(max(1, min(self.first, left // (2 * len(patches)))))
        counts = dict.fromkeys(patches, first)
        yield self._round(patches, 0, first)
        left -= first * len(patches)
        squares = {p: self._square(p, seen) for p in patches}
        told: dict[int, float] = {}
        while chosen := self._chosen(counts, self._errors(counts, squares, told), left):
            for (start, stop), group in groupby(sorted(chosen, key=lambda p: (*chosen[p], p)), key=chosen.__getitem__):
                yield self._round(tuple(group), start, stop)
            for p, (start, stop) in chosen.items():
                left -= stop - start
                counts[p] = stop
                squares[p] = self._square(p, seen)
                if stop >= _FEW:
                    told[p] = self.estimate(p, seen).sem

    def _round(self, patches: Sequence[int], start: int, stop: int) -> Round:
        return Round(stage=f"draws {start}-{stop}", patches=tuple(patches), draws=range(start, stop), even=True)

    def _chosen(self, counts: dict[int, int], error: dict[int, float], left: float) -> dict[int, tuple[int, int]]:
        """Return the draws of the next round: where an intervention lowers the sum of standard errors most."""
        gain, step = {}, {}
        for p, n in counts.items():
            step[p] = min(max(self.step, n // 4), self.limit - n)
            if step[p] > 0 and error[p] > (self.precision or 0):
                gain[p] = error[p] * (1 - math.sqrt(n / (n + step[p]))) / step[p]
        chosen = {}
        for p in sorted(gain, key=lambda p: (-gain[p], p))[: max(1, len(counts) // _SHARE)]:
            more = int(min(step[p], left))
            if more > 0:
                chosen[p] = (counts[p], counts[p] + more)
                left -= more
        return chosen

    def _errors(self, counts: dict[int, int], squares: dict[int, float], told: dict[int, float]) -> dict[int, float]:
        """Return standard errors; for few effects, their root mean square over the root of their number.

        One or two effects may be small by chance, so the mean of the neighbours counts as one more.
        """
        found = dict(told)
        for p in counts.keys() - told.keys():
            near = [squares[q] for q in self._around(p) if q in squares]
            usual = [math.exp(sum(math.log(v + _TINY) for v in near) / len(near))] if near else []
            square = (counts[p] * squares[p] + sum(usual)) / (counts[p] + len(usual))
            found[p] = math.sqrt(square / counts[p])
        return found

    def _around(self, patch: int) -> list[int]:
        if self.columns is None:
            return []
        columns, col = self.columns, patch % self.columns
        sides = [d for d in (-1, 0, 1) if 0 <= col + d < columns]
        return [patch + columns * down + side for down in (-1, 0, 1) for side in sides if (down, side) != (0, 0)]

    def _square(self, patch: int, seen: Seen) -> float:
        return float((self._samples(patch, seen) ** 2).mean())

    def _samples(self, patch: int, seen: Seen) -> NDArray[np.float64]:
        # Stages come in the order of their draws, because a patch gets them in that order.
        parts = [effects[patch] for stage, effects in seen.items() if stage.startswith("draws ") and patch in effects]
        return np.concatenate(parts) if parts else np.empty(0)

    def estimate(self, patch: int, seen: Seen) -> Estimate:
        """Average the effects of a patch over the population."""
        samples = self._samples(patch, seen)
        if self.population is None:
            return Estimate.mean_of(samples)
        places = np.array([self.place(patch, number) for number in range(len(samples))])
        effect, sem = self.population.mean_of(samples, places)
        return Estimate(samples=samples, effect=effect, sem=sem)

    def estimates(self, patches: Sequence[int], seen: Seen) -> dict[int, Estimate]:
        """Average the effects of all patches; those of a skipped block share its effect.

        The standard error of such a patch is the effect of the whole block.
        """
        found = {}
        for block in self._blocks(patches):
            if len(self._samples(block[0], seen)):
                found.update({p: self.estimate(p, seen) for p in block})
            else:
                whole = seen[_BLOCKS][block[0]]
                share, bound = whole / len(block), float(np.sqrt((whole**2).mean()))
                found.update(dict.fromkeys(block, Estimate(samples=share, effect=float(share.mean()), sem=bound)))
        return found

    def most(self, patches: int) -> int:
        """The budget, or the limit for every patch."""
        return patches * self.limit if self.budget is None else self.budget


def _fitting(blocks: list[tuple[int, ...]], room: float) -> list[tuple[int, ...]]:
    """Return as many blocks, from the first, as have at most ``room`` patches together."""
    ends = np.cumsum([len(block) for block in blocks])
    return blocks[: int((ends <= room).sum())]


def make_adaptive(budget: int | None, precision: float | None, tolerance: float) -> Adaptive:
    """Return the adaptive strategy for a budget or a wanted standard error.

    Raises:
        InputError: both are given, or a number is out of range.

    Example:
        >>> make_adaptive(None, None, 0.01).precision
        0.005
    """
    if budget is not None and precision is not None:
        raise InputError("adaptive: got a budget and a precision, expected one of them")
    if budget is not None and (not isinstance(budget, int) or budget < 1):
        raise InputError(f"budget: got {budget!r}, expected a whole number of interventions, 1 or more")
    if precision is not None and not precision > 0:
        raise InputError(f"precision: got {precision!r}, expected a number above 0, in the unit of the measure")
    if budget is not None:
        return Adaptive(budget=budget, quiet=tolerance / _QUIET)
    precision = precision or tolerance / 2
    return Adaptive(precision=precision, quiet=min(tolerance, 2 * precision) / _QUIET)
