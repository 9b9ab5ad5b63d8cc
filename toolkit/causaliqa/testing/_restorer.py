"""Contract of a restoration network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from causaliqa.api.errors import InputError
from causaliqa.api.protocols import Restorer
from causaliqa.api.specs import RestorerSpec
from causaliqa.functional.restored import check_range, described
from causaliqa.testing._common import CLOSE, AnySubject, check_repeats, difference, photo, subject
from causaliqa.utils.text import brief

__all__ = ["check_restorer"]

_SIZES = ((24, 32), (17, 23), (33, 16))
"""Height and width of inputs: even, odd, and taller than wide."""


def check_restorer(restorer: str | RestorerSpec, **options: Any) -> None:
    """Check that a restoration network matches its spec.

    Clauses: import, record, output, size, range, batch, determinism, input. For a name such as
    ``basicsr:EDSR``, whose spec covers many networks, the scale is taken from the first output.

    Args:
        restorer: name of an installed restorer, or a spec.
        options: options to build it with, for example ``checkpoint``.

    Raises:
        ContractError: a clause is broken; the message gives the clause and a remedy.

    Example:
        >>> check_restorer("tiny_edsr_x4")
    """
    made = subject(restorer, RestorerSpec)
    spec = made.spec
    if not isinstance(spec.scale, int) or spec.scale < 1 or not isinstance(spec.tasks, tuple):
        made.fail("record", "expected a whole scale, 1 or more, and a tuple of tasks such as ('sr',)")
    net = made.catalog.create_restorer(made.name, device="cpu", **options)
    scale = 0 if spec.part else spec.scale
    for height, width in _SIZES:
        img = torch.cat([photo(height, width), photo(height, width, name="coffee")])
        scale = scale or _call(made, net, img[:1]).shape[-1] // width
        out = _check_output(made, net, img, scale)
        alone = torch.cat([_call(made, net, one) for one in torch.split(img, 1)])
        if (gap := difference(out, alone)) > CLOSE:
            made.fail(
                "batch", f"outputs differ by {gap:.2g} when images are processed one by one; restore each on its own"
            )


def _call(made: AnySubject, net: Restorer, img: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            out = net(img)
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        reason = brief(error, 200, kind=False)
        made.fail("size", f"it refuses {tuple(img.shape)}: {reason}; pad inside and crop the border again")
    if not isinstance(out, Tensor) or not out.is_floating_point():
        got = out.dtype if isinstance(out, Tensor) else described(out)
        made.fail("output", f"got {got}, expected a tensor of floats (N, 3, s h, s w)")
    return out


def _check_output(made: AnySubject, net: Restorer, img: Tensor, scale: int) -> Tensor:
    what = "two calls on one image give different outputs"
    out: Tensor = check_repeats(made, lambda: _call(made, net, img), img, what=what)
    count, _, height, width = img.shape
    expected = (count, 3, height * scale, width * scale)
    if tuple(out.shape) != expected:
        made.fail("size", f"got {tuple(out.shape)} for {tuple(img.shape)}, expected {expected}; check scale={scale}")
    if not bool(out.isfinite().all()):
        made.fail("output", "it is not finite; check the weights")
    try:
        check_range(out, img)
    except InputError as error:
        made.fail("range", str(error))
    return out
