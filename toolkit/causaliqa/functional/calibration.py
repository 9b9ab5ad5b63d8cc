"""Effects in units of effects that hardly show: window costs of features, interventions on a reference, their ratio.

A channel reacts to changes that leave the quality of an image alone, and channels differ in how much. The same cost,
measured between the reference and just noticeable changes of it, is the unit in which a distortion is counted.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from causaliqa.functional.intervention import noise_field

__all__ = ["INTERVENTIONS", "TERMS", "calibrated_ratio", "intervene", "local_moments", "visibility", "window_terms"]

TERMS = ("mean", "contrast", "structure")
"""What :func:`window_terms` compares: local mean, local standard deviation, local variance of the difference."""

INTERVENTIONS = ("brightness", "contrast", "colour", "noise", "shift")
"""Changes of about the threshold of visibility, see :func:`intervene`."""

_BRIGHTNESS = 8 / 255
_CONTRAST = 0.9
_GAINS = (1.06, 1.0, 0.94)
_NOISE = 5 / 255


def intervene(img: Tensor, name: str, *, seed: int = 0) -> Tensor:
    """Return ``img`` after a small known change.

    Nothing is clipped, so that the change has the same size in dark, bright and middle parts; values may leave [0, 1]
    by a few hundredths.

    Args:
        img: images ``(N, 3, H, W)``, RGB in [0, 1].
        name: ``brightness``: 8/255 brighter; ``contrast``: nine tenths of the contrast about 0.5; ``colour``: gains
            1.06, 1 and 0.94 of red, green and blue; ``noise``: Gaussian, standard deviation 5/255; ``shift``: one pixel
            to the right and down, edges repeated.
        seed: seed of the noise, which is the same for every image of one size.

    Raises:
        ValueError: ``name`` is unknown.

    Example:
        >>> intervene(torch.zeros(1, 3, 2, 2), "brightness")[0, 0, 0, 0] * 255
        tensor(8.)
    """
    if name == "brightness":
        return img + _BRIGHTNESS
    if name == "contrast":
        return 0.5 + (img - 0.5) * _CONTRAST
    if name == "colour":
        return img * img.new_tensor(_GAINS).view(1, 3, 1, 1)
    if name == "noise":
        noise = noise_field(seed, 0, img.shape[1], img.shape[2] * img.shape[3])
        return img + noise.view(img.shape[1:]).to(img) * _NOISE
    if name == "shift":
        return F.pad(img, (1, 0, 1, 0), mode="replicate")[..., :-1, :-1]
    raise ValueError(f"intervention: got {name!r}, expected one of {INTERVENTIONS}")


def local_moments(x: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Return means and variances ``(C, rows, cols)`` of half-overlapping windows inside ``(C, H, W)``.

    Example:
        >>> local_moments(torch.tensor([[[0.0, 2.0], [2.0, 0.0]]]), 2)
        (tensor([[[1.]]]), tensor([[[1.]]]))
    """
    side = min(window, *x.shape[-2:])
    # Centred first: the difference of two large squares would be rounding.
    centre = x.detach().mean(dim=(1, 2), keepdim=True)
    x = x - centre
    mean, power = (F.avg_pool2d(v[None], side, stride=max(1, side // 2))[0] for v in (x, x.square()))
    return mean + centre, (power - mean.square()).clamp(min=0)


def visibility(x: Tensor, y: Tensor) -> Tensor:
    """Return the energy of a difference that does not show, a scalar: a tenth of that of the intervention ``noise``.

    Args:
        x: features ``(C, H, W)`` after the intervention.
        y: features of the reference.

    Example:
        >>> visibility(torch.full((1, 2, 2), 2.0), torch.zeros(1, 2, 2))
        tensor(0.4000)
    """
    return 0.1 * (x - y).square().mean()


def window_terms(
    x: Tensor, y: Tensor, *, window: int, floor: Tensor, moments: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """Compare two feature maps in half-overlapping windows.

    With the local means m, standard deviations s, variances v and the local variance of the difference v_d, the terms
    are ``(m_x - m_y)^2 / (m_x^2 + m_y^2 + c)``, ``(s_x - s_y)^2 / (v_x + v_y + c)`` and ``v_d / (v_x + v_y + c)``.
    Without c the first two are one minus SSIM's terms of luminance and contrast, the last is one minus the product of
    its terms of contrast and structure. They are formed from differences, so that they are exactly 0 for equal maps.

    Args:
        x: features of the distorted image, ``(C, H, W)``.
        y: features of the reference.
        window: side of the windows, in feature pixels; smaller maps are one window.
        floor: the constant c, a positive scalar.
        moments: :func:`local_moments` of ``y``, where they are known.

    Returns:
        Costs ``(3, C, rows, cols)`` in the order of :data:`TERMS`, between 0 and 2; lower is better. Differentiable,
        with finite gradients everywhere.

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004.

    Example:
        >>> y = torch.zeros(1, 4, 4)
        >>> window_terms(y + 1, y, window=4, floor=torch.tensor(1.0)).flatten()
        tensor([0.5000, 0.0000, 0.0000])
    """
    (mean_x, var_x), (mean_gap, var_gap) = local_moments(x, window), local_moments(x - y, window)
    mean_y, var_y = local_moments(y, window) if moments is None else moments
    # The floor inside the roots keeps their gradient finite in flat windows.
    gap_std = (var_x + floor).sqrt() - (var_y + floor).sqrt()
    energy = var_x + var_y + floor
    return torch.stack(
        [
            mean_gap.square() / (mean_x.square() + mean_y.square() + floor),
            gap_std.square() / energy,
            var_gap / energy,
        ]
    )


def calibrated_ratio(costs: Tensor, responses: Tensor, *, share: float = 0.3, eps: float = 1e-4) -> Tensor:
    """Return costs in units of the mean response to small changes.

    The mean over channels of a response's own ratio, averaged over the K changes, is 1 (but for ``eps``).

    Args:
        costs: costs ``(..., T, C)`` of T terms and C channels.
        responses: the same costs between the reference and K changes of it, ``(K, T, C)``.
        share: the unit of a channel moves towards the mean of its level by ``share / (1 + share)``. Otherwise the few
            channels that answer nearly nothing would decide the score.
        eps: added to the unit. Costs are shares of energy; a response below it is mostly rounding.

    Returns:
        Ratios ``(..., T, C)``; 1 is the effect of a just noticeable change.

    Example:
        >>> calibrated_ratio(torch.tensor([[4.0]]), torch.tensor([[[1.0]], [[3.0]]]), eps=0.0)
        tensor([[2.]])
    """
    mean = responses.mean(dim=0)
    unit = mean + share * mean.mean(dim=-1, keepdim=True)
    unit = unit * (mean / unit.clamp(min=1e-12)).mean(dim=-1, keepdim=True)
    return costs / (unit + eps)
