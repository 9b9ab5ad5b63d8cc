"""A metric of a third party: the mean difference of edges. Importing this module loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import causaliqa

if TYPE_CHECKING:
    from torch import nn


@causaliqa.hookimpl
def causaliqa_metrics() -> list[causaliqa.MetricSpec]:
    """Announce the metric; nothing is built yet."""
    return [
        causaliqa.MetricSpec(
            name="example_edges",
            factory=build,
            summary="mean difference of horizontal and vertical edges",
            licence="Apache-2.0",
            lower_better=True,
            identity=0.0,
            differentiable=True,
            trained_on=(),
        )
    ]


def build(*, power: float = 1.0) -> nn.Module:
    """Build the metric.

    Args:
        power: exponent of the differences.
    """
    import torch

    class Edges(torch.nn.Module):
        def forward(self, img: torch.Tensor, ref: torch.Tensor) -> torch.Tensor:
            """Map two batches ``(N, 3, H, W)`` in [0, 1] to ``(N,)``; lower is better."""
            gaps = ((a.diff(dim=d) - b.diff(dim=d)).abs().pow(power) for a, b, d in ((img, ref, 2), (img, ref, 3)))
            return torch.stack([gap.flatten(1).mean(1) for gap in gaps]).mean(0)

    return Edges()
