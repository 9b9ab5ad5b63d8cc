"""pyiqa's own metrics under their own names.

Their list is read from pyiqa's table of defaults without importing pyiqa, which takes seconds.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal, cast

from causaliqa.api.hookspecs import hookimpl
from causaliqa.api.specs import Lazy, MetricSpec, lazy
from causaliqa.interop.training import TRAINING, Training
from causaliqa.utils.files import package_file

__all__ = ["LICENCE", "causaliqa_metrics", "default_configs"]

LICENCE = "PolyForm-Noncommercial-1.0.0 (pyiqa)"

_SETS = {"FID", "InceptionScore"}
"""Types that score sets of images, not one image."""


_BYTES = {
    "psnr": 47.0,
    "psnry": 47.0,
    "ssim": 210.0,
    "ssimc": 420.0,
    "cw_ssim": 630.0,
    "gmsd": 82.0,
    "vsi": 165.0,
    "vif": 290.0,
    "nlpd": 143.0,
    "mad": 4600.0,
}
"""Memory per pixel of those that need no weights: growth of the peak from a pair of 64 pixels' side to one of 768 and
one of 1,536, rounded down from the smaller, so that nothing that fits is refused."""


_MASKED = frozenset({"psnr", "psnry", "ssim", "ssimc", "gmsd", "fsim", "vsi"})
"""Those whose map can be pooled over a mask: the names of :data:`causaliqa.interop.masked_pooling.MASKED`, which loads
torch."""

_ROUNDS = frozenset({"cw_ssim", "gmsd", "ms_ssim", "ssim", "ssimc", "vif"})
"""Those that round to 8 bits, after their conversion to gray where they have one (tests/interop/test_depth.py)."""

_TAKES_HDR = frozenset({"fsim", "ms_ssim", "psnr", "ssim", "vsi"})
"""Those that the authors of PU21 adapt to high dynamic range: https://github.com/gfxdisp/pu21."""

_NOTICEABLE = (0.5, "0.5 dB, the rule of the MPEG committee: Salomon, Data Compression, 4th ed. 2007, sec. 4.2.2")
"""Difference of PSNR that people see, in dB, and its source."""

_UNKNOWN = Training(None, None, "https://github.com/chaofengc/IQA-PyTorch")
"""Of a metric that a later pyiqa has and the table has not."""


@lru_cache(maxsize=1)
def default_configs() -> Mapping[str, Mapping[str, Any]]:
    """Return pyiqa's table of metrics; empty if pyiqa is not installed."""
    path = package_file("pyiqa:default_model_configs.py")
    return cast("Mapping[str, Mapping[str, Any]]", runpy.run_path(str(path))["DEFAULT_CONFIGS"]) if path else {}


def _factory(name: str) -> Lazy:
    # pyiqa's own check of the range would refuse what is brighter than white.
    bright = {"check_input_range": False} if name in _TAKES_HDR else {}
    return lazy("causaliqa.interop.metric:PyiqaMetric", name=name, **bright)


@hookimpl
def causaliqa_metrics() -> Iterable[MetricSpec]:
    """Every metric of pyiqa that scores single images."""
    for name, config in default_configs().items():
        mode = config.get("metric_mode")
        if config["metric_opts"]["type"] in _SETS or mode not in ("FR", "NR"):
            continue
        known = TRAINING.get(name, _UNKNOWN)
        yield MetricSpec(
            name=name,
            factory=_factory(name),
            summary=f"{'full' if mode == 'FR' else 'no'}-reference metric of pyiqa",
            licence=LICENCE,
            reference=known.source,
            lower_better=bool(config.get("lower_better", False)),
            bytes_per_pixel=_BYTES.get(name, 0.0),
            needed_files=lazy("causaliqa.interop.files:needed_files", name=name),
            masked=name in _MASKED,
            noticeable=_NOTICEABLE[0] if name in ("psnr", "psnry") else None,
            noticeable_source=_NOTICEABLE[1] if name in ("psnr", "psnry") else "",
            takes_hdr=name in _TAKES_HDR,
            rounds_to_8_bits=name in _ROUNDS,
            metric_mode=cast('Literal["FR", "NR"]', mode),
            trained_on=known.trained_on,
            year=known.year,
        )
