"""Restoration networks, registered through the hooks like any plugin's.

Two records stand for many networks: the part of a name after its colon says which one, as in ``basicsr:EDSR`` and
``path/to/net.py:factory``; :attr:`RestorerSpec.part` names the argument that takes it.
"""

from __future__ import annotations

from collections.abc import Iterable

from causaliqa.hookspecs import hookimpl
from causaliqa.specs import RestorerSpec, lazy

__all__ = ["causaliqa_restorers"]


def _tiny(name: str, task: str, scale: int, summary: str, reference: str) -> RestorerSpec:
    return RestorerSpec(
        name=name,
        factory=lazy("causaliqa.restorers.tiny:build", name=name),
        summary=summary + "; weights come with the package",
        licence="Apache-2.0",
        reference=reference,
        scale=scale,
        tasks=(task,),
    )


@hookimpl
def causaliqa_restorers() -> Iterable[RestorerSpec]:
    """The small trained networks, everything in basicsr's registry, and any Python callable."""
    yield _tiny("tiny_edsr_x4", "sr", 4, "small EDSR, x4", "Lim et al. 2017, arXiv:1707.02921")
    yield _tiny(
        "tiny_rcan_x4", "sr", 4, "small RCAN, x4, with its global pooling", "Zhang et al. 2018, arXiv:1807.02758"
    )
    yield _tiny("tiny_dncnn_50", "denoise", 1, "small DnCNN, sigma 50", "Zhang et al. 2017, arXiv:1608.03981")
    yield _tiny("tiny_edsr_rain", "derain", 1, "small EDSR, medium rain", "Lim et al. 2017, arXiv:1707.02921")
    yield RestorerSpec(
        name="basicsr",
        factory=lazy("causaliqa.restorers.basicsr:build"),
        summary="any image-to-image architecture in basicsr's registry: basicsr:EDSR; extra [basicsr]",
        licence="Apache-2.0",
        reference="https://github.com/XPixelGroup/BasicSR",
        part="arch",
    )
    yield RestorerSpec(
        name="callable",
        factory=lazy("causaliqa.restorers.callable:build"),
        summary="any Python factory: path/to/file.py:factory or module:factory",
        licence="that of the network",
        part="where",
    )
