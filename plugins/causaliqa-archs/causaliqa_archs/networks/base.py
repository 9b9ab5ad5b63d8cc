"""What every network here says of itself, and how the keys and shapes of a checkpoint are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isqrt, prod
from typing import Any, ClassVar

from torch import Tensor, nn

__all__ = ["Network", "State", "count", "rename", "shuffle_scale"]

State = Mapping[str, Tensor]
"""A state dict: tensors by key."""


class Network(nn.Module):
    """Base of all architectures: ``forward`` is the published network, ``restore`` takes and returns RGB in [0, 1].

    What depends on options is set in the constructor.
    """

    scale: int = 1
    """Side of the output divided by that of the input."""
    multiple: int = 1
    """What the sides of the input must be multiples of."""
    smallest: int = 1
    """Smallest side that the network takes."""
    input_range: float = 1.0
    """What the network expects white to be: 1 or 255."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Beginnings of keys that a checkpoint may leave out: constants that the network has anyway."""

    assumed: ClassVar[Mapping[str, Any]] = {}
    """Options to compare a checkpoint with where no key tells them, instead of the defaults."""

    @classmethod
    def may_lack(cls, key: str) -> bool:
        """Say whether a checkpoint may leave a key out."""
        return key.startswith(cls.optional) or key.endswith("num_batches_tracked")

    @classmethod
    def canonical(cls, state: State) -> dict[str, Tensor]:
        """Return a checkpoint with the parameter names of this class, whichever public layout it has."""
        return dict(state)

    @classmethod
    def options(cls, state: State) -> dict[str, Any]:
        """Read the arguments of the constructor from keys and shapes; None stands for what they do not tell.

        Raises:
            LookupError: a key that the architecture needs is missing.
        """
        raise NotImplementedError

    def restore(self, img: Tensor) -> Tensor:
        """Restore ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``."""
        return self(img * self.input_range) / self.input_range


def count(state: State, pattern: str) -> int:
    """Return one more than the largest number that the pattern's group matches at the start of a key; 0 for none.

    Example:
        >>> import torch
        >>> count({"body.0.weight": torch.ones(1), "body.11.weight": torch.ones(1)}, r"body\\.(\\d+)\\.")
        12
    """
    return max((int(found[1]) + 1 for key in state if (found := re.match(pattern, key))), default=0)


def rename(state: State, *rules: tuple[str, str]) -> dict[str, Tensor]:
    """Apply the first rule, a pattern at the start of a key and its replacement, that changes a key.

    Example:
        >>> import torch
        >>> list(rename({"conv_first.bias": torch.ones(1)}, (r"conv_first\\.", "head.0.")))
        ['head.0.bias']
    """

    def new(key: str) -> str:
        for pattern, replacement in rules:
            changed, times = re.subn("^" + pattern, replacement, key)
            if times:
                return changed
        return key

    return {new(key): value for key, value in state.items()}


def shuffle_scale(state: State, prefix: str, width: int) -> int:
    """Return the enlargement of the sub-pixel convolutions below a prefix.

    Args:
        state: a checkpoint.
        prefix: what their keys begin with.
        width: channels before each of them.

    Example:
        >>> import torch
        >>> shuffle_scale({f"up.{k}.weight": torch.ones(32, 8, 3, 3) for k in (0, 2)}, "up.", 8)
        4
    """
    weights = [v for k, v in state.items() if re.match(re.escape(prefix) + r"\d+\.weight$", k) and v.dim() == 4]
    return prod(isqrt(v.shape[0] // width) for v in weights)
