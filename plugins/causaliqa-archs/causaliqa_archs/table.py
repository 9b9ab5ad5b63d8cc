"""The architectures by name: where each is written, its paper, what it is for; nothing is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

__all__ = ["ARCHITECTURES", "Architecture"]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One architecture, or one of its variants."""

    network: str
    """Class below :mod:`causaliqa_archs.networks`, as ``module:Class``."""
    summary: str
    """One line."""
    paper: str
    """arXiv number, or where it appeared."""
    tasks: tuple[str, ...] = ("sr",)
    """What public checkpoints of it were trained for; one for ``sr`` first enlarges four times by default."""
    fixed: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Options that make the variant; a variant is no candidate when a file is looked at."""


_CLEAN = ("denoise", "derain")

ARCHITECTURES: dict[str, Architecture] = {
    "srcnn": Architecture(network="srcnn:SRCNN", summary="SRCNN", paper="arXiv:1501.00092"),
    "fsrcnn": Architecture(network="srcnn:FSRCNN", summary="FSRCNN", paper="arXiv:1608.00367"),
    "carn": Architecture(network="carn:CARN", summary="CARN", paper="arXiv:1803.08664"),
    "carn_m": Architecture(network="carn:CARNM", summary="CARN-M, the mobile one", paper="arXiv:1803.08664"),
    "srdensenet": Architecture(network="srdensenet:SRDenseNet", summary="SRDenseNet", paper="ICCV 2017"),
    "srresnet": Architecture(
        network="srresnet:SRResNet", summary="SRResNet without normalisation (MSRResNet)", paper="arXiv:1809.00219"
    ),
    "srresnet_bn": Architecture(
        network="srresnet:SRResNetBN", summary="SRResNet with batch normalisation", paper="arXiv:1609.04802"
    ),
    "edsr": Architecture(network="edsr:EDSR", summary="EDSR", paper="arXiv:1707.02921"),
    "rcan": Architecture(network="rcan:RCAN", summary="RCAN, global pooling", paper="arXiv:1807.02758"),
    **{
        f"rcan_ap{side}": Architecture(
            network="rcan:RCAN",
            summary=f"RCAN with {side} x {side} average pooling",
            paper="Causal Effect Maps, figure 9",
            fixed={"pool": side},
        )
        for side in (2, 3, 4, 16)
    },
    "san": Architecture(network="san:SAN", summary="SAN", paper="CVPR 2019"),
    "drln": Architecture(network="drln:DRLN", summary="DRLN", paper="arXiv:1906.12021"),
    "rnan": Architecture(network="rnan:RNAN", summary="RNAN", paper="arXiv:1903.10082", tasks=("sr", "denoise")),
    "imdn": Architecture(network="imdn:IMDN", summary="IMDN", paper="arXiv:1909.11856"),
    "imdn_plain": Architecture(
        network="imdn:IMDNPlain", summary="IMDN of the challenges since AIM 2019", paper="arXiv:1911.01249"
    ),
    "rfdn": Architecture(network="rfdn:RFDN", summary="RFDN", paper="arXiv:2009.11551"),
    "rlfn": Architecture(network="rfdn:RLFN", summary="RLFN", paper="arXiv:2205.07514"),
    "pan": Architecture(network="pan:PAN", summary="PAN", paper="arXiv:2010.01073"),
    "srmd": Architecture(network="dncnn:SRMD", summary="SRMD and SRMDNF", paper="arXiv:1712.06116"),
    "dncnn": Architecture(network="dncnn:DnCNN", summary="DnCNN", paper="arXiv:1608.03981", tasks=("denoise",)),
    "ircnn": Architecture(
        network="dncnn:IRCNN", summary="the denoiser of IRCNN", paper="arXiv:1704.03264", tasks=("denoise",)
    ),
    "ffdnet": Architecture(network="dncnn:FFDNet", summary="FFDNet", paper="arXiv:1710.04026", tasks=("denoise",)),
    "adnet": Architecture(
        network="adnet:ADNet", summary="ADNet", paper="Neural Networks 124, 2020", tasks=("denoise",)
    ),
    "sadnet": Architecture(network="sadnet:SADNet", summary="SADNet", paper="arXiv:2001.10291", tasks=("denoise",)),
    "prenet": Architecture(network="prenet:PReNet", summary="PReNet", paper="arXiv:1901.09221", tasks=("derain",)),
    "hinet": Architecture(network="hinet:HINet", summary="HINet", paper="arXiv:2105.06086", tasks=(*_CLEAN, "deblur")),
    "mprnet": Architecture(
        network="mprnet:MPRNet", summary="MPRNet", paper="arXiv:2102.02808", tasks=(*_CLEAN, "deblur")
    ),
    "gcanet": Architecture(
        network="gcanet:GCANet", summary="GCANet", paper="arXiv:1811.08747", tasks=("dehaze", "derain")
    ),
    "xrestormer": Architecture(
        network="xrestormer:XRestormer",
        summary="X-Restormer",
        paper="arXiv:2310.11881",
        tasks=(*_CLEAN, "deblur", "dehaze", "sr"),
    ),
    "hit_sr": Architecture(network="hit:HiT", summary="HiT-SRF, HiT-SNG and HiT-SIR", paper="arXiv:2407.05878"),
    "craft": Architecture(network="craft:CRAFT", summary="CRAFT", paper="arXiv:2308.05022"),
}
"""All architectures by name."""
