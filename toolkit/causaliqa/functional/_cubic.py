"""Least squares of a cubic that does not change direction between the smallest and the largest abscissa."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray
from scipy import optimize

__all__ = ["monotonic_cubic"]

Array = NDArray[np.float64]

_GRID = 64
"""Places of an inner turning point that are tried before the best is refined."""


def monotonic_cubic(x: Array, y: Array) -> tuple[tuple[float, float, float, float], Array]:
    """Fit a cubic that rises (not strictly), or falls if that fits better.

    The problem is convex for each direction. At the optimum the slope, a quadratic, either is free, or touches zero at
    one end, at both ends, or at one inner place where it does not change sign; each case is linear least squares, and
    the best that is monotonic wins.

    Args:
        x: ``(n,)``, finite.
        y: ``(n,)``.

    Returns:
        Coefficients of ``1, x, x**2, x**3``, and the fitted values ``(n,)``.
    """
    low, width = float(x.min()), float(np.ptp(x))
    if width == 0:
        return (float(y.mean()), 0.0, 0.0, 0.0), np.full(len(y), y.mean())
    u = (x - low) / width
    # All cases share one small triangular system.
    r = np.asarray(np.linalg.qr(np.column_stack([u**0, u, u**2, u**3, y]), mode="r"))
    best = min((_fit(r, sign) for sign in (1.0, -1.0)), key=lambda found: found[0])[1]
    raw = Polynomial(best)(Polynomial([-low / width, 1 / width])).coef
    padded = np.zeros(4)
    padded[: len(raw)] = raw
    return tuple(padded.tolist()), Polynomial(best)(u)  # type: ignore[return-value]


def _fit(r: Array, sign: float) -> tuple[float, Array]:
    """Squared error and coefficients in the unit interval, for one direction."""

    def solve(basis: Any) -> tuple[float, Array]:
        columns = r[:, :4] @ np.asarray(basis, dtype=np.float64).T
        weights = np.linalg.lstsq(columns, r[:, 4], rcond=None)[0]
        coefficients = np.asarray(weights @ np.asarray(basis), dtype=np.float64)
        return float(np.sum((columns @ weights - r[:, 4]) ** 2)), coefficients

    def inner(place: float) -> Any:
        """Slope ``k (u - place)**2``."""
        return [[1, 0, 0, 0], [0, place**2, -place, 1 / 3]]

    places = np.linspace(0, 1, _GRID + 1)
    nearest = int(np.argmin([solve(inner(place))[0] for place in places]))
    bounds = places[max(nearest - 1, 0)], places[min(nearest + 1, _GRID)]
    place = optimize.minimize_scalar(
        lambda p: solve(inner(p))[0], bounds=bounds, method="bounded", options={"xatol": 1e-12}
    ).x
    cases = [
        np.eye(4),
        [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],  # slope 0 at 0
        [[1, 0, 0, 0], [0, 1, -0.5, 0], [0, 1, 0, -1 / 3]],  # slope 0 at 1
        [[1, 0, 0, 0], [0, 0, 0.5, -1 / 3]],  # slope u (1 - u)
        inner(float(place)),
        [[1, 0, 0, 0]],
    ]
    found = [solve(basis) for basis in cases]
    return min((f for f in found if _one_way(sign * f[1])), key=lambda f: f[0])


def _one_way(coefficients: Array) -> bool:
    """Whether the slope is nowhere below zero in the unit interval, but for rounding."""
    _, a, b, c = coefficients
    places = [0.0, 1.0]
    if c != 0 and 0 < -b / (3 * c) < 1:
        places.append(-b / (3 * c))
    scale = float(np.abs(coefficients[1:]).max())
    return bool(min(a + 2 * b * u + 3 * c * u * u for u in places) >= -1e-9 * scale)
