"""A metric of pyiqa behind the interface of ours."""

from __future__ import annotations

import logging
from typing import Any

import pyiqa
from torch import Tensor, nn

__all__ = ["PyiqaMetric"]


class PyiqaMetric(nn.Module):
    """``pyiqa.create_metric(name, **options)`` as ``(img, ref) -> (N,)``.

    Args:
        name: pyiqa's name.
        options: passed on to pyiqa.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__()
        logging.getLogger("pyiqa").setLevel(logging.WARNING)
        self.net = pyiqa.create_metric(name, device="cpu", **options)
        self.lower_better = bool(self.net.lower_better)
        self.metric_mode = str(self.net.metric_mode)

    def forward(self, img: Tensor, ref: Tensor | None = None) -> Tensor:
        """Score a batch ``(N, 3, H, W)``, RGB in [0, 1]; returns ``(N,)``."""
        score: Tensor = self.net(img, ref) if self.metric_mode == "FR" else self.net(img)
        return score.reshape(len(img), -1).squeeze(1)
