"""Can a metric train a network? Its gradients, and what descent on the pixels of a photograph makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch

from causaliqa.api.protocols import Metric
from causaliqa.evaluation.card_facts import Check, Descent
from causaliqa.evaluation.card_probes import moderate
from causaliqa.evaluation.card_scorer import Scorer
from causaliqa.functional.descent import descend, descent_starts, high_share, image_psnr
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from torch import Tensor

    Loss = Callable[[Tensor, Tensor], Tensor]

__all__ = ["check_gradients", "measure_descents"]

_PERFECT = 150.0
"""PSNR in dB of an image that equals the reference in single precision."""


def check_gradients(scorer: Scorer, trainable: Metric, ref: Tensor, *, seed: int) -> Iterator[Check]:
    """Yield whether gradients reach a distorted image and the reference itself, and whether they are finite.

    Args:
        scorer: the metric.
        trainable: the same metric, built so that it can be differentiated; often the metric itself.
        ref: reference ``(1, 3, H, W)``.
        seed: seed of the noise.
    """
    declared = bool(getattr(getattr(scorer.metric, "spec", None), "differentiable", False))
    for where, img in (("moderate noise", moderate(ref, seed=seed)), ("the reference itself", ref)):
        name = f"gradient at {where}"
        try:
            size = _gradient_size(trainable, img.to(scorer.device), ref.to(scorer.device))
        except Exception as error:  # metrics of others fail in their own ways
            text = f"no gradient reaches the image: {brief(error, 160)}"
            yield Check(name=name, ok=False if declared else None, value=None, text=text)
            continue
        if not math.isfinite(size):
            yield Check(name=name, ok=False, value=None, text="it is not finite")
        elif size == 0 and img is not ref:
            yield Check(name=name, ok=False if declared else None, value=0.0, text="it is zero everywhere")
        else:
            yield Check(name=name, ok=True, value=size, text=f"finite, norm {size:.3g}")


def _gradient_size(metric: Metric, img: Tensor, ref: Tensor) -> float:
    """Euclidean norm of the gradient; NaN if a value is not finite."""
    img = img.clone().requires_grad_()
    score = metric(img, ref).sum()
    if not score.requires_grad:
        raise ValueError("the score depends on it through no differentiable function")
    (gradient,) = torch.autograd.grad(score, img)
    return float(gradient.double().norm()) if bool(gradient.isfinite().all()) else math.nan


def measure_descents(scorer: Scorer, trainable: Metric, ref: Tensor, *, steps: int, seed: int) -> Iterator[Descent]:
    """Yield what descent makes of a reduced photograph and of noise, with the score and with the metric's own loss.

    Args:
        scorer: the metric.
        trainable: the same metric, built so that it can be differentiated.
        ref: reference ``(1, 3, H, W)``, sides multiples of four.
        steps: steps of Adam.
        seed: seed of the noise.
    """
    ref = ref.to(scorer.device)
    losses: dict[str, Loss] = {"score": lambda img, ref: scorer.sign * trainable(img, ref)}
    own = getattr(trainable, "loss", None)
    if callable(own):
        losses["loss"] = own
    for name, loss in losses.items():
        for start, img in descent_starts(ref, seed=seed).items():
            psnr, high, text = _descent(loss, img, ref, steps)
            yield Descent(
                loss="loss" if name == "loss" else "score",
                start=start,
                psnr_start=image_psnr(img, ref),
                psnr_end=psnr,
                high=high,
                steps=steps,
                text=text,
            )


def _descent(loss: Loss, start: Tensor, ref: Tensor, steps: int) -> tuple[float | None, float | None, str]:
    """Return PSNR and share of high frequencies at the end, or why there is none."""
    try:
        end = descend(loss, start, ref, steps=steps)
    except Exception as error:  # metrics of others fail in their own ways
        return None, None, brief(error, 160)
    if not bool(end.isfinite().all()):
        return None, None, "the image is no longer finite"
    high = high_share(end, ref)
    return min(image_psnr(end, ref), _PERFECT), high if math.isfinite(high) else None, ""
