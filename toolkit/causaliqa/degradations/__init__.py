"""What spoils the images of causal effect maps, registered through the hooks like any plugin's."""

from __future__ import annotations

from collections.abc import Iterable

from causaliqa.hookspecs import hookimpl
from causaliqa.specs import DegradationSpec, lazy

__all__ = ["causaliqa_degradations"]

_REFERENCE = "CEM, section V-A"


@hookimpl
def causaliqa_degradations() -> Iterable[DegradationSpec]:
    """The three tasks of the paper."""
    yield DegradationSpec(
        name="sr",
        factory=lazy("causaliqa.degradations.builtin:Downsampling"),
        summary="antialiased bicubic downsampling by scale=4",
        licence="Apache-2.0",
        reference=_REFERENCE,
        scale=4,
    )
    yield DegradationSpec(
        name="denoise",
        factory=lazy("causaliqa.degradations.builtin:GaussianNoise"),
        summary="white Gaussian noise of sigma=50",
        licence="Apache-2.0",
        reference=_REFERENCE,
    )
    yield DegradationSpec(
        name="derain",
        factory=lazy("causaliqa.degradations.builtin:MediumRain"),
        summary="medium rain: one layer of streaks an image",
        licence="Apache-2.0",
        reference=_REFERENCE + "; Networks are Slacking Off, arXiv:2305.15134",
    )
