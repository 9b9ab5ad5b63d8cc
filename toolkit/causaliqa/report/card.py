"""A card of a metric: what it says when photographs are changed in known ways."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.api.protocols import Metric
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.request import parse_request
from causaliqa.catalog.workers import build_metric
from causaliqa.evaluation.card import card_images, card_steps, measure_card
from causaliqa.evaluation.card_facts import CardFacts, CardSettings, Flag
from causaliqa.utils.devices import choose_device
from causaliqa.utils.files import write_text
from causaliqa.utils.progress import progress_bar
from causaliqa.utils.text import without_folders
from causaliqa.utils.versions import versions

if TYPE_CHECKING:
    from torch import Tensor

    Image = Tensor | Any | str | os.PathLike[str]

__all__ = ["Card", "Cards", "card", "cards"]


@dataclass(frozen=True, kw_only=True)
class Card:
    """What :func:`card` returns: what was measured of one metric, as a page, as json and as print-ready panels."""

    facts: CardFacts = field(repr=False)
    """Everything that was measured."""
    settings: CardSettings = field(default_factory=CardSettings, repr=False)
    """How much was measured."""
    versions: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Versions of the packages that scores depend on."""

    @property
    def name(self) -> str:
        """Name of the metric."""
        return self.facts.metric

    @property
    def flags(self) -> tuple[Flag, ...]:
        """Faults; empty if none was found."""
        return self.facts.flags

    @property
    def order_ok(self) -> bool:
        """True if no order is wrong."""
        return self.facts.order_ok

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain dicts, lists and values, without NaN."""
        facts = _plain(asdict(self.facts))
        for known, curve in zip(facts["curves"], self.facts.curves, strict=True):
            known["blind"] = curve.blind
        for known, order in zip(facts["orders"], self.facts.orders, strict=True):
            known["ok"] = order.ok
        return {
            **facts,
            "tau": self.facts.tau,
            "order_ok": self.order_ok,
            "flags": [asdict(flag) for flag in self.flags],
        }

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the card as JSON, and write it to a file if there is a path."""
        return Cards(cards=(self,)).to_json(path)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the card as a page that needs no network, and write it to a file if there is a path."""
        return Cards(cards=(self,)).to_html(path)

    def figure(self, path: str | os.PathLike[str]) -> Path:
        """Write the dose-response curves as a picture: PNG, PDF or SVG."""
        return Cards(cards=(self,)).figure(path)

    def __repr__(self) -> str:
        found = f"{len(self.flags)} flag{'' if len(self.flags) == 1 else 's'}" if self.flags else "no flags"
        tau = "unknown" if self.facts.tau is None else f"{self.facts.tau:.2f}"
        return f"Card({self.name!r}, order {'right' if self.order_ok else 'wrong'}, tau {tau}, {found})"

    def _repr_html_(self) -> str:
        return Cards(cards=(self,))._repr_html_()


@dataclass(frozen=True, kw_only=True)
class Cards:
    """Cards of several metrics, which were measured on the same photographs."""

    cards: tuple[Card, ...]
    """One card a metric."""

    def __len__(self) -> int:
        return len(self.cards)

    def __getitem__(self, number: int) -> Card:
        return self.cards[number]

    @property
    def order_ok(self) -> bool:
        """True if no order of any metric is wrong."""
        return all(one.order_ok for one in self.cards)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the cards as one JSON document, and write it to a file if there is a path."""
        first = self.cards[0]
        document = {
            "schema": 1,
            "versions": dict(first.versions),
            "settings": asdict(first.settings),
            "cards": [one.as_dict() for one in self.cards],
        }
        return _written(json.dumps(document, indent=2, allow_nan=False), path)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the cards as one page, and write it to a file if there is a path."""
        from causaliqa.report.card_page import card_page

        return _written(card_page(self.cards), path)

    def figure(self, path: str | os.PathLike[str]) -> Path:
        """Write the dose-response curves of all metrics as a picture: PNG, PDF or SVG."""
        from causaliqa.report.card_figure import dose_panels
        from causaliqa.utils.figures import save

        return save(dose_panels([one.facts for one in self.cards]), path)

    def __repr__(self) -> str:
        return f"Cards({', '.join(map(repr, self.cards))})"

    def _repr_html_(self) -> str:
        from causaliqa.report.card_figure import dose_panels
        from causaliqa.utils.figures import html_summary

        lines = {one.name: "; ".join(flag.text for flag in one.flags) or "no flags" for one in self.cards}
        return html_summary(lines, dose_panels([one.facts for one in self.cards]))


def _written(text: str, path: str | os.PathLike[str] | None) -> str:
    if path is not None:
        write_text(text, path)
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def card(
    metric: str | Metric,
    *,
    images: str | os.PathLike[str] | Iterable[Image] | None = None,
    settings: CardSettings | None = None,
    quick: bool = False,
    seed: int | None = None,
    device: str | None = None,
    progress: bool = True,
    catalog: Catalog | None = None,
) -> Card:
    """Intervene on photographs and say what a metric makes of it.

    Twelve distortions at eight doses, changes that nobody minds, gross changes, symmetry, identity, rounding,
    gradients, the metric as a loss, time and memory. What fails is an entry of the card.

    Args:
        metric: ``NAME[:key=value,...]``, or a callable ``(img, ref) -> (N,)`` with ``lower_better``.
        images: a folder, a photograph or several of them, as paths, arrays or tensors; by default photographs that come
            with the packages that causaliqa needs.
        settings: how much is measured.
        quick: measure less, see :meth:`CardSettings.quick`; ``settings`` has precedence.
        seed: seed of the distortions, and of a metric that takes one; by default that of ``settings``.
        device: torch device; by default CUDA where there is one, else the CPU.
        progress: show a progress bar.
        catalog: where a name is looked up; by default what the environment asks for.

    Returns:
        The card, with ``to_html``, ``to_json``, ``figure`` and ``flags``.

    Raises:
        InputError: the metric is unknown, or does not say which direction is better.
        WeightsError: its weights are not here.
        ImageError: a photograph cannot be read or is too small.

    Example:
        >>> few = CardSettings(images=1, side=64, steps=0, floor_sides=(), cost_sides=())
        >>> card("psnr", settings=few, device="cpu", progress=False)
        Card('psnr', order right, tau 1.00, no flags)
    """
    made = cards(
        [metric],
        images=images,
        settings=settings,
        quick=quick,
        seed=seed,
        device=device,
        progress=progress,
        catalog=catalog,
    )
    return made[0]


def cards(
    metrics: Sequence[str | Metric],
    *,
    images: str | os.PathLike[str] | Iterable[Image] | None = None,
    settings: CardSettings | None = None,
    quick: bool = False,
    seed: int | None = None,
    device: str | None = None,
    progress: bool = True,
    catalog: Catalog | None = None,
) -> Cards:
    """Make cards of several metrics on the same photographs; see :func:`card`.

    Example:
        >>> few = CardSettings(images=1, side=64, steps=0, floor_sides=(), cost_sides=())
        >>> len(cards(["psnr", "psnry"], settings=few, device="cpu", progress=False))
        2
    """
    catalog = catalog or default_catalog()
    settings = settings or (CardSettings.quick() if quick else CardSettings())
    settings = settings if seed is None else replace(settings, seed=seed)
    if not metrics:
        raise InputError("card: got no metric, expected at least one name; `causaliqa list metrics` shows them")
    for metric in metrics:
        if isinstance(metric, str):
            catalog.get(MetricSpec, parse_request(metric)[0])  # before torch is loaded
        elif not callable(metric):
            raise InputError(f"metric: got {metric!r}, expected a name or a callable (img, ref) -> (N,)")
    device = choose_device(device)
    # All are built before the first is measured: a wrong option should not show after an hour.
    built = [_build(metric, catalog, device, settings.seed) for metric in metrics]
    photographs = card_images(images, settings)
    made = []
    with progress_bar(len(built) * card_steps(len(photographs)), "card", unit="step", shown=progress) as bar:
        for name, one, trainable in built:
            facts = measure_card(
                one, name, photographs, trainable=trainable, settings=settings, device=device, progress=bar.update
            )
            made.append(Card(facts=facts, settings=settings, versions=versions()))
    return Cards(cards=tuple(made))


def _build(metric: str | Metric, catalog: Catalog, device: str, seed: int) -> tuple[str, Metric, Metric]:
    """Return name, metric, and the same metric in a form that can be differentiated."""
    if not isinstance(metric, str):
        return str(getattr(metric, "name", None) or getattr(metric, "__name__", type(metric).__name__)), metric, metric
    built = build_metric(catalog, metric, device, seed)
    trainable = built
    if catalog.get(MetricSpec, parse_request(metric)[0]).provider == "pyiqa":
        # pyiqa computes gradients only if it is told to when a metric is built.
        option = "as_loss=True"
        try:
            trainable = build_metric(catalog, f"{metric}{',' if ':' in metric else ':'}{option}", device, seed)
        except CausaliqaError:
            trainable = built
    return without_folders(metric), built, trainable
