"""Luminance of high dynamic range: its encoding for metrics (PU21) and that of PQ files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

__all__ = ["BRIGHTEST", "BRIGHTEST_VALUE", "DARKEST", "PU21_WHITE", "luminance", "pq_to_luminance", "pu21"]

DARKEST, BRIGHTEST = 0.005, 10_000.0
"""Luminance in cd/m² that PU21 was fitted to; it encodes others as the nearest of these."""
PU21_WHITE = 256.0
"""PU21 value of about 100 cd/m², the white of SDR: what metrics take for 1."""

_P = (0.353487901, 0.3734658629, 8.277049286e-05, 0.9062562627, 0.09150303166, 0.9099517204, 596.3148142)
"""Constants of the variant ``banding_glare``, which the authors recommend: https://github.com/gfxdisp/pu21."""

_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
"""Constants of SMPTE ST 2084."""

_WEIGHTS = {"bt709": (0.212656, 0.715158, 0.072186), "bt2020": (0.2627, 0.6780, 0.0593)}


def pu21(light: ArrayLike) -> Array:
    """Encode luminance in cd/m² so that equal steps are about equally visible.

    Args:
        light: luminance, or linear RGB whose white has the luminance of its components; any shape.

    Returns:
        From 0 to 595.4; 256.4 at 100 cd/m².

    Source: Mantiuk & Azimi, PU21, Picture Coding Symposium 2021, variant ``banding_glare``.

    Example:
        >>> [round(float(value), 1) for value in pu21([0, 1, 100, 10_000])]
        [0.0, 36.5, 256.4, 595.4]
    """
    power = np.clip(np.asarray(light, dtype=np.float64), DARKEST, BRIGHTEST) ** _P[3]
    encoded = _P[6] * (((_P[0] + _P[1] * power) / (1 + _P[2] * power)) ** _P[4] - _P[5])
    return np.asarray(np.maximum(encoded, 0.0))


BRIGHTEST_VALUE = float(pu21(BRIGHTEST)) / PU21_WHITE
"""What metrics get for the brightest light, 2.33."""


def pq_to_luminance(code: ArrayLike) -> Array:
    """Return the luminance in cd/m² that values of the perceptual quantizer stand for.

    Args:
        code: values in [0, 1], full range; any shape.

    Source: SMPTE ST 2084, the EOTF.

    Example:
        >>> [round(float(light), 2) for light in pq_to_luminance([0, 0.508078421517, 1])]
        [0.0, 100.0, 10000.0]
    """
    root = np.asarray(code, dtype=np.float64) ** (1 / _M2)
    return np.asarray(BRIGHTEST * (np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1))


def luminance(light: NDArray[Any], primaries: str) -> Array:
    """Return the luminance ``(H, W, 1)`` of linear RGB ``(H, W, 3)``.

    Args:
        light: linear RGB.
        primaries: ``bt709`` or ``bt2020``.

    Source: ITU-R BT.709 (to the six digits of PU21's code) and BT.2020.

    Example:
        >>> luminance(np.full((1, 1, 3), 80.0), "bt2020").round(6).tolist()
        [[[80.0]]]
    """
    return np.asarray(light.astype(np.float64) @ np.asarray(_WEIGHTS[primaries]))[..., None]
