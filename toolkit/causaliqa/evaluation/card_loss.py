"""Can a metric train a network? Its gradients, and what descent on the pixels of a photograph makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch

from causaliqa.evaluation.card_facts import Check, Descent
from causaliqa.evaluation.card_probes import moderate
from causaliqa.evaluation.card_scorer import Scorer
from causaliqa.functional.descent import descend, descent_starts, high_share, image_psnr
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from torch import Tensor

    Loss = Callable[[Tensor, Tensor], Tensor]

__all__ = ["check_gradients", "measure_descents"]


def check_gradients(scorer: Scorer, ref: Tensor, *, seed: int) -> Iterator[Check]:
    """Yield whether gradients reach a distorted image and the reference itself, and whether they are finite."""
    declared = bool(getattr(getattr(scorer.metric, "spec", None), "differentiable", False))
    for where, img in (("moderate noise", moderate(ref, seed=seed)), ("the reference itself", ref)):
        name = f"gradient at {where}"
        try:
            size = _gradient_size(scorer, img, ref)
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


def _gradient_size(scorer: Scorer, img: Tensor, ref: Tensor) -> float:
    """Euclidean norm of the gradient; NaN if a value is not finite."""
    img = img.to(scorer.device).clone().requires_grad_()
    score = scorer.metric(img, ref.to(scorer.device)).sum()
    if not score.requires_grad:
        raise ValueError("the score depends on it through no differentiable function")
    (gradient,) = torch.autograd.grad(score, img)
    return float(gradient.double().norm()) if bool(gradient.isfinite().all()) else math.nan


def measure_descents(scorer: Scorer, ref: Tensor, *, steps: int, seed: int) -> Iterator[Descent]:
    """Yield what descent makes of a reduced photograph and of noise, with the score and with the metric's own loss.

    Args:
        scorer: the metric.
        ref: reference ``(1, 3, H, W)``, sides multiples of four.
        steps: steps of Adam.
        seed: seed of the noise.
    """
    metric, ref = scorer.metric, ref.to(scorer.device)
    losses: dict[str, Loss] = {"score": lambda img, ref: scorer.sign * metric(img, ref)}
    own = getattr(metric, "loss", None)
    if callable(own):
        losses["loss"] = own
    for name, loss in losses.items():
        for start, img in descent_starts(ref, seed=seed).items():
            facts = {"start": start, "psnr_start": image_psnr(img, ref), "steps": steps}
            try:
                end = descend(loss, img, ref, steps=steps)
            except Exception as error:  # metrics of others fail in their own ways
                text = brief(error, 160)
                yield Descent(loss="loss" if name == "loss" else "score", psnr_end=None, high=None, text=text, **facts)
                continue
            psnr = image_psnr(end, ref)
            if not math.isfinite(psnr):
                text = "the image is no longer finite"
                yield Descent(loss="loss" if name == "loss" else "score", psnr_end=None, high=None, text=text, **facts)
                continue
            high = high_share(end, ref)
            yield Descent(loss="loss" if name == "loss" else "score", psnr_end=psnr, high=high, **facts)
