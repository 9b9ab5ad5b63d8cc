"""A metric as the catalogue hands it out: the module of its plugin, with name, direction and key beside it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from causaliqa.api.data import ScoreKey
from causaliqa.api.errors import InputError
from causaliqa.api.specs import MetricSpec
from causaliqa.functional.threads import one_thread_after_fork
from causaliqa.io.images import as_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = Tensor | NDArray[Any] | str | os.PathLike[str]

__all__ = ["BuiltMetric"]


class BuiltMetric(nn.Module):
    """A metric with its record: ``(img, ref) -> (N,)``.

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
        self.bytes_per_pixel = spec.bytes_per_pixel
        self.register_buffer("_place", torch.empty(0), persistent=False)

    def forward(self, img: Image, ref: Image | None = None, **options: Any) -> Tensor:
        """Score a batch, or one pair of files or arrays.

        Args:
            img: distorted images: a tensor ``(N, 3, H, W)``, RGB in [0, 1]; a path of an image; or an array
                ``(H, W, 3)`` or ``(H, W)`` of 8 or 16 bits, or of floats in [0, 1].
            ref: references of the same kind; not needed where :attr:`metric_mode` is ``NR``.
            options: passed on to the module.

        Returns:
            Scores ``(N,)``; see :attr:`lower_better`.

        Raises:
            InputError: the reference is missing, or an image is of another kind.
            ImageError: a file cannot be read.
        """
        one_thread_after_fork()
        if ref is None:
            if self.metric_mode == "FR":
                raise InputError(f"metric {self.name!r} compares with a reference: got none, expected metric(img, ref)")
            score: Tensor = self.module(self._tensor(img), **options)
        else:
            score = self.module(self._tensor(img), self._tensor(ref), **options)
        return score

    def _tensor(self, image: Image) -> Tensor:
        if isinstance(image, Tensor):
            return image
        if isinstance(image, str | os.PathLike | np.ndarray):
            return as_image(image).to(self._place.device)
        raise InputError(
            f"metric {self.name!r}: got {type(image).__name__}, expected a tensor (N, 3, H, W), a path or an array"
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
