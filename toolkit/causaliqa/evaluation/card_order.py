"""Does a metric order what anybody can order? Dose-response curves, harmless changes, and gross ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING

from causaliqa.evaluation.card_facts import Curve, Order, Response
from causaliqa.evaluation.card_scorer import Scorer
from causaliqa.functional.doses import DISTORTIONS, GROSS, HARMLESS, MILD, MODERATE, distort, gross, harmless
from causaliqa.functional.statistics import krcc

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SCORES", "measure_order"]

_Lines = dict[str, list[tuple[float | None, ...]]]

SCORES = 1 + 8 * len(DISTORTIONS) + len(HARMLESS) + len(GROSS)
"""Most scores for one photograph."""


def measure_order(
    scorer: Scorer, refs: Sequence[Tensor], other: Tensor, *, seed: int
) -> tuple[tuple[Curve, ...], tuple[Response, ...], tuple[Order, ...]]:
    """Score known changes of photographs.

    Args:
        scorer: the metric.
        refs: photographs ``(1, 3, H, W)`` of one size, RGB in [0, 1].
        other: one more, to be mistaken for the last of them.
        seed: seed of the distortions.

    Returns:
        Dose-response curves, responses to harmless changes, and comparisons with gross ones.
    """
    lines: _Lines = {name: [] for name in DISTORTIONS}
    harmless_scores: dict[str, list[float | None]] = {name: [] for name in HARMLESS}
    gross_scores: dict[str, list[float | None]] = {}
    for number, ref in enumerate(refs):
        itself = scorer(ref, ref, "a photograph itself")
        for name, kind in DISTORTIONS.items():
            made = (distort(ref, name, dose, seed=seed + number) for dose in kind.doses)
            lines[name].append((itself, *(scorer(img, ref, name) for img in made)))
        for name in HARMLESS:
            harmless_scores[name].append(scorer(harmless(ref, name), ref, name))
        for name, img in _gross(scorer, ref, [*refs, other][number + 1], seed):
            gross_scores.setdefault(name, []).append(scorer(img, ref, name))
    return (
        tuple(_curve(scorer, name, lines) for name in lines),
        tuple(_response(scorer, name, scores, lines) for name, scores in harmless_scores.items()),
        tuple(_orders(scorer, lines, gross_scores)),
    )


def _gross(scorer: Scorer, ref: Tensor, other: Tensor, seed: int) -> Iterable[tuple[str, Tensor]]:
    """Yield images that anybody would take for a failure; without a reference only what looks like one."""
    if scorer.full_reference:
        yield from ((name, gross(ref, name, other)) for name in GROSS)
        return
    yield "negative", gross(ref, "negative", other)
    yield "uniform grey", ref.new_full(ref.shape, 0.5)
    yield "noise alone", distort(ref.new_full(ref.shape, 0.5), "noise", 90, seed=seed)


def _just_visible(scorer: Scorer, lines: _Lines, number: int) -> list[float]:
    """Return how far the first dose of every distortion moves the score of a photograph."""
    found = (scorer.worsening(line[number][1], line[number][0]) for line in lines.values())
    return [abs(value) for value in found if value is not None]


def _curve(scorer: Scorer, name: str, lines: _Lines) -> Curve:
    taus, effects, right, steps = [], [], 0, 0
    for number, line in enumerate(lines[name]):
        strongest, visible = scorer.worsening(line[-1], line[0]), _just_visible(scorer, lines, number)
        if strongest is not None and visible and (unit := median(visible)):
            effects.append(strongest / unit)
        known = [(k, scorer.sign * v) for k, v in enumerate(line) if v is not None]
        # A constant score has no tau, but it does not follow the dose either.
        tau = krcc(*zip(*known, strict=True)) if len(known) > 2 else None
        if tau is not None:
            taus.append(tau if math.isfinite(tau) else 0.0)
        pairs = [(b, a) for b, a in itertools.pairwise(line) if b is not None and a is not None]
        steps += len(pairs)
        right += sum(scorer.sign * (after - before) > 0 for before, after in pairs)
    return Curve(
        distortion=name,
        unit=DISTORTIONS[name].unit,
        doses=DISTORTIONS[name].doses,
        scores=tuple(lines[name]),
        tau=fmean(taus) if taus else None,
        steps=right / steps if steps else None,
        effect=fmean(effects) if effects else None,
    )


def _response(scorer: Scorer, name: str, scores: list[float | None], lines: _Lines) -> Response:
    ratios, less, n = [], 0, 0
    for k, score in enumerate(scores):
        own, visible = scorer.worsening(score, next(iter(lines.values()))[k][0]), _just_visible(scorer, lines, k)
        if own is None or not visible:
            continue
        less += sum(value < abs(own) for value in visible)
        n += len(visible)
        if unit := median(visible):
            ratios.append(abs(own) / unit)
    return Response(change=name, ratio=fmean(ratios) if ratios else None, worse_than=less / n if n else None)


def _orders(scorer: Scorer, lines: _Lines, gross_scores: dict[str, list[float | None]]) -> Iterable[Order]:
    itself = [line[0] for line in next(iter(lines.values()))]
    mild = [[line[k][MILD] for line in lines.values()] for k in range(len(itself))]
    noise = [[line[MODERATE]] for line in lines["noise"]]
    alone = [[score] for score in itself]
    if scorer.full_reference:
        strongest = [[v for line in lines.values() for v in line[k][1:]] for k in range(len(itself))]
        found = [_compare(scorer, "any distortion", "the reference itself", strongest, alone)]
        for name, scores in gross_scores.items():
            own = [[score] for score in scores]
            found.append(_compare(scorer, name, "mild distortions", own, mild))
            if name != "half brightness":  # of the right content, and some prefer it to noise
                found.append(_compare(scorer, name, "moderate noise", own, noise))
    else:
        strongest = [[line[k][-1] for line in lines.values()] for k in range(len(itself))]
        found = [_compare(scorer, "strongest distortions", "the photograph itself", strongest, alone)]
        for name, scores in gross_scores.items():
            found.append(_compare(scorer, name, "the photograph itself", [[score] for score in scores], alone))
    return [order for order in found if order.n]


def _compare(
    scorer: Scorer,
    worse: str,
    better: str,
    bad: list[list[float | None]],
    good: list[list[float | None]],
) -> Order:
    """Compare every bad score of a photograph with every good one; an equal score is a wrong order."""
    gaps = [scorer.worsening(a, b) for bads, goods in zip(bad, good, strict=True) for a in bads for b in goods]
    known = [gap for gap in gaps if gap is not None]
    return Order(worse=worse, better=better, right=sum(gap > 0 for gap in known), n=len(known))
