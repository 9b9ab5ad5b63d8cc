"""The operations through which a change of an image can be followed pixel by pixel: which pixels of an output change.

An operation is known by its name in torch's ATen library. Each has two directions: which pixels of the output depend on
pixels of the input, and which pixels of the input some pixels of the output need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from causaliqa.effects.grid import Box

__all__ = ["Convolution", "Finer", "Pointwise", "Rule", "is_constant", "on_parts", "rule_of"]

aten = torch.ops.aten


@dataclass(frozen=True, kw_only=True)
class Pointwise:
    """Every pixel of the output depends on the same pixel of the inputs."""

    def changed(self, box: Box) -> Box:
        """Return the pixels of the output that depend on pixels of an input."""
        return box

    def needed(self, box: Box) -> Box:
        """Return the pixels of an input that pixels of the output depend on; some may lie outside of it."""
        return box

    def aligned(self, box: Box) -> Box:
        """Return the smallest part of the output that can be computed and holds a box."""
        return box


@dataclass(frozen=True, kw_only=True)
class Finer(Pointwise):
    """Every pixel of the input becomes ``factor`` x ``factor`` pixels of the output."""

    factor: int

    def changed(self, box: Box) -> Box:
        """Return the pixels of the output that depend on pixels of the input."""
        return box.scaled(self.factor)

    def needed(self, box: Box) -> Box:
        """Return the pixels of the input that pixels of the output depend on."""
        return box.shrunk(self.factor)

    def aligned(self, box: Box) -> Box:
        """Return the smallest part of the output that can be computed and holds a box."""
        return box.shrunk(self.factor).scaled(self.factor)


@dataclass(frozen=True, kw_only=True)
class Coarser(Pointwise):
    """Every ``factor`` x ``factor`` pixels of the input become one of the output."""

    factor: int

    def changed(self, box: Box) -> Box:
        """Return the pixels of the output that depend on pixels of the input."""
        return box.shrunk(self.factor)

    def needed(self, box: Box) -> Box:
        """Return the pixels of the input that pixels of the output depend on."""
        return box.scaled(self.factor)


@dataclass(frozen=True, kw_only=True)
class Convolution(Pointwise):
    """Weighted sums over windows of the input, which zeros surround."""

    extent: tuple[int, int]
    """Rows and columns from the first to the last pixel of a window, less one."""
    stride: tuple[int, int]
    padding: tuple[int, int]

    def changed(self, box: Box) -> Box:
        """Return the pixels of the output that depend on pixels of the input."""
        rows, cols = (
            (-((extent - first - pad) // step), (last - 1 + pad) // step + 1)
            for first, last, extent, step, pad in zip(
                (box.top, box.left), (box.bottom, box.right), self.extent, self.stride, self.padding, strict=True
            )
        )
        return Box(rows[0], cols[0], rows[1], cols[1])

    def needed(self, box: Box) -> Box:
        """Return the pixels of the input that pixels of the output depend on; zeros around it have other numbers."""
        rows, cols = (
            (first * step - pad, (last - 1) * step - pad + extent + 1)
            for first, last, extent, step, pad in zip(
                (box.top, box.left), (box.bottom, box.right), self.extent, self.stride, self.padding, strict=True
            )
        )
        return Box(rows[0], cols[0], rows[1], cols[1])


Rule = Pointwise
"""How boxes go through an operation."""

_POINTWISE = frozenset({
    "abs", "add", "add_", "alias", "clamp", "clamp_", "clamp_max", "clamp_min", "clone", "detach", "div",
    "div_", "elu", "elu_", "exp", "gelu", "hardsigmoid", "hardswish", "hardswish_", "hardtanh", "hardtanh_",
    "leaky_relu", "leaky_relu_", "mul", "mul_", "neg", "_prelu_kernel", "relu", "relu_", "rsub", "sigmoid",
    "sigmoid_", "silu", "silu_", "sub", "sub_", "tanh", "tanh_",
})  # fmt: skip
"""Operations by their names, because older versions of torch lack some."""
_OF_CHANNELS = frozenset({"cat", "slice", "split", "split_with_sizes"})
"""Operations that are pointwise along axis 1."""
_SAME_SIZE = frozenset({"_unsafe_view", "expand", "replication_pad2d", "reflection_pad2d", "view"})
"""Operations that return their input if they keep its size."""
_OF_SIZES = frozenset({"full_like", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like"})
"""Operations whose output depends on no pixel."""
_NORMS = frozenset({"native_batch_norm", "_native_batch_norm_legit_no_training"})


def rule_of(func: Any, args: Sequence[Any], constants: Sequence[Tensor], made: Any) -> Rule | None:
    """Return how boxes go through an operation, None if that is not known.

    Args:
        func: the operation, an overload of ATen.
        args: its arguments.
        constants: the tensors among them that do not depend on the image.
        made: its output.

    Example:
        >>> x, weight = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 3, 3)
        >>> args = (x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1)
        >>> rule = rule_of(aten.convolution.default, args, [weight], x)
        >>> rule.changed(Box(2, 2, 4, 4)), rule_of(aten.sort.default, (x,), [], x)
        (Box(top=1, left=1, bottom=5, right=5), None)
    """
    kind = func.overloadpacket.__name__
    if func.namespace != "aten":
        return None
    if _returns_input(func, args, made):
        return Pointwise()
    if kind in _POINTWISE:
        return Pointwise() if all(map(_same_everywhere, constants)) else None
    if kind in _OF_CHANNELS:
        # split has its axis third, the others second, and all have a default.
        axis = args[2:3] if kind in ("split", "split_with_sizes") else args[1:2]
        return Pointwise() if tuple(axis) == (1,) and not constants else None
    if kind in _NORMS:
        return Pointwise() if kind != "native_batch_norm" or not args[5] else None
    make = _SPECIAL.get(kind)
    return None if make is None else make(args, made)


def on_parts(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], made: Any) -> tuple[Any, Any, Any]:
    """Return an operation and its arguments as they are for a part of its input, with whatever that needs around it.

    Example:
        >>> x = torch.rand(1, 3, 4, 4)
        >>> on_parts(aten.view.default, (x, [-1, 3, 4, 4]), {}, x)[0]
        <OpOverload(op='aten.alias', overload='default')>
    """
    if _returns_input(func, args, made):
        return aten.alias.default, args[:1], {}
    if func.overloadpacket.__name__ == "convolution":
        return func, (*args[:4], [0, 0], *args[5:]), kwargs
    if func.overloadpacket.__name__ == "upsample_nearest2d":
        factors = [new / old for new, old in zip(made.shape[-2:], args[0].shape[-2:], strict=True)]
        return aten.upsample_nearest2d.vec, (args[0], None, factors), {}
    return func, args, kwargs


def _returns_input(func: Any, args: Sequence[Any], made: Any) -> bool:
    """Say whether an operation only gave its input another shape, which was the same."""
    return func.overloadpacket.__name__ in _SAME_SIZE and made.shape == args[0].shape


def is_constant(func: Any) -> bool:
    """Say whether the output of an operation depends on the size of its input alone.

    Example:
        >>> is_constant(aten.zeros_like.default), is_constant(aten.relu.default)
        (True, False)
    """
    return func.overloadpacket.__name__ in _OF_SIZES


def _same_everywhere(constant: Tensor) -> bool:
    """Say whether a constant has one value for all pixels of a channel."""
    return constant.numel() == 1 or (constant.dim() >= 3 and constant.shape[-2:] == (1, 1))


def _convolution(args: Sequence[Any], made: Tensor) -> Rule | None:
    img, weight, _, stride, padding, dilation, transposed, *_ = args
    if transposed or img.dim() != 4 or len(stride) != 2 or len(padding) != 2:
        return None
    extent = tuple(by * (side - 1) for by, side in zip(dilation, weight.shape[2:], strict=True))
    return Convolution(extent=extent, stride=tuple(stride), padding=tuple(padding))


def _enlargement(args: Sequence[Any], made: Tensor) -> Rule | None:
    factors = {new / old for new, old in zip(made.shape[-2:], args[0].shape[-2:], strict=True)}
    factor = factors.pop()
    return Finer(factor=int(factor)) if not factors and factor == int(factor) else None


_SPECIAL: Mapping[str, Callable[[Sequence[Any], Any], Rule | None]] = {
    "convolution": _convolution,
    "pixel_shuffle": lambda args, made: Finer(factor=args[1]),
    "pixel_unshuffle": lambda args, made: Coarser(factor=args[1]),
    "upsample_nearest2d": _enlargement,
}
