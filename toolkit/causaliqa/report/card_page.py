"""Cards of metrics as one self-contained HTML page, without JavaScript."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from causaliqa.evaluation.card_facts import CardFacts, Check, Descent
from causaliqa.functional.doses import MILD, MODERATE
from causaliqa.report import card_svg
from causaliqa.report.templates import assets, templates

if TYPE_CHECKING:
    from causaliqa.report.card import Card

__all__ = ["card_page"]

HARMLESS_WORDS = {
    "shift": "shift by one pixel",
    "brightness": "brightness + 8/255",
    "jpeg95": "JPEG of quality 95",
}
"""What the page calls the changes that nobody minds."""

_KINDS = {
    "order": "wrong order",
    "symmetry": "asymmetric",
    "numerics": "unsound",
    "gradient": "gradient",
    "loss": "as a loss",
    "failure": "failure",
}


def card_page(cards: Sequence[Card], *, title: str = "") -> str:
    """Return the page; all text from data is escaped.

    Args:
        cards: cards that were measured on the same photographs.
        title: heading; by default what is on the page.
    """
    environment = templates()
    environment.filters["short"] = _short
    facts = [one.facts for one in cards]
    return environment.get_template("card.html").render(
        title=title or (f"Card of {facts[0].metric}" if len(facts) == 1 else f"Cards of {len(facts)} metrics"),
        style=assets("page.css", "card.css"),
        first=facts[0],
        cards=[_section(one) for one in facts],
        compared=card_svg.compared_panels(facts) if len(facts) > 1 else [],
        size=(card_svg.WIDTH, card_svg.HEIGHT),
        doses=(MILD, MODERATE),
        kinds=_KINDS,
        words=HARMLESS_WORDS,
        versions=cards[0].versions,
        settings=asdict(cards[0].settings),
    )


def _section(facts: CardFacts) -> dict[str, Any]:
    return {
        "facts": facts,
        "panels": card_svg.card_panels(facts),
        "blind": [curve.distortion for curve in facts.curves if curve.blind],
        "symmetry": _check(facts, "symmetry"),
        "gradient": _check(facts, "gradient at moderate noise"),
        "descents": _descents(facts),
        "cost": next((cost for cost in reversed(facts.costs) if cost.seconds is not None), None),
        "order_flags": sum(flag.kind == "order" for flag in facts.flags),
    }


def _check(facts: CardFacts, name: str) -> Check | None:
    return next((check for check in facts.checks if check.name == name), None)


def _descents(facts: CardFacts) -> dict[str, Descent]:
    """Return the descents that matter most by their start: with the metric's own loss where it has one."""
    return {descent.start: descent for descent in facts.descents}  # the own loss comes last


def _short(value: float | None) -> str:
    """Return a number as the page prints it.

    >>> _short(0.12345), _short(1234567.0), _short(None), _short(1.27)
    ('0.12', '1.2e+06', '–', '1.3')
    """
    if value is None:
        return "–"
    return f"{value:.0f}" if 100 <= abs(value) < 1e5 else f"{value:.2g}"
