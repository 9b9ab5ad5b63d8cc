"""Contract of a quality metric."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from causaliqa.api.specs import MetricSpec
from causaliqa.functional.degrade import add_noise, generator_for
from causaliqa.testing._common import CLOSE, AnySubject, check_repeats, difference, photo, reseeded, subject

__all__ = ["check_metric"]

_DEVICES = 1e-2
"""Largest relative difference between devices."""

Score = Callable[[Tensor, Tensor], Tensor]


def check_metric(metric: str | MetricSpec, **options: Any) -> None:
    """Check that a metric matches its spec.

    Clauses: import, output, batch, determinism, seed, build, input, identity, direction, mask, gradients, device.
    A no-reference metric passes "direction" if noise or blur lowers the quality of a photograph.

    Args:
        metric: name of an installed metric, or a spec.
        options: options to build it with, for example ``weights``.

    Raises:
        ContractError: a clause is broken; the message gives the clause and a remedy.

    Example:
        >>> check_metric("causal_effnet_lite0", terms="md")
    """
    made = subject(metric, MetricSpec)
    spec = made.spec
    options = {"seed": 0, **options} if spec.seeded else options
    score: Score = made.catalog.create_metric(made.name, device="cpu", **options)
    ref = torch.cat([photo(), photo(name="coffee")])
    img = _noisy(ref, 20)
    base = _check_output(made, score, img, ref)
    _check_batch(made, score, img, ref, base)
    _check_build(made, spec, options, img, ref, base)
    if spec.metric_mode == "FR":
        _check_identity(made, spec, score, ref)
        _check_direction(made, spec, score, ref)
    else:
        _check_direction_without_reference(made, spec, score, ref)
    if spec.masked:
        _check_mask(made, score, img, ref, base)
    if spec.differentiable:
        _check_gradients(made, score, img, ref)
    _check_device(made, score, img, ref, base)


def _noisy(img: Tensor, sigma: float) -> Tensor:
    return add_noise(img, sigma, generator_for(3))


def _blurred(img: Tensor, radius: int) -> Tensor:
    side = 2 * radius + 1
    padded = torch.nn.functional.pad(img, (radius,) * 4, mode="replicate")
    return torch.nn.functional.avg_pool2d(padded, side, stride=1)


def _call(score: Score, img: Tensor, ref: Tensor) -> Tensor:
    with torch.no_grad():
        return score(img, ref)


def _check_output(made: AnySubject, score: Score, img: Tensor, ref: Tensor) -> Tensor:
    what = "two calls on one pair give different scores"
    base = check_repeats(made, lambda: _call(score, img, ref), img, ref, what=what)
    if not isinstance(base, Tensor) or tuple(base.shape) != (len(img),) or not base.is_floating_point():
        got = f"{tuple(base.shape)} {base.dtype}" if isinstance(base, Tensor) else type(base).__name__
        made.fail("output", f"got {got} for two pairs, expected floats of shape (2,): one score an image")
    if not bool(base.isfinite().all()):
        made.fail("output", f"got {base.tolist()}, expected finite scores; guard divisions and logarithms")
    return base


def _check_batch(made: AnySubject, score: Score, img: Tensor, ref: Tensor, base: Tensor) -> None:
    alone = torch.cat([_call(score, img[k : k + 1], ref[k : k + 1]) for k in range(len(img))])
    if (gap := difference(alone, base)) > CLOSE:
        made.fail(
            "batch", f"scores differ by {gap:.2g} when the images are processed one by one; score each on its own"
        )


def _check_build(
    made: AnySubject, spec: MetricSpec, options: dict[str, Any], img: Tensor, ref: Tensor, base: Tensor
) -> None:
    if options.get("pretrained") is False:
        return
    with reseeded(9):
        again: Score = made.catalog.create_metric(made.name, device="cpu", **options)
    if difference(_call(again, img, ref), base) > 0:
        clause, cure = ("seed", "use no other") if spec.seeded else ("build", "load weights, or seed their start")
        made.fail(clause, f"a second object gives other scores; its randomness must come from its seed: {cure}")


def _check_identity(made: AnySubject, spec: MetricSpec, score: Score, ref: Tensor) -> None:
    if spec.identity is None:
        return
    got = _call(score, ref, ref.clone())
    if difference(got, torch.full_like(got, spec.identity)) > CLOSE:
        made.fail("identity", f"an image against itself scores {got.tolist()}, the record says {spec.identity}")


def _check_direction(made: AnySubject, spec: MetricSpec, score: Score, ref: Tensor) -> None:
    for what, ladder in (
        ("noise", [_noisy(ref, sigma) for sigma in (5, 60)]),
        ("blur", [_blurred(ref, radius) for radius in (1, 5)]),
    ):
        light, heavy = (_call(score, img, ref) for img in ladder)
        if not bool(_better(spec, light, heavy).all()):
            _wrong_way(made, spec, f"light {what} scores {light.tolist()}, heavy {what} {heavy.tolist()}")


def _check_direction_without_reference(made: AnySubject, spec: MetricSpec, score: Score, ref: Tensor) -> None:
    clean, noisy, blurred = (_call(score, img, ref) for img in (ref, _noisy(ref, 60), _blurred(ref, 5)))
    if not bool((_better(spec, clean, noisy) | _better(spec, clean, blurred)).all()):
        got = f"photographs score {clean.tolist()}, with noise {noisy.tolist()}, blurred {blurred.tolist()}"
        _wrong_way(made, spec, got)


def _better(spec: MetricSpec, one: Tensor, other: Tensor) -> Tensor:
    return one < other if spec.lower_better else one > other


def _wrong_way(made: AnySubject, spec: MetricSpec, got: str) -> None:
    word = "lower" if spec.lower_better else "higher"
    made.fail("direction", f"the record says {word} is better, but {got}; check lower_better={spec.lower_better}")


def _check_mask(made: AnySubject, score: Any, img: Tensor, ref: Tensor, base: Tensor) -> None:
    """A mask of everything is none; what an image shows outside a mask does not matter, inside it does."""
    mask = torch.ones(img.shape[-2:], dtype=torch.bool)
    module = getattr(score, "module", score)
    if "mask" not in inspect.signature(getattr(module, "forward", module)).parameters:
        made.fail("mask", "forward takes none, but the record says masked=True")
    with torch.no_grad():
        if (gap := difference(score(img, ref, mask=mask), base)) > CLOSE:
            made.fail("mask", f"scores differ by {gap:.2g} under a mask that is true everywhere")
        mask[:, : mask.shape[1] // 2] = False
        inside, changed = (score(x, ref, mask=mask) for x in (img, torch.where(mask, img, 1 - img)))
        if (gap := difference(inside, changed)) > 0:
            made.fail(
                "mask", f"scores differ by {gap:.2g} where only pixels outside changed; replace them by ref's first"
            )
        if not difference(inside, score(torch.where(mask, 1 - img, img), ref, mask=mask)) > 0:
            made.fail("mask", "scores do not change with the pixels inside; count these")


def _check_gradients(made: AnySubject, score: Score, img: Tensor, ref: Tensor) -> None:
    for what, start in (("a distorted image", img), ("an image equal to its reference", ref)):
        leaf = start.clone().requires_grad_()
        total = score(leaf, ref).sum()
        if not total.requires_grad:
            made.fail("gradients", "none reach img; remove no_grad, detach and NumPy, or set differentiable=False")
        (slope,) = torch.autograd.grad(total, leaf, allow_unused=True)
        if slope is None or not bool(slope.isfinite().all()):
            made.fail("gradients", f"not finite at {what}; add a small number under roots and norms")
        if start is img and not bool(slope.any()):
            made.fail("gradients", f"all zero at {what}; set differentiable=False")


def _check_device(made: AnySubject, score: Score, img: Tensor, ref: Tensor, base: Tensor) -> None:
    if torch.cuda.is_available() and isinstance(score, torch.nn.Module):
        there = _call(score.to("cuda"), img.cuda(), ref.cuda())
        if there.device.type != "cuda" or difference(there, base) > _DEVICES:
            made.fail(
                "device", "on CUDA the scores differ or are on the CPU; create tensors with new_tensor or to(img)"
            )
