"""Dose-response curves as SVG paths, for pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from causaliqa.evaluation.card_facts import CardFacts
from causaliqa.report._svg import axis_ends, axis_ticks
from causaliqa.report.card_figure import mean_line, relative_lines, skewed_unit

__all__ = ["HEIGHT", "WIDTH", "DosePanel", "card_panels", "compared_panels"]

WIDTH, HEIGHT = 260, 150
LEFT, RIGHT, TOP, BOTTOM = 40, 6, 8, 20

_Lines = list[tuple[list[list[float]], list[list[float]]]]
"""Thin and thick lines of every panel."""

_APART = 16
"""Least distance between two labels of an axis."""


@dataclass(frozen=True, kw_only=True)
class DosePanel:
    """One SVG of :data:`WIDTH` x :data:`HEIGHT`."""

    title: str
    """The distortion."""
    unit: str
    """Unit of the doses."""
    note: str
    """What is printed behind the title."""
    thin: str
    """Path data of the photographs, in one path."""
    lines: tuple[str, ...]
    """Path data of the thick lines, one a metric."""
    x_ticks: tuple[tuple[float, str], ...]
    """Places and labels below."""
    y_ticks: tuple[tuple[float, str], ...]
    """Places and labels on the left."""
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def card_panels(facts: CardFacts) -> list[DosePanel]:
    """Return a panel for every distortion, in the scores of the metric: a thin line a photograph, their mean thick."""
    lines: _Lines = [
        ([[math.nan if v is None else v for v in line] for line in curve.scores], [mean_line(curve)])
        for curve in facts.curves
    ]
    notes = ["" if curve.tau is None else f"τ {curve.tau:.2f}" for curve in facts.curves]
    return _panels(facts, lines, notes)


def compared_panels(cards: Sequence[CardFacts]) -> list[DosePanel]:
    """Return a panel for every distortion with a line for every metric, as :func:`relative_lines` scales them."""
    scaled = [relative_lines(facts) for facts in cards]
    lines: _Lines = [([], [own[curve.distortion] for own in scaled]) for curve in cards[0].curves]
    return _panels(cards[0], lines, [""] * len(lines))


def _panels(facts: CardFacts, lines: _Lines, notes: list[str]) -> list[DosePanel]:
    every = [v for thin, thick in lines for line in (*thin, *thick) for v in line if math.isfinite(v)]
    height, y_ticks = _vertical(every)
    return [
        DosePanel(
            title=curve.distortion,
            unit=curve.unit,
            note=note,
            thin="".join(_path(line, height) for line in thin),
            lines=tuple(_path(line, height) for line in thick),
            x_ticks=tuple(
                (_across(k, len(curve.doses)), f"{(0.0, *curve.doses)[k]:g}") for k in range(0, len(curve.doses) + 1, 2)
            ),
            y_ticks=y_ticks,
        )
        for curve, note, (thin, thick) in zip(facts.curves, notes, lines, strict=True)
    ]


def _vertical(values: list[float]) -> tuple[Callable[[float], float], tuple[tuple[float, str], ...]]:
    """Return the vertical place of a value, and the ticks; logarithmic where a linear axis would hide most of it."""
    unit = skewed_unit(values)

    def bent(value: float) -> float:
        return math.asinh(value / unit) if unit else value

    low, high = axis_ends([np.array([bent(v) for v in values])])

    def height(value: float) -> float:
        return round(HEIGHT - BOTTOM - (bent(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    if unit:
        first = math.ceil(math.log10(unit))
        powers = [10.0**k for k in range(first, first + 40, 1 + int((high - low) / 7))]
        places = [v for v in (*(-p for p in powers), 0.0, *powers) if low <= bent(v) <= high]
    else:
        places = axis_ticks(low, high)
    ticks: list[tuple[float, str]] = []
    for value in places:
        if not ticks or abs(height(value) - ticks[-1][0]) >= _APART:
            ticks.append((height(value), f"{value:g}"))
    return height, tuple(ticks)


def _across(number: int, last: int) -> float:
    return round(LEFT + number / last * (WIDTH - LEFT - RIGHT), 1)


def _path(line: list[float], height: Callable[[float], float]) -> str:
    """Return path data; where a value is missing the line is interrupted.

    Example:
        >>> _path([0.0, math.nan, 1.0, 2.0], lambda v: v)
        'M40 0M182.7 1L254 2'
    """
    text, pen = "", "M"
    for number, value in enumerate(line):
        if not math.isfinite(value):
            pen = "M"
            continue
        text += f"{pen}{_across(number, len(line) - 1):g} {height(value):g}"
        pen = "L"
    return text
