"""Adapt a network to the restorer interface: pad its input to allowed sizes, scale its value range."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Adapted", "pad_reflect"]


def pad_reflect(img: Tensor, bottom: int, right: int) -> Tensor:
    """Reflect ``(N, C, h, w)`` beyond its lower and right border, however small it is.

    Example:
        >>> import torch
        >>> pad_reflect(torch.arange(3.0).view(1, 1, 1, 3), 0, 4)
        tensor([[[[0., 1., 2., 1., 0., 1., 2.]]]])
    """
    for dim, extra in ((2, bottom), (3, right)):
        size = img.shape[dim]
        places = [k if k < size else 2 * size - 2 - k for k in (i % max(1, 2 * size - 2) for i in range(size + extra))]
        if extra:
            img = img.index_select(dim, img.new_tensor(places).long())
    return img


class Adapted(nn.Module):
    """A network with the interface of a restorer.

    Args:
        network: ``(N, 3, h, w)`` to ``(N, 3, s h, s w)``.
        multiple: what the sides of its input must be multiples of; others are padded by reflection and cropped.
        input_range: its value of white, 1 or 255.

    Example:
        >>> import torch
        >>> Adapted(nn.PixelShuffle(1), multiple=8)(torch.rand(2, 3, 5, 9)).shape
        torch.Size([2, 3, 5, 9])
    """

    def __init__(self, network: nn.Module, *, multiple: int = 1, input_range: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.multiple = multiple
        self.input_range = input_range

    def forward(self, img: Tensor) -> Tensor:
        """Restore ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``."""
        height, width = img.shape[-2:]
        padded = pad_reflect(img, -height % self.multiple, -width % self.multiple)
        out: Tensor = self.network(padded * self.input_range) / self.input_range
        if padded.shape == img.shape:
            return out
        scale = out.shape[-1] // padded.shape[-1]
        return out[..., : height * scale, : width * scale]
