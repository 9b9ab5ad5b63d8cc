"""Intervene on photographs and see what a metric says: the measurements of a card."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import ImageError, InputError
from causaliqa.api.protocols import Metric
from causaliqa.evaluation.card_facts import CardFacts, CardSettings, Check, Cost, Descent, Floor
from causaliqa.evaluation.card_loss import check_gradients, measure_descents
from causaliqa.evaluation.card_order import SCORES, measure_order
from causaliqa.evaluation.card_probes import check_properties, measure_cost, measure_floors
from causaliqa.evaluation.card_scorer import Scorer
from causaliqa.io.images import as_image, image_suffixes
from causaliqa.io.photographs import SCENES, installed, photograph
from causaliqa.utils.text import distinct_names

if TYPE_CHECKING:
    from torch import Tensor

    Image = Tensor | Any | str | os.PathLike[str]

__all__ = ["card_images", "card_steps", "measure_card"]

_LOSS_SIDE = 128
"""Side of the photograph in the test as a loss, as in ``benchmarks/calibration_loss.py``."""

_LAST_STEPS = 10
"""Steps of the progress bar after the scores of the photographs."""


def card_images(images: str | os.PathLike[str] | Iterable[Image] | None, settings: CardSettings) -> dict[str, Tensor]:
    """Return the photographs of a card by name, each ``(1, 3, side, side)``, RGB in [0, 1].

    Args:
        images: a folder, an image, or several images, as paths, arrays or tensors; by default photographs that come
            with the packages that causaliqa needs.
        settings: how many, and how large. A larger image is cut to the square in its middle and reduced.

    Raises:
        ImageError: an image cannot be read, is too small, or there is none.

    Example:
        >>> {name: tuple(img.shape) for name, img in card_images(None, CardSettings(images=1, side=64)).items()}
        {'astronaut': (1, 3, 64, 64)}
    """
    if images is None:
        found: list[tuple[str, Any]] = [(name, photograph(name)) for name in installed(SCENES)[: settings.images]]
    else:
        found = _named(images)[: settings.images]
    return {name: _square(as_image(image), name, settings.side) for name, image in found}


def _named(images: str | os.PathLike[str] | Iterable[Image]) -> list[tuple[str, Any]]:
    if isinstance(images, str | os.PathLike) and Path(images).is_dir():
        folder = Path(images)
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in image_suffixes())
        if not paths:
            raise ImageError(f"{folder} holds no image; expected photographs, such as .png or .jpg")
        return [(path.name, path) for path in paths]
    several = [images] if isinstance(images, str | os.PathLike) or hasattr(images, "shape") else list(images)
    if not several:
        raise ImageError("images: got none, expected a folder or at least one photograph")
    paths = [
        Path(image) if isinstance(image, str | os.PathLike) else Path(f"image {k + 1}")
        for k, image in enumerate(several)
    ]
    return list(zip(distinct_names(paths), several, strict=True))


def _square(image: Tensor, name: str, side: int) -> Tensor:
    """Cut the square in the middle and reduce it, rounded to 8 bits."""
    import torch.nn.functional as F

    from causaliqa.functional.degrade import quantise

    height, width = image.shape[-2:]
    short = min(height, width)
    if short < side:
        raise ImageError(
            f"{name} is {width} x {height}, expected at least {side} x {side} (width x height); set a smaller side"
        )
    top, left = (height - short) // 2, (width - short) // 2
    square = image[..., top : top + short, left : left + short]
    if short > side:
        square = F.interpolate(square, size=(side, side), mode="bicubic", antialias=True, align_corners=False)
    return quantise(square)


def card_steps(images: int) -> int:
    """Return the length of a progress bar: scores of photographs, and what follows them."""
    return images * SCORES + _LAST_STEPS


def measure_card(
    metric: Metric,
    name: str,
    images: dict[str, Tensor],
    *,
    trainable: Metric | None = None,
    settings: CardSettings | None = None,
    device: str = "cpu",
    progress: Callable[[int], object] = lambda _: None,
) -> CardFacts:
    """Intervene on photographs and measure what a metric says.

    What fails is a fact of the card, not an error.

    Args:
        metric: the metric, on its device.
        name: what the card calls it.
        images: photographs by name, as :func:`card_images` returns them.
        trainable: the same metric, built so that it can be differentiated; by default the metric itself.
        settings: how much is measured.
        device: where the metric is.
        progress: called with the number of steps just finished, :func:`card_steps` in all.

    Raises:
        InputError: the metric does not declare its direction.

    Example:
        >>> metric = lambda img, ref: (img - ref).square().mean((1, 2, 3))
        >>> metric.lower_better, metric.metric_mode = True, "FR"
        >>> few = CardSettings(images=1, side=64, steps=2, floor_sides=(64,), cost_sides=(64,))
        >>> facts = measure_card(metric, "mse", card_images(None, few), settings=few)
        >>> facts.flags, facts.order_ok, len(facts.curves)
        ((), True, 12)
    """
    if not isinstance(getattr(metric, "lower_better", None), bool):
        raise InputError(f"metric {name!r} does not say which direction is better; set its attribute lower_better")
    settings = settings or CardSettings()
    refs, other = list(images.values()), _other(images, settings.side)
    left = [card_steps(len(refs))]

    def tick(count: int = 1) -> None:
        count = min(count, left[0])
        left[0] -= count
        progress(count)

    scorer = Scorer(metric, device, tick)
    curves, responses, orders = measure_order(scorer, refs, other, seed=settings.seed)
    scored = any(score is not None for curve in curves for line in curve.scores for score in line)
    scorer.tick = lambda: None
    # Where no image can be scored the rest would only say so again.
    sound = _soundness(scorer, trainable or metric, refs, other, settings) if scored else _Soundness()
    tick(left[0])
    return CardFacts(
        metric=name,
        lower_better=metric.lower_better,
        metric_mode="FR" if scorer.full_reference else "NR",
        images=tuple(images),
        side=settings.side,
        seed=settings.seed,
        device=device,
        curves=curves,
        responses=responses,
        orders=orders,
        checks=sound.checks,
        floors=sound.floors,
        descents=sound.descents,
        costs=sound.costs,
        problems=scorer.problems,
    )


@dataclass(frozen=True, kw_only=True)
class _Soundness:
    """What is measured after the order."""

    checks: tuple[Check, ...] = ()
    floors: tuple[Floor, ...] = ()
    descents: tuple[Descent, ...] = ()
    costs: tuple[Cost, ...] = ()


def _soundness(
    scorer: Scorer, trainable: Metric, refs: Sequence[Tensor], other: Tensor, settings: CardSettings
) -> _Soundness:
    seed, detail = settings.seed, _loss_reference(refs[0])
    gradients = list(check_gradients(scorer, trainable, detail, seed=seed))
    trains = scorer.full_reference and settings.steps and any(check.value for check in gradients)
    return _Soundness(
        checks=(*check_properties(scorer, refs, other, seed=seed), *gradients),
        floors=tuple(measure_floors(scorer, refs[0], settings.floor_sides, seed=seed)),
        descents=tuple(measure_descents(scorer, trainable, detail, steps=settings.steps, seed=seed)) if trains else (),
        costs=tuple(measure_cost(scorer, refs[0], settings.cost_sides, seed=seed)),
    )


def _other(images: dict[str, Tensor], side: int) -> Tensor:
    """Return an image that the last photograph can be mistaken for: the first one, or, of a single one, another."""
    first = next(iter(images.values()))
    if len(images) > 1:
        return first
    for name in installed(SCENES)[:2]:
        other = _square(as_image(photograph(name)), name, side)
        if not bool((other == first).all()):
            return other
    return first.transpose(-1, -2).contiguous()


def _loss_reference(photo: Tensor) -> Tensor:
    """Return a detail of the astronaut, or of a given photograph where that one is not installed."""
    try:
        whole = as_image(photograph("astronaut"))
    except InputError:
        side = min(_LOSS_SIDE, photo.shape[-1] // 4 * 4)
        return photo[..., :side, :side].contiguous()
    return whole[..., _LOSS_SIDE : 2 * _LOSS_SIDE, _LOSS_SIDE : 2 * _LOSS_SIDE].contiguous()
