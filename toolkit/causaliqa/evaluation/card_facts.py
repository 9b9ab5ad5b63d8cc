"""What a card says of a metric: facts, and which of them are faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["CardFacts", "CardSettings", "Check", "Cost", "Curve", "Descent", "Flag", "Floor", "Order", "Response"]


_Kind = Literal["order", "symmetry", "numerics", "gradient", "loss", "failure"]

_OWN_KIND: tuple[_Kind, ...] = ("symmetry", "gradient")
"""Checks that are a kind of their own."""

_SPOILS = 0.5
"""Loss of PSNR in dB from which a descent spoils an image."""


@dataclass(frozen=True, kw_only=True)
class CardSettings:
    """How much is measured."""

    images: int = 4
    """Most photographs that are used."""
    side: int = 256
    """Side of the square that is cut from the middle of every photograph, in pixels."""
    steps: int = 100
    """Steps of gradient descent in the test as a loss; 0 leaves it out."""
    floor_sides: tuple[int, ...] = (32, 64, 128, 256)
    """Sides at which rounding is measured, in pixels; none larger than the photographs."""
    cost_sides: tuple[int, ...] = (256, 512)
    """Sides at which time and memory are measured, in pixels."""
    seed: int = 0
    """Seed of the distortions, of the start from noise, and of a metric that takes one."""

    @classmethod
    def quick(cls, seed: int = 0) -> CardSettings:
        """Return settings that take about an eighth of the time: two smaller photographs, 25 steps."""
        return cls(images=2, side=192, steps=25, floor_sides=(64, 192), cost_sides=(128, 256), seed=seed)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Response to one distortion."""

    distortion: str
    """Its name in :data:`causaliqa.functional.doses.DISTORTIONS`."""
    unit: str
    """Unit of the doses."""
    doses: tuple[float, ...]
    """Doses, rising."""
    scores: tuple[tuple[float | None, ...], ...]
    """A line for every photograph: the score of the photograph itself, then of every dose; None where it failed."""
    tau: float | None
    """Kendall's tau-b between dose and worsening, 1 if every dose is worse than all below it; mean over photographs."""
    steps: float | None
    """Share of the steps from one dose to the next, the photograph itself being the first, that worsen the score."""
    effect: float | None
    """Worsening by the strongest dose, divided by the median worsening by the just visible distortions; mean over
    photographs."""

    @property
    def blind(self) -> bool:
        """True if the strongest dose counts no more than what is just visible."""
        return self.effect is not None and abs(self.effect) <= 1


@dataclass(frozen=True, kw_only=True)
class Response:
    """Response to a change that nobody minds, beside that to just visible distortions (the first doses)."""

    change: str
    """Its name in :data:`causaliqa.functional.doses.HARMLESS`."""
    ratio: float | None
    """How far the score moves, divided by the median over the just visible distortions; mean over photographs."""
    worse_than: float | None
    """Share of the just visible distortions that count less."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A comparison whose outcome anybody can see."""

    worse: str
    """What must be worse."""
    better: str
    """Than what."""
    right: int
    """Comparisons in the right order."""
    n: int
    """All comparisons: photographs, or photographs times distortions."""

    @property
    def ok(self) -> bool:
        """True if at least nine of ten comparisons are in the right order."""
        return self.right >= 0.9 * self.n


@dataclass(frozen=True, kw_only=True)
class Check:
    """One property that a metric should have."""

    name: str
    """What is checked."""
    ok: bool | None
    """False if it is a fault; None if it is not known, or a matter of taste."""
    value: float | None
    """What was measured, in the words of :attr:`text`."""
    text: str
    """What was found, for people."""


@dataclass(frozen=True, kw_only=True)
class Floor:
    """How far the score moves when nothing changes but how it is computed, at one size.

    Shares of the worsening by moderate noise; None where it does not apply, see :attr:`text`.
    """

    side: int
    """Side of the square image."""
    threads: float | None
    """Several threads instead of one."""
    float64: float | None
    """Double precision instead of single."""
    text: str = ""
    """Why something is missing."""


@dataclass(frozen=True, kw_only=True)
class Descent:
    """What gradient descent on the pixels of a photograph makes of it."""

    loss: Literal["score", "loss"]
    """The score itself (negated where higher is better), or the metric's own ``loss``."""
    start: str
    """``reduced``: reduced and enlarged four times; ``noise``: uniform noise."""
    psnr_start: float
    """PSNR of the start in dB."""
    psnr_end: float | None
    """PSNR of the end in dB; None if it failed."""
    high: float | None
    """Share of the squared error above three quarters of the Nyquist frequency; 0.44 for white noise."""
    steps: int
    """Steps of Adam with a learning rate of 0.02."""
    text: str = ""
    """Why it failed."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Time and memory of one pair whose reference was seen before; on a CPU the time of one thread."""

    side: int
    """Side of the square image."""
    seconds: float | None
    """Shortest of three runs, on a CPU the time that the process had; None if it failed."""
    nanoseconds_per_pixel: float | None
    """The same per pixel."""
    bytes_per_pixel: float | None
    """Peak of memory beyond what was in use before, per pixel; None if it cannot be measured here."""
    text: str = ""
    """Why it failed."""


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A fault."""

    kind: _Kind
    """What it concerns; ``order`` is a wrong order of qualities."""
    text: str
    """What is wrong, for people."""


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """Everything measured of one metric."""

    metric: str
    """Name, or the request that it was built from."""
    lower_better: bool
    """Declared direction: True if a lower score means better quality."""
    metric_mode: str
    """FR (with reference) or NR (without)."""
    images: tuple[str, ...]
    """Names of the photographs."""
    side: int
    """Side of the photographs in pixels."""
    seed: int
    """Seed of the distortions."""
    device: str
    """Where it ran."""
    curves: tuple[Curve, ...]
    """Response to twelve distortions at eight doses."""
    responses: tuple[Response, ...]
    """Response to changes that nobody minds."""
    orders: tuple[Order, ...]
    """Comparisons whose outcome anybody can see."""
    checks: tuple[Check, ...]
    """Identity, symmetry, repeatability, batches, gradients."""
    floors: tuple[Floor, ...]
    """Rounding over sizes."""
    descents: tuple[Descent, ...]
    """The metric as a loss; empty if no gradient reaches the image, or if not asked for."""
    costs: tuple[Cost, ...]
    """Time and memory over sizes."""
    problems: tuple[str, ...]
    """What could not be measured, and why; each once."""

    @property
    def tau(self) -> float | None:
        """Mean of the curves' tau."""
        known = [curve.tau for curve in self.curves if curve.tau is not None]
        return sum(known) / len(known) if known else None

    @property
    def flags(self) -> tuple[Flag, ...]:
        """Everything that is a fault; empty if nothing was found."""
        return tuple(_flags(self))

    @property
    def order_ok(self) -> bool:
        """True if no order is wrong."""
        return not any(flag.kind == "order" for flag in self.flags)


def _flags(facts: CardFacts) -> Iterator[Flag]:
    if not any(score is not None for curve in facts.curves for line in curve.scores for score in line):
        yield Flag(kind="failure", text="no image could be scored")
        return
    better = "lower" if facts.lower_better else "higher"
    if (tau := facts.tau) is not None and tau < 0:
        yield Flag(kind="order", text=f"the score improves with distortion (tau {tau:.2f}): is {better} really better?")
    for curve in facts.curves:
        if tau is not None and tau >= 0 and curve.tau is not None and curve.tau < 0 and not curve.blind:
            yield Flag(kind="order", text=f"more {curve.distortion} counts as better (tau {curve.tau:.2f})")
    for order in facts.orders:
        if not order.ok:
            wrong = f"{order.n - order.right} of {order.n}"
            yield Flag(kind="order", text=f"{order.worse} not worse than {order.better} (wrong in {wrong} comparisons)")
    for check in facts.checks:
        if check.ok is False:
            own: Iterator[_Kind] = (kind for kind in _OWN_KIND if check.name.startswith(kind))
            yield Flag(kind=next(own, "numerics"), text=f"{check.name}: {check.text}")
    for descent in facts.descents:
        if descent.psnr_end is not None and descent.psnr_end < descent.psnr_start - _SPOILS:
            what = "the score as a loss" if descent.loss == "score" else "its own loss"
            change = f"{descent.psnr_start:.1f} to {descent.psnr_end:.1f} dB"
            yield Flag(kind="loss", text=f"{what} spoils the image it starts from ({descent.start}: {change})")
