"""A causal effect map: effects with standard errors, statistics, file format and display."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causaliqa.api.data import ROI
from causaliqa.api.errors import InputError
from causaliqa.utils.figures import html_summary
from causaliqa.utils.files import atomic
from causaliqa.utils.measures import unit_of
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COUNTINGS", "EffectMap", "similarity"]

COUNTINGS = ("paper", "demo")
"""``paper``: patches of the region of interest are left out; ``demo``: they count as positive (the published code)."""

_FEWEST = 3
"""Fewest interventions of a test for significance."""

_ARRAYS = ("effect", "count", "sem", "samples", "image")
_CROPS = ("truth", "output")
"""Arrays that maps of earlier versions lack."""


@dataclass(frozen=True, kw_only=True, repr=False)
class EffectMap:
    """Causal effect of every input patch on the region of interest.

    Example:
        >>> effect = np.array([[0.5, 0.0], [-0.2, np.nan]])
        >>> made = EffectMap(
        ...     effect=effect, count=np.ones((2, 2), int), sem=effect, samples=effect[..., None],
        ...     image=np.zeros((2, 2, 3), np.uint8), base=30.0, roi=ROI(8, 8, 8, 8), patch_size=8,
        ... )
        >>> summary = made.summary()
        >>> [round(summary[k], 2) for k in ("positive_percent", "negative_percent", "none_percent", "min", "max")]
        [33.33, 33.33, 33.33, -0.2, 0.5]
        >>> made.summary(counting="demo")["positive_percent"]
        50.0
    """

    effect: NDArray[np.float64]
    """Effects in :attr:`unit` ``(rows, cols)``; positive: the patch helps the region; NaN inside it."""
    count: NDArray[np.int64]
    """Interventions behind each effect, those of the whole block where it was skipped; 0 for pruned patches."""
    sem: NDArray[np.float64]
    """Standard errors in :attr:`unit`; 0 for pruned patches, NaN after a single intervention."""
    samples: NDArray[np.float64] = field(repr=False)
    """Effects of the single interventions ``(rows, cols, most)``, NaN where fewer were made."""
    image: NDArray[np.uint8] = field(repr=False)
    """The degraded input ``(h, w, 3)``, RGB."""
    base: float
    """Quality of the region without intervention, M_R(F(I)), in :attr:`unit`."""
    roi: ROI
    """Region of interest, in output pixels."""
    patch_size: int
    """Side of a patch, in output pixels."""
    tolerance: float = 0.01
    """Effects below it count as none, in :attr:`unit`."""
    truth: NDArray[np.uint8] | None = field(default=None, repr=False)
    """Ground truth of the region ``(height, width, 3)``, RGB; None in maps of earlier versions."""
    output: NDArray[np.uint8] | None = field(default=None, repr=False)
    """Output of the network in the region, without intervention; None in maps of earlier versions."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Settings, inferences, seconds and what was pruned."""

    @property
    def measure(self) -> str:
        """Name of the measure; maps that do not say were made with ``psnr``."""
        return str(self.facts.get("measure", "psnr"))

    @property
    def unit(self) -> str:
        """Unit of effects: ``"dB"`` where the measure is PSNR, else nothing."""
        return unit_of(self.measure)

    def quantity(self, value: float, form: str = "+.3f") -> str:
        """Return a value of the measure as text, with its unit where it has one.

        Args:
            value: an effect or a quality.
            form: format of PSNR; values of other measures have four significant digits, as they have any magnitude.
        """
        sign = "+" if form.startswith("+") else ""
        return f"{value:{form}} dB" if self.unit else f"{value:{sign}.4g}"

    @property
    def bound(self) -> float:
        """Largest absolute effect in :attr:`unit`, at least the tolerance: the default end of the colour map."""
        return max(float(np.nanmax(np.abs(self.effect), initial=0.0)), self.tolerance)

    def __repr__(self) -> str:
        summary, (rows, cols) = self.summary(), self.effect.shape
        shares = ", ".join(f"{kind} {summary[f'{kind}_percent']:.1f} %" for kind in ("positive", "negative", "none"))
        name = f"{self.facts['restorer']}, " if "restorer" in self.facts else ""
        return (
            f"EffectMap({name}roi {self.roi}, {rows} x {cols} patches of {self.patch_size} pixels, {shares}, "
            f"effects on {self.measure} from {self.quantity(summary['min'])} to {self.quantity(summary['max'])})"
        )

    def _repr_html_(self) -> str:
        return html_summary(self.summary(), self.plot())

    def summary(self, counting: str = "paper") -> dict[str, Any]:
        """Return the statistics of Table I.

        Args:
            counting: one of :data:`COUNTINGS`.

        Returns:
            ``positive_percent``, ``negative_percent``, ``none_percent`` of the counted patches, ``min`` and ``max`` in
            :attr:`unit`, ``base``, ``measure``, ``unit`` and everything in :attr:`facts`.

        Raises:
            InputError: the counting is unknown.
        """
        if counting not in COUNTINGS:
            raise InputError(f"counting: got {counting!r}, expected {' or '.join(COUNTINGS)}")
        effects = self.effect[~np.isnan(self.effect)]
        positive = int((effects >= self.tolerance).sum())
        negative = int((effects <= -self.tolerance).sum())
        total = len(effects)
        if counting == "demo":
            inside = int(np.isnan(self.effect).sum())
            positive, total = positive + inside, total + inside
        signs = self.signs()
        shares = [100 * n / total if total else float("nan") for n in (positive, negative, total - positive - negative)]
        return {
            "positive_percent": shares[0],
            "negative_percent": shares[1],
            "none_percent": shares[2],
            "min": float(effects.min(initial=0.0)),
            "max": float(effects.max(initial=0.0)),
            "significant_positive_percent": 100 * int((signs > 0).sum()) / total if total else float("nan"),
            "significant_negative_percent": 100 * int((signs < 0).sum()) / total if total else float("nan"),
            "base": self.base,
            "roi": [self.roi.x, self.roi.y, self.roi.width, self.roi.height],
            "patch_size": self.patch_size,
            "tolerance": self.tolerance,
            "counting": counting,
            "measure": self.measure,
            "unit": self.unit,
            **self.facts,
        }

    def signs(self, *, rate: float = 0.05) -> NDArray[np.int64]:
        """Return which patches help (1) or mislead (-1) significantly, and which do neither (0).

        Two-sided t tests of every effect against 0; the procedure of Benjamini and Yekutieli, which needs no
        independence, controls the false discovery rate. Patches in the region, and those with fewer than three
        interventions, are 0.

        Args:
            rate: false discovery rate, the expected share of wrong patches among those that are not 0.

        Raises:
            InputError: the rate is not between 0 and 1.
        """
        if not 0 < rate < 1:
            raise InputError(f"rate: got {rate!r}, expected a number between 0 and 1")
        from scipy.stats import false_discovery_control, t

        told = (self.count >= _FEWEST) & (self.sem > 0) & np.isfinite(self.effect)
        found = np.zeros(self.effect.shape, np.int64)
        if told.any():
            scaled = np.abs(self.effect[told]) / self.sem[told]
            p = false_discovery_control(2 * t.sf(scaled, self.count[told] - 1), method="by")
            found[told] = np.where(p <= rate, np.sign(self.effect[told]), 0).astype(np.int64)
        return found

    def plot(self, *, bound: float | None = None) -> Figure:
        """Draw the map over the input: red helps, blue misleads, green is the region of interest.

        Args:
            bound: effect in :attr:`unit` at which the colour map saturates; None for :attr:`bound`.
        """
        from causaliqa.effects.plot import draw_map

        return draw_map(self, bound=bound)

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        pictures: bool = True,
        bound: float | None = None,
        title: str = "",
        figures: str = "png",
    ) -> Path:
        """Write ``cem.npz``, ``summary.json`` and (``pictures``) ``cem.png`` and ``pie.png``; return the folder.

        Args:
            folder: created if it does not exist.
            pictures: draw the map and the shares of its patches, too.
            bound: effect in :attr:`unit` at which the colour map saturates; None for :attr:`bound`.
            title: heading of the map.
            figures: formats of the pictures, such as ``"pdf"`` or ``"png,svg"``.

        Raises:
            InputError: there is no such format.
            OutputError: the folder cannot be written.
        """
        from causaliqa.utils.figures import formats

        path, suffixes = Path(folder), formats(figures)
        crops = {name: getattr(self, name) for name in _CROPS if getattr(self, name) is not None}
        arrays = {**{name: getattr(self, name) for name in _ARRAYS}, **crops}
        text = json.dumps({"schema": 1, **self.summary()}, indent=2, default=str)
        # Both files are written before either is renamed: a map never stands beside the summary of another one.
        with atomic(path / "cem.npz") as archive:
            np.savez_compressed(archive, base=self.base, tolerance=self.tolerance, **arrays)
            with atomic(path / "summary.json") as summary:
                summary.write_text(text + "\n", encoding="utf-8")
        if pictures:
            from causaliqa.effects.plot import draw_map, draw_pie
            from causaliqa.utils.figures import save

            for suffix in suffixes:
                save(draw_map(self, bound=bound, title=title), path / f"cem{suffix}")
                save(draw_pie(self), path / f"pie{suffix}")
        return path

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> EffectMap:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the folder holds no map.
        """
        path = Path(folder)
        try:
            with np.load(path / "cem.npz", allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in (*_ARRAYS, *(c for c in _CROPS if c in archive))}
                base, tolerance = float(archive["base"]), float(archive["tolerance"])
            summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
            roi, patch_size = ROI(*map(int, summary["roi"])), int(summary["patch_size"])
            _check(arrays, patch_size, int(summary.get("scale", 1)))
            _check_crops(arrays, roi)
            _check_count(summary.get("inferences", 0))
        except Exception as error:
            # Damaged archives raise whatever the parsers of zipfile, zlib, NumPy and JSON do.
            reason = brief(error, 200, kind=False)
            raise InputError(
                f"{str(path)!r} holds no causal effect map: {reason}; expected cem.npz and summary.json"
            ) from error
        known = {"positive_percent", "negative_percent", "none_percent", "min", "max", "base", "roi", "patch_size"}
        known |= {"significant_positive_percent", "significant_negative_percent", "schema", "tolerance", "counting"}
        known |= {"unit"}
        facts = {key: value for key, value in summary.items() if key not in known}
        return cls(**arrays, base=base, tolerance=tolerance, roi=roi, patch_size=patch_size, facts=facts)


def _check(arrays: dict[str, NDArray[Any]], patch_size: int, scale: int) -> None:
    """Raise if the arrays are not a map of one image.

    Raises:
        ValueError: shapes or types do not fit each other.
    """
    effect, image = arrays["effect"], arrays["image"]
    alike = all(arrays[name].shape == effect.shape for name in ("count", "sem"))
    if effect.ndim != 2 or not effect.size or not alike or arrays["samples"].shape[:-1] != effect.shape:
        raise ValueError(f"effects of shape {effect.shape} beside counts of {arrays['count'].shape}")
    if any(arrays[name].dtype.kind not in "fi" for name in _ARRAYS[:-1]) or np.isinf(effect).any():
        raise ValueError("effects are no numbers")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise ValueError(f"an image of shape {image.shape}, expected 8-bit RGB")
    if patch_size < 1 or scale < 1:
        raise ValueError(f"patches of {patch_size} pixels at scale {scale}")


def _check_crops(arrays: dict[str, NDArray[Any]], roi: ROI) -> None:
    """Raise if a crop is no image of the region.

    Raises:
        ValueError: shape or type is another one.
    """
    for name in (c for c in _CROPS if c in arrays):
        if arrays[name].dtype != np.uint8 or arrays[name].shape != (roi.height, roi.width, 3):
            raise ValueError(f"{name} of shape {arrays[name].shape}, expected 8-bit RGB of the region")


def _check_count(inferences: object) -> None:
    """Raise if the number of inferences is no whole number.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(inferences, int) or isinstance(inferences, bool) or inferences < 0:
        raise ValueError(f"inferences of {str(inferences)[:40]!r}, expected a whole number")


def similarity(effect: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Return the similarity of two maps in percent, ``100 - 100 * ||a - b||_1 / ||b||_1``; higher is closer.

    Source: CEM, section IV-E.

    Example:
        >>> similarity(np.array([1.0, 0.0, np.nan]), np.array([1.0, 1.0, np.nan]))
        50.0
    """
    return float(100 - 100 * np.nansum(np.abs(effect - reference)) / np.nansum(np.abs(reference)))
