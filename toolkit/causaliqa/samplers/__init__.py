"""Where the patches of interventions come from, registered through the hooks like any plugin's."""

from __future__ import annotations

from collections.abc import Iterable

from causaliqa.hookspecs import hookimpl
from causaliqa.specs import SamplerSpec, lazy

__all__ = ["causaliqa_samplers"]


def _spec(name: str, where: str, summary: str, reference: str, **fixed: float) -> SamplerSpec:
    return SamplerSpec(
        name=name,
        factory=lazy(f"causaliqa.samplers.{where}", **fixed),
        summary=summary,
        licence="Apache-2.0",
        reference=reference,
    )


@hookimpl
def causaliqa_samplers() -> Iterable[SamplerSpec]:
    """The natural image library, and what the paper compares it with."""
    yield _spec("natural", "natural:build", "patches of natural images; library=DIR|FILE.npz", "CEM, section IV-D")
    yield _spec("self", "single:SelfPatches", "patches of the image itself; inadvisable", "CEM, Figure 15")
    yield _spec("zero", "single:Constant", "black", "CEM, Figure 4", value=0.0)
    yield _spec("constant", "single:Constant", "one colour: value=0.5", "CEM, section IV-C")
    yield _spec("blur", "single:Blur", "the patch itself, blurred by sigma=3", "CEM, Figure 4")
    yield _spec("noise", "single:UniformNoise", "uniform noise in place of content", "CEM, section IV-C")
