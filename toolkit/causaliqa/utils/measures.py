"""What a measure of the region is called, and its unit; imports nothing heavy."""

from __future__ import annotations

import re

__all__ = ["measure_name", "unit_of"]

_DECIBELS = frozenset({"psnr", "psnry", "pyiqa:psnr", "pyiqa:psnry"})
"""Measures whose unit is dB; no other measure has a unit."""


def measure_name(measure: object) -> str:
    """Return what tables and pictures call a measure: its own ``name``, else that of the function or class."""
    return str(getattr(measure, "name", None) or getattr(measure, "__qualname__", type(measure).__name__))


def unit_of(measure: str) -> str:
    """Return the unit of a measure by its name: ``"dB"`` for PSNR, nothing for all others.

    Example:
        >>> unit_of("psnr"), unit_of("pyiqa:psnr:test_y_channel=true"), unit_of("ssim")
        ('dB', 'dB', '')
    """
    return "dB" if re.split(r":(?=[A-Za-z_]\w*=)", measure)[0] in _DECIBELS else ""
