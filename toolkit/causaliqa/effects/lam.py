"""Local attribution maps: the gradient method that causal effect maps are compared with.

Source: Gu and Dong, "Interpreting Super-Resolution Networks with Local Attribution Maps", CVPR 2021: integrated
gradients of a gradient detector on the region of interest, along a path from the blurred input to the input.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causaliqa.api.data import ROI
from causaliqa.api.errors import InputError
from causaliqa.api.protocols import Restorer
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.grid import Box, Grid, RoiLike, as_roi
from causaliqa.utils.figures import html_summary
from causaliqa.utils.files import atomic
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from causaliqa.effects.effect_map import EffectMap

__all__ = ["Attribution", "edge_strength", "gini", "integrated_gradients"]

_EDGE = 1e-12
"""Added under the root, which has no derivative at 0."""


def gini(values: NDArray[np.float64]) -> float:
    """Return the Gini coefficient of non-negative values: 0 if all are equal, towards 1 if one has all.

    Example:
        >>> gini(np.array([1.0, 1.0, 1.0, 1.0])), gini(np.array([0.0, 0.0, 0.0, 1.0]))
        (0.0, 0.75)
    """
    ordered = np.sort(values, axis=None)
    total, count = float(ordered.sum()), ordered.size
    if total <= 0:
        return 0.0
    return float(2 * (np.arange(1, count + 1) * ordered).sum() / (count * total) - (count + 1) / count)


def edge_strength(img: Tensor) -> Tensor:
    """Sum the gradient magnitude of ``(N, C, H, W)`` by central differences, the outermost pixels left out; ``(N,)``.

    Example:
        >>> ramp = torch.arange(5.0).expand(1, 1, 5, 5)
        >>> round(float(edge_strength(ramp)), 3)
        9.0
    """
    across = (img[..., 1:-1, 2:] - img[..., 1:-1, :-2]) / 2
    down = (img[..., 2:, 1:-1] - img[..., :-2, 1:-1]) / 2
    return (across.square() + down.square() + _EDGE).sqrt().flatten(1).sum(1)


@dataclass(frozen=True, kw_only=True, repr=False)
class Attribution:
    """Local attribution map of one region.

    Example:
        >>> made = Attribution(
        ...     attribution=np.ones((3, 4, 4)), image=np.zeros((4, 4, 3), np.uint8), roi=ROI(0, 0, 4, 4), change=48.0
        ... )
        >>> made.diffusion_index, made.summary()["completeness_error"]
        (100.0, 0.0)
    """

    attribution: NDArray[np.float64] = field(repr=False)
    """Signed attribution of every input value, ``(3, h, w)``."""
    image: NDArray[np.uint8] = field(repr=False)
    """The input ``(h, w, 3)``, RGB."""
    roi: ROI
    """Region of interest, in output pixels."""
    change: float
    """What the detector says of the input, less what it says of the blurred input: what the map should sum to."""
    scale: int = 1
    """Side of the output divided by the side of the input."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Settings and seconds."""

    @property
    def strength(self) -> NDArray[np.float64]:
        """Absolute attribution of every input pixel, ``(h, w)``."""
        strength: NDArray[np.float64] = np.abs(self.attribution).sum(axis=0)
        return strength

    @property
    def diffusion_index(self) -> float:
        """``100 (1 - Gini)``: 100 if every pixel has the same attribution, 0 if a single one has all."""
        return 100 * (1 - gini(self.strength))

    def summary(self) -> dict[str, Any]:
        """Return diffusion index, Gini coefficient, and the relative error of the sum against :attr:`change`."""
        off = abs(float(self.attribution.sum()) - self.change)
        return {
            "diffusion_index": self.diffusion_index,
            "gini": gini(self.strength),
            "change": self.change,
            "completeness_error": off / abs(self.change) if self.change else off,
            "roi": [self.roi.x, self.roi.y, self.roi.width, self.roi.height],
            "scale": self.scale,
            **self.facts,
        }

    def __repr__(self) -> str:
        name = f"{self.facts['restorer']}, " if "restorer" in self.facts else ""
        _, height, width = self.attribution.shape
        return (
            f"Attribution({name}roi {self.roi}, {width} x {height} input pixels, "
            f"diffusion index {self.diffusion_index:.2f})"
        )

    def _repr_html_(self) -> str:
        return html_summary(self.summary(), self.plot())

    def plot(self, *, effects: EffectMap | None = None, title: str = "") -> Figure:
        """Draw the input and the attribution of its pixels.

        Args:
            effects: causal effect map of the same region, drawn beside it.
            title: heading.
        """
        from causaliqa.effects.plot import draw_attribution

        return draw_attribution(self, effects=effects, title=title)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``lam.npz`` and ``summary.json``; return the folder.

        Raises:
            OutputError: the folder cannot be written.
        """
        path = Path(folder)
        text = json.dumps({"schema": 1, **self.summary()}, indent=2, default=str)
        with atomic(path / "lam.npz") as archive:
            np.savez_compressed(archive, attribution=self.attribution, image=self.image)
            with atomic(path / "summary.json") as summary:
                summary.write_text(text + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Attribution:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the folder holds no local attribution map.
        """
        path = Path(folder)
        try:
            with np.load(path / "lam.npz", allow_pickle=False) as archive:
                attribution, image = archive["attribution"].astype(np.float64), archive["image"]
            facts = json.loads((path / "summary.json").read_text(encoding="utf-8"))
            roi, scale, change = ROI(*map(int, facts["roi"])), int(facts["scale"]), float(facts["change"])
            if attribution.shape != (3, *image.shape[:2]) or not np.isfinite(attribution).all() or scale < 1:
                raise ValueError(f"attributions of shape {attribution.shape} of an image of {image.shape}")
        except Exception as error:
            # Damaged archives raise whatever the parsers of zipfile, zlib, NumPy and JSON do.
            reason = brief(error, 200, kind=False)
            raise InputError(
                f"{str(path)!r} holds no local attribution map: {reason}; expected lam.npz and summary.json"
            ) from error
        known = {"schema", "diffusion_index", "gini", "change", "completeness_error", "roi", "scale"}
        facts = {key: value for key, value in facts.items() if key not in known}
        return cls(attribution=attribution, image=image, roi=roi, change=change, scale=scale, facts=facts)


def integrated_gradients(
    forward_func: Restorer,
    img: Tensor,
    roi: RoiLike,
    *,
    scale: int = 1,
    steps: int = 50,
    sigma: float = 1.2,
    device: str | torch.device | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Attribution:
    """Attribute the gradient magnitude in a region of the output to the pixels of the input.

    Args:
        forward_func: restoration network that passes gradients, ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``.
        img: degraded input ``(3, h, w)``, RGB in [0, 1].
        roi: region of interest ``(x, y, width, height)`` in output pixels, at least 3 x 3.
        scale: s, side of the output divided by the side of the input.
        steps: points on the path; the gradient is taken in the middle of each step.
        sigma: width of the blur at the start of the path, in input pixels.
        device: where it runs; None for where the network's parameters are.
        progress: called with steps done and all steps.

    Raises:
        InputError: region, steps or sigma are out of range, or the network returns another size or no gradient.

    Example:
        >>> img = torch.zeros(3, 16, 16)
        >>> img[:, :, 8:] = 1
        >>> made = integrated_gradients(torch.nn.Identity(), img, (4, 4, 8, 8), steps=20)
        >>> made.attribution.shape, made.summary()["completeness_error"] < 0.01
        ((3, 16, 16), True)
    """
    if not isinstance(steps, int) or steps < 1:
        raise InputError(f"steps: got {steps!r}, expected a whole number, 1 or more")
    if not sigma > 0:
        raise InputError(f"sigma: got {sigma!r}, expected a number of input pixels above 0")
    roi = as_roi(roi)
    if min(roi.width, roi.height) < 3:
        raise InputError(f"roi {roi} is smaller than 3 x 3; the gradient detector needs neighbours")
    height, width = (side * scale for side in img.shape[-2:])
    region = Grid(height=height, width=width, patch_size=scale, roi=roi, scale=scale).region
    start = time.monotonic()
    network = BlackBox(forward_func, scale, device)
    off = torch.autocast(network.device.type, enabled=False)
    with network.untouched() as kept, torch.inference_mode(False), torch.enable_grad(), off:
        network.look(img.detach().float())
        clean = img.detach().float().to(network.device, copy=True)[None]
        path = [_blurred(clean, sigma * (1 - k / (2 * steps))) for k in range(2 * steps + 1)]
        total = torch.zeros_like(clean, dtype=torch.float64)
        for k in range(steps):
            point = path[2 * k + 1].requires_grad_()
            (slope,) = _gradient(network, point, region)
            kept.restore_buffers()
            total += slope.double() * (path[2 * k + 2] - path[2 * k]).double()
            if progress is not None:
                progress(k + 1, steps)
        with torch.no_grad():
            change = float(_edges(network, path[-1], region) - _edges(network, path[0], region))
    return Attribution(
        attribution=total[0].cpu().numpy(),
        image=(clean[0].cpu() * 255).round().byte().permute(1, 2, 0).numpy(),
        roi=roi,
        change=change,
        scale=scale,
        facts={"steps": steps, "sigma": sigma, "seconds": round(time.monotonic() - start, 3)},
    )


def _blurred(img: Tensor, sigma: float) -> Tensor:
    """Blur with a Gaussian; nothing happens at the end of the path."""
    if sigma <= 0:
        return img.clone()
    from torchvision.transforms.functional import gaussian_blur

    # Reflection at the border needs an image larger than the kernel reaches.
    reach = min(4, img.shape[-1] - 1, img.shape[-2] - 1)
    blurred: Tensor = gaussian_blur(img, [2 * reach + 1] * 2, [sigma] * 2)
    return blurred


def _edges(network: BlackBox, img: Tensor, region: Box) -> Tensor:
    out = network.differentiable(img)
    return edge_strength(out[..., region.top : region.bottom, region.left : region.right])[0]


def _gradient(network: BlackBox, point: Tensor, region: Box) -> tuple[Tensor, ...]:
    value = _edges(network, point, region)
    if not value.requires_grad:
        raise InputError("network passes no gradient; local attribution needs one, causal effect maps do not")
    try:
        slope = torch.autograd.grad(value, point)
    except RuntimeError as error:
        if "memory" in str(error):
            raise
        raise InputError(f"network passes no gradient to its input: {brief(error, 200)}") from error
    if not slope[0].isfinite().all():
        raise InputError("network returned a gradient that is NaN or infinite; expected finite values")
    return slope
