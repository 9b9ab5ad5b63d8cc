"""Checks of what a restoration network returns: type, shape, value range, repeatability; one line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from causaliqa.api.errors import InputError

__all__ = ["REPEATS", "check_output", "check_range", "check_repeats", "described"]

REPEATS = 1e-4
"""Largest difference of two outputs for one input in [0, 1] that counts as rounding."""
_BEYOND = 1.0
"""Values beyond [0, 1] by as much are taken for another range, not for overshoot."""
_SHARE = 0.05
"""Share of such values from which the range is refused."""


def described(out: Any) -> str:
    """Return type and shapes of what a network returned, for messages.

    >>> import torch
    >>> described((torch.zeros(1, 3, 4, 4), None))
    'tuple of (1, 3, 4, 4), NoneType'
    """
    if isinstance(out, Tensor):
        return str(tuple(out.shape))
    if isinstance(out, dict):
        return "dict of " + ", ".join(f"{key!s}: {described(value)}" for key, value in list(out.items())[:4])
    if isinstance(out, list | tuple):
        return f"{type(out).__name__} of " + ", ".join(map(described, out[:4]))
    shape = getattr(out, "shape", None)
    return f"{type(out).__module__}.{type(out).__name__} {tuple(shape)}" if shape is not None else type(out).__name__


def check_output(out: Any, given: Sequence[int], scale: int) -> Tensor:
    """Return the output of a network if it is a tensor of floats ``(N, 3, s h, s w)``.

    A tuple, list or dict is refused even if it holds such a tensor: which of several outputs is meant is the user's to
    say.

    Args:
        out: what the network returned.
        given: shape of its input, ``(N, 3, h, w)``.
        scale: s.

    Raises:
        InputError: it is anything else.

    Example:
        >>> import torch
        >>> check_output(torch.zeros(1, 3, 8, 8), (1, 3, 4, 4), 2).shape
        torch.Size([1, 3, 8, 8])
    """
    count, _, height, width = given
    expected = (count, 3, height * scale, width * scale)
    if not isinstance(out, Tensor):
        several = isinstance(out, tuple | list | dict)
        do = "pick one, for example lambda x: net(x)[0]" if several else "return a torch tensor"
        raise InputError(f"network returned {described(out)}, expected a tensor {expected}; {do}")
    if not out.is_floating_point():
        raise InputError(f"network returned {out.dtype}, expected floats in [0, 1]; divide 8-bit values by 255")
    if tuple(out.shape) != expected:
        raise InputError(
            f"network returned another size: got {described(out)} for an input of {tuple(given)}, expected {expected}; "
            + _cure(out, given, scale)
        )
    return out


def _cure(out: Tensor, given: Sequence[int], scale: int) -> str:
    count, _, height, width = given
    if out.dim() == 3:
        return "keep the batch dimension: return out[None]"
    if out.dim() == 4 and out.shape[-1] == 3:
        return "its channels are last: return out.permute(0, 3, 1, 2)"
    if out.dim() == 4 and out.shape[1] != 3:
        return f"return 3 channels, not {out.shape[1]}"
    if out.dim() == 4 and out.shape[0] != count:
        return "restore every image of the batch"
    high, wide = (got / side for got, side in zip(out.shape[-2:], (height, width), strict=True))
    if high == wide and high != scale:
        return f"it enlarges by {high:g}, the degradation shrinks by {scale}: check the scale"
    return "pad inside the network and cut the output to the size of the input; check the scale"


def check_range(out: Tensor, given: Tensor) -> None:
    """Refuse an output for an input in [0, 1] that is clearly in another range: 0..255, or [-1, 1].

    Args:
        out: output ``(N, 3, s h, s w)``.
        given: its input ``(N, 3, h, w)``.

    Raises:
        InputError: more than 5 % of the finite values lie outside [-1, 2], or the output is close to the input scaled
            to [-1, 1].

    Example:
        >>> import torch
        >>> check_range(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))
    """
    values = out[out.isfinite()]
    if not values.numel():
        return
    small = F.adaptive_avg_pool2d(out.nan_to_num(), (given.shape[-2], given.shape[-1]))
    gaps = [float((small - given.to(small) * a - b).abs().mean()) for a, b in ((1, 0), (2, -1))]
    beyond = float(((values < -_BEYOND) | (values > 1 + _BEYOND)).float().mean())
    if beyond <= _SHARE and gaps[1] >= 0.25 * gaps[0]:
        return
    low, high = (float(value) for value in values.aminmax())
    raise InputError(
        f"network returned values from {low:.3g} to {high:.3g} for an input in [0, 1], expected about [0, 1]; scale "
        "its input and output, for example lambda x: net(x * 255) / 255 (basicsr: input_range=255)"
    )


def check_repeats(first: Tensor, second: Tensor, doubt: str = "") -> None:
    """Refuse a network whose outputs for one input differ by more than rounding.

    Args:
        first: an output.
        second: another one for the same input.
        doubt: what is known of the cause.

    Raises:
        InputError: they differ.
    """
    gap = float((first - second).nan_to_num().abs().max()) if first.numel() else 0.0
    if gap > REPEATS:
        raise InputError(
            f"network returned two outputs for one input, up to {gap:.2g} apart, expected the same: its effects would "
            f"be chance; switch off dropout, seed noise drawn inside, keep no state between calls{doubt}"
        )
