"""Image tensors: checks, the size protocol, normalisation and windows."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from causaliqa.functional.device import constants_on

__all__ = [
    "NORMALISATIONS",
    "check_pair",
    "downsample",
    "normalise",
    "pad_to_windows",
    "size_factor",
    "studio_luma",
    "windows",
]

NORMALISATIONS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((127 / 255,) * 3, (128 / 255,) * 3),
}
"""Mean and standard deviation by name; ``half`` is EfficientNet-Lite's ``(255 x - 127) / 128``."""


def check_pair(img: Tensor, ref: Tensor, min_size: int) -> None:
    """Check that two image batches can be compared.

    Args:
        img: distorted images ``(N, 3, H, W)``, RGB in [0, 1].
        ref: reference images of the same shape.
        min_size: smallest side in pixels.

    Raises:
        TypeError: one of them is not a floating-point tensor.
        ValueError: the shapes differ, are not ``(N, 3, H, W)`` or are too small.

    Example:
        >>> import torch
        >>> check_pair(torch.rand(1, 3, 40, 50), torch.rand(1, 3, 40, 50), min_size=32)
    """
    for name, x in (("img", img), ("ref", ref)):
        if not isinstance(x, Tensor) or not x.is_floating_point():
            got = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"{name}: got {got}, expected a floating-point tensor in [0, 1]")
        if x.dim() != 4 or x.shape[1] != 3 or x.shape[0] == 0:
            raise ValueError(f"{name}: got shape {tuple(x.shape)}, expected (N, 3, H, W)")
    if img.shape != ref.shape:
        raise ValueError(
            f"img and ref differ in size: got {tuple(img.shape)} and {tuple(ref.shape)}, expected the same; "
            "crop or resize one of them first"
        )
    if min(img.shape[-2:]) < min_size:
        raise ValueError(
            f"images too small: got {img.shape[-2]} x {img.shape[-1]}, expected at least {min_size} x {min_size}"
        )


def size_factor(height: int, width: int, side: int = 256) -> int:
    """Return the integer factor that reduces the longer side to about ``side`` pixels.

    Source: DeepWSD's protocol, ``max(1, round(max(H, W) / 256))``.

    Example:
        >>> [size_factor(512, 768), size_factor(384, 512), size_factor(288, 288)]
        [3, 2, 1]
    """
    return max(1, round(max(height, width) / side))


def downsample(img: Tensor, factor: int) -> Tensor:
    """Average-pool ``(N, C, H, W)`` with a box of ``factor`` x ``factor`` and the same stride.

    Example:
        >>> import torch
        >>> downsample(torch.ones(1, 3, 8, 6), 2).shape
        torch.Size([1, 3, 4, 3])
    """
    return img if factor == 1 else F.avg_pool2d(img, factor, factor)


def studio_luma(img: Tensor) -> Tensor:
    """Return the luma ``(N, 1, H, W)`` of RGB ``(N, 3, H, W)`` in [0, 1]: from 16/255 (black) to 235/255 (white).

    Source: ITU-R BT.601 in studio range, as MATLAB's ``rgb2ycbcr`` computes it for images of floats.

    Example:
        >>> import torch
        >>> round((studio_luma(torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1)) * 255).item(), 2)
        81.48
    """
    red, green, blue = img.unbind(1)
    return ((65.481 * red + 128.553 * green + 24.966 * blue + 16) / 255).unsqueeze(1)


def normalise(img: Tensor, mode: str) -> Tensor:
    """Apply one of :data:`NORMALISATIONS` to ``(N, 3, H, W)`` in [0, 1].

    Raises:
        ValueError: the name is unknown.

    Example:
        >>> import torch
        >>> round(float(normalise(torch.ones(1, 3, 1, 1), "half")[0, 0]), 5)
        1.0
    """
    if mode not in NORMALISATIONS:
        raise ValueError(f"normalise: got {mode!r}, expected one of {sorted(NORMALISATIONS)}")
    if mode == "none":
        return img
    mean, std = (constants_on(img.device, v, img.dtype).view(1, 3, 1, 1) for v in NORMALISATIONS[mode])
    return (img - mean) / std


def pad_to_windows(x: Tensor, window: int, protocol: str = "pad") -> Tensor:
    """Zero-pad ``(..., H, W)`` so that windows tile it.

    Args:
        x: feature maps.
        window: side of the windows.
        protocol: ``"pad"`` pads on the right and bottom up to a multiple and never crops; ``"reference"``
            follows the published code: to the *nearest* multiple, on the left and bottom, which crops some sizes.

    Raises:
        ValueError: the published rule would crop the whole map.

    Example:
        >>> import torch
        >>> [pad_to_windows(torch.ones(1, 1, 9, 9), 8, p).shape[-1] for p in ("pad", "reference")]
        [16, 8]
    """
    height, width = x.shape[-2:]
    if protocol == "reference":
        rows, cols = (round(side / window) * window - side for side in (height, width))
        if -rows == height or -cols == width:
            raise ValueError(
                f"protocol reference: got features of {height} x {width}, which the published rule rounds to no window "
                f"of {window}, expected sides of more than {window // 2}; take a larger image or protocol=pad"
            )
        pads = (cols, 0, 0, rows)
    else:
        pads = (0, -width % window, 0, -height % window)
    return F.pad(x, pads) if any(pads) else x


def windows(x: Tensor, window: int) -> Tensor:
    """Cut ``(C, H, W)`` into windows ``(C, P, window * window)``, in row-major order.

    Example:
        >>> import torch
        >>> windows(torch.arange(16.0).view(1, 4, 4), 2)[0, 1]
        tensor([2., 3., 6., 7.])
    """
    channels, height, width = x.shape
    cut = x.reshape(channels, height // window, window, width // window, window)
    return cut.permute(0, 1, 3, 2, 4).reshape(channels, -1, window * window)
