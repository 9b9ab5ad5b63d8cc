"""A metric as the catalogue hands it out: the module of its plugin, with name, direction and key beside it."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from causaliqa.api.data import ScoreKey
from causaliqa.api.errors import InputError
from causaliqa.api.specs import MetricSpec
from causaliqa.functional.frozen import StayInEval
from causaliqa.functional.luminance import BRIGHTEST_VALUE
from causaliqa.functional.threads import one_thread_after_fork
from causaliqa.io.images import as_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = Tensor | NDArray[Any] | str | os.PathLike[str]

__all__ = ["BuiltMetric"]

_OVERSHOOT = 0.5
"""Values beyond [0, 1] by as much are taken for another range, not for an overshoot of interpolation."""


class BuiltMetric(StayInEval):
    """A metric with its record: ``(img, ref) -> (N,)``; in evaluation mode for good.

    Attributes of the wrapped module, such as ``explain``, can be used as if they were its own.

    Args:
        module: what the factory of the record returned; it is not changed.
        name: what the metric is called.
        spec: its record.
        key: what its scores depend on, except for data set and images.

    Example:
        >>> spec = MetricSpec(name="mae", factory=len, summary="mean absolute error", licence="MIT", lower_better=True)
        >>> key = ScoreKey(metric="mae", version="1", dataset="", img_hash="", ref_hash="", protocol="1")
        >>> metric = BuiltMetric(lambda a, b: (a - b).abs().mean((1, 2, 3)), name="mae", spec=spec, key=key)
        >>> metric
        mae (full reference, lower is better)
        >>> metric(torch.ones(2, 3, 8, 8), torch.zeros(2, 3, 8, 8))
        tensor([1., 1.])
    """

    def __init__(self, module: Any, *, name: str, spec: MetricSpec, key: ScoreKey) -> None:
        super().__init__()
        self.module = module
        self.name = name
        self.spec = spec
        self.key = key
        self.lower_better = spec.lower_better
        self.metric_mode: str = spec.metric_mode
        self.masked = spec.masked
        self.bytes_per_pixel = spec.bytes_per_pixel
        self.register_buffer("_place", torch.empty(0), persistent=False)
        self.eval()

    def forward(self, img: Image, ref: Image | None = None, **options: Any) -> Tensor:
        """Score a batch, or one pair of files or arrays.

        Args:
            img: distorted images: a tensor ``(N, 3, H, W)``, RGB in [0, 1]; a path of an image; or an array
                ``(H, W, 3)`` or ``(H, W)`` of 8 or 16 bits, or of floats in [0, 1]. A tensor of any floating type is
                scored in the type of the metric (float32 unless it was converted), also under autocast; values
                outside [0, 1] are allowed where it requires a gradient, as the output of a network that is trained.
            ref: references of the same kind; not needed where :attr:`metric_mode` is ``NR``.
            options: passed on to the module, such as ``mask`` where the record says that it is taken.

        Returns:
            Scores ``(N,)``; see :attr:`lower_better`.

        Raises:
            InputError: the reference is missing, or an image is of another kind, size or range.
            ImageError: a file cannot be read.
        """
        one_thread_after_fork()
        if ref is None and self.metric_mode == "FR":
            raise InputError(f"metric {self.name!r} compares with a reference: got none, expected metric(img, ref)")
        images = [self._tensor("img", img)] if ref is None else [self._tensor("img", img), self._tensor("ref", ref)]
        if ref is not None and images[0].shape[-2:] != images[1].shape[-2:]:
            (h, w), (ref_h, ref_w) = (x.shape[-2:] for x in images)
            raise InputError(
                f"metric {self.name!r}: img and ref differ in size: got {w} x {h} and {ref_w} x {ref_h} (width x "
                "height), expected the same; crop or resize one of them first"
            )
        if options.get("mask") is not None:
            self._check_mask(options["mask"], images[0])
        with torch.autocast(images[0].device.type, enabled=False):
            score: Tensor = self.module(*images, **options)
        return score

    def _tensor(self, what: str, image: Image) -> Tensor:
        if isinstance(image, str | os.PathLike | np.ndarray):
            return as_image(image).to(self._place)
        if not isinstance(image, Tensor) or not image.is_floating_point():
            got = image.dtype if isinstance(image, Tensor) else type(image).__name__
            raise InputError(
                f"metric {self.name!r}: {what} is {got}, expected a tensor of floats (N, 3, H, W) in [0, 1], a path or "
                "an array; divide 8-bit values by 255"
            )
        if image.ndim != 4 or not image.numel():
            raise InputError(
                f"metric {self.name!r}: {what} has shape {tuple(image.shape)}, expected (N, 3, H, W); write "
                "x[None] for one image"
            )
        if not image.requires_grad:
            self._check_range(what, image)
        return image.to(self._place.dtype)

    def _check_range(self, what: str, image: Tensor) -> None:
        low, high = (float(value) for value in image.aminmax())
        most = BRIGHTEST_VALUE if self.spec.takes_hdr else 1
        if low >= -_OVERSHOOT and high <= most + _OVERSHOOT:
            return
        if math.isfinite(low) and math.isfinite(high):
            got, advice = f"values from {low:g} to {high:g}", "divide 8-bit values by 255"
        else:
            got, advice = "NaN or infinite values", "look where they come from"
        raise InputError(f"metric {self.name!r}: {what} has {got}, expected [0, 1]; {advice}")

    def _check_mask(self, mask: Any, img: Tensor) -> None:
        size = tuple(img.shape[-2:])
        if not self.masked:
            raise InputError(f"metric {self.name!r} takes no mask; crop both images to what shall count")
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool or tuple(mask.shape) != size or not mask.any():
            got = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
            raise InputError(
                f"metric {self.name!r}: mask is {got}, expected booleans of shape {size}, true where pixels count, at "
                "least somewhere"
            )

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            module = self.__dict__.get("_modules", {}).get("module") or self.__dict__.get("module")
            if module is None or name == "module":
                raise
            return getattr(module, name)

    def __repr__(self) -> str:
        mode = "full reference" if self.metric_mode == "FR" else "no reference"
        return f"{self.name} ({mode}, {'lower' if self.lower_better else 'higher'} is better)"
