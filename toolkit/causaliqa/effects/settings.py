"""The settings of a causal effect map: everything that decides it, apart from image, region, network and measure."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from causaliqa.api.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from causaliqa.api.protocols import Degradation, PlacedSampler, Sampler
    from causaliqa.effects.strategy import Strategy

    ImageLike = Tensor | NDArray[Any] | str | os.PathLike[str]
    """A tensor ``(3, H, W)`` in [0, 1], an array ``(H, W, 3)`` or the path of an image."""

__all__ = ["CemSettings", "settings_with"]

DECIBELS = 0.01
"""Tolerance of PSNR in dB, as in the published code."""
_SHARE = 1e-3
"""Tolerance of other measures, as a share of the quality of the region: what 0.01 dB is of 10 dB."""
_SMALLEST = 1e-6
"""Smallest tolerance of other measures, where that quality is about 0."""


@dataclass(frozen=True, kw_only=True)
class CemSettings:
    """Settings of a causal effect map; the options of ``causaliqa cem`` are made from these fields.

    Raises:
        InputError: a setting is out of range.

    Example:
        >>> CemSettings(fine=10, seed=3).make_strategy()
        CoarseToFine(coarse=3, fine=10, tolerance=0.01, name='coarse-to-fine')
        >>> CemSettings(fine=0)
        Traceback (most recent call last):
        causaliqa.api.errors.InputError: fine: got 0, expected a whole number, 1 or more
    """

    degradation: str | Degradation | None = None
    """Degradation of the ground truth, NAME[:key=value,...]; by default that of the task."""
    sampler: str | Sampler | PlacedSampler = "natural"
    """Sampler of the patches that replace those of the image, NAME[:key=value,...]."""
    library: str | os.PathLike[str] | None = None
    """Natural images of the sampler: a folder, or an .npz of 8-bit patches (P, s, s, 3)."""
    patch_size: int = 8
    """Side of a patch in output pixels, a multiple of the scale."""
    strategy: str | Strategy = "coarse-to-fine"
    """Which interventions are made: plain, coarse-to-fine or adaptive."""
    coarse: int = 3
    """C, interventions on every patch in the coarse stage."""
    fine: int = 50
    """F, further interventions on every sensitive patch."""
    interventions: int = 500
    """T, interventions on every patch of the strategy plain."""
    budget: int | None = None
    """Interventions in all, of the strategy adaptive."""
    precision: float | None = None
    """Or its wanted standard error of every patch, in the unit of the measure; by default half of the tolerance."""
    tolerance: float | None = None
    """tau in the unit of the measure, smaller effects count as none; by default 0.01 dB for psnr, and a thousandth of
    the quality of the region without intervention for any other measure."""
    seed: int = 0
    """Seed of everything random; the same seed gives the same map for every batch size."""
    image_seed: int | None = None
    """Seed of the noise or rain of the image, to compare runs that differ in their interventions alone; by default
    that of the interventions."""
    batch_size: int | Literal["auto"] = "auto"
    """Images that a network on a GPU sees at once; auto fills the memory."""
    prune: bool = True
    """Prune patches that provably cannot reach the region, and the part of the input that it does not depend on;
    checked on a sample of interventions."""

    def __post_init__(self) -> None:
        for name in ("seed", "image_seed"):
            value = getattr(self, name)
            if not (name == "image_seed" and value is None) and (not isinstance(value, int) or value < 0):
                raise InputError(f"{name.replace('_', ' ')}: got {value!r}, expected a whole number, 0 or more")
        for name in ("degradation", "sampler"):
            value, method = getattr(self, name), {"degradation": "degrade", "sampler": "__call__"}[name]
            placed = name == "sampler" and hasattr(value, "in_place")
            if not isinstance(value, str | None) and not hasattr(value, method) and not placed:
                raise InputError(
                    f"{name}: got {type(value).__name__}, expected a name or an object with the methods of a {name}; "
                    f"`causaliqa list {name}s` shows the names"
                )
        if self.library is not None and not isinstance(self.sampler, str):
            raise InputError("library: got one beside a sampler that is an object; pass it to the sampler itself")
        self.make_strategy()

    def tolerance_for(self, unit: str, base: float) -> float:
        """Return the tolerance: the one that was asked for, else that of the measure.

        Args:
            unit: of the measure, ``"dB"`` or none.
            base: quality of the region without intervention, M_R(F(I)).

        Example:
            >>> CemSettings().tolerance_for("dB", 30.0), CemSettings().tolerance_for("", 0.9)
            (0.01, 0.0009)
        """
        if self.tolerance is not None:
            return self.tolerance
        if unit == "dB":
            return DECIBELS
        # Three digits: rounding errors of the device do not make it another tolerance.
        return float(f"{max(abs(base) * _SHARE, _SMALLEST):.3g}")

    def make_strategy(self) -> Strategy:
        """Return the strategy with its numbers; a tolerance that is not given is that of psnr.

        Raises:
            InputError: the name is unknown, or a number is out of range.
        """
        from causaliqa.effects.adaptive_strategy import make_adaptive
        from causaliqa.effects.strategy import make_strategy

        tolerance = DECIBELS if self.tolerance is None else self.tolerance
        if self.strategy == "adaptive":
            return make_adaptive(self.budget, self.precision, tolerance)
        if self.budget is not None or self.precision is not None:
            raise InputError("budget and precision belong to the strategy adaptive; leave them out or choose it")
        made = make_strategy(
            self.strategy if isinstance(self.strategy, str) else "plain",
            coarse=self.coarse,
            fine=self.fine,
            interventions=self.interventions,
            tolerance=tolerance,
        )
        return made if isinstance(self.strategy, str) else self.strategy


def settings_with(settings: CemSettings | None, changes: Mapping[str, Any]) -> CemSettings:
    """Return settings with other fields.

    Raises:
        InputError: there is no such field, or its value is out of range.

    Example:
        >>> settings_with(None, {"fine": 10}).fine
        10
        >>> settings_with(None, {"fin": 10})
        Traceback (most recent call last):
        causaliqa.api.errors.InputError: settings: unknown 'fin'. Did you mean 'fine'? CemSettings lists them all
    """
    known = [field.name for field in fields(CemSettings)]
    if unknown := [name for name in changes if name not in known]:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(f"settings: unknown {unknown[0]!r}.{hint} CemSettings lists them all")
    return replace(settings or CemSettings(), **changes)
