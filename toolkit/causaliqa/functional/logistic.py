"""Logistic functions that map scores to opinion scores, and their fit.

Source: VQEG, "Final report on the validation of objective models of video quality assessment, phase II", 2003 (four
parameters); Sheikh, Sabir and Bovik, IEEE TIP 15(11), 2006 (five parameters).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from causaliqa.api.errors import InputError

__all__ = ["FITS", "Fit", "fit_logistic", "logistic4", "logistic5"]

Array = NDArray[np.float64]

FITS = ("4", "5")
"""Kinds of logistic function that can be asked for: the number of their parameters."""


def logistic4(x: ArrayLike, params: Sequence[float]) -> Array:
    """Return the monotonic logistic of VQEG, ``b2 + (b1 - b2) / (1 + exp(-(x - b3) / |b4|))``.

    Args:
        x: scores.
        params: ``(b1, b2, b3, b4)``: the values at +inf and -inf, the centre and the width; it rises if b1 > b2.

    >>> logistic4([0.0], (1.0, 0.0, 0.0, 2.0))
    array([0.5])
    """
    high, low, centre, width = params
    array = np.asarray(x, dtype=np.float64)
    return np.asarray(low + (high - low) * special.expit((array - centre) / abs(width)))


def logistic5(x: ArrayLike, params: Sequence[float]) -> Array:
    """Return the logistic with a linear term, ``b1 (1/2 - 1 / (1 + exp(b2 (x - b3)))) + b4 x + b5``.

    It need not be monotonic, which flatters the correlation: prefer :func:`logistic4`.

    >>> logistic5([0.0, 1.0], (0.0, 1.0, 0.0, 2.0, 1.0))
    array([1., 3.])
    """
    height, rate, centre, slope, offset = params
    array = np.asarray(x, dtype=np.float64)
    return np.asarray(height * (special.expit(rate * (array - centre)) - 0.5) + slope * array + offset)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A function from quality-oriented scores to quality-oriented labels."""

    kind: Literal["4", "5", "linear"]
    """Number of parameters of the logistic, or ``linear`` where there was too little to fit one."""
    params: tuple[float, ...]
    """As :func:`logistic4` or :func:`logistic5` take them; slope and offset if linear."""
    converged: bool
    """False where the data could not carry the logistic, or the search gave up."""

    def predict(self, scores: ArrayLike) -> Array:
        """Return the labels predicted for quality-oriented scores, on the scale that was fitted."""
        if self.kind == "linear":
            return np.asarray(self.params[0] * np.asarray(scores, dtype=np.float64) + self.params[1])
        return (logistic4 if self.kind == "4" else logistic5)(scores, self.params)


def _linear(x: Array, y: Array) -> Fit:
    """Least-squares line, flat where a side is constant: stands in for a logistic that cannot be fitted."""
    if len(x) == 0:
        return Fit(kind="linear", params=(0.0, float("nan")), converged=False)
    centred = x - x.mean()
    spread = float(centred @ centred)
    if not 0 < spread < np.inf:
        return Fit(kind="linear", params=(0.0, float(y.mean())), converged=False)
    slope = float(centred @ y) / spread
    return Fit(kind="linear", params=(slope, float(y.mean() - slope * x.mean())), converged=False)


def _project(x: Array, y: Array, kind: str, centre: float, log_width: float) -> tuple[Array, Array]:
    """Best linear parameters for one centre and width, and what they leave: (coefficients, residuals).

    Both logistics are linear in all other parameters, which leaves a search in two dimensions.
    """
    step = special.expit((x - centre) * np.exp(-log_width)) - 0.5
    columns = [step, x, np.ones_like(x)] if kind == "5" else [step, np.ones_like(x)]
    design = np.stack(columns, axis=1)
    scale = np.linalg.norm(design, axis=0)
    scale[scale == 0] = 1.0
    normal = (design / scale).T @ (design / scale)
    # The normal equations are cheap; the cut-off keeps a step that looks like a line from blowing up.
    coefficients = np.linalg.pinv(normal, rcond=1e-12, hermitian=True) @ ((design / scale).T @ y) / scale
    return coefficients, design @ coefficients - y


def fit_logistic(scores: ArrayLike, labels: ArrayLike, kind: str = "4") -> Fit:
    """Fit a logistic function by least squares, from many starts, and keep the best.

    The scores are standardised; a grid of centres (at quantiles of the scores) and widths is searched, with all other
    parameters solved for, and the best three nodes are refined. Nothing is random. Where the data bend only one way
    or not at all, the best logistic lies at infinity; centre and width are bounded (five ranges outside the scores, 128
    deviations), which such a fit reaches to about four digits of the correlation.

    Args:
        scores: quality-oriented scores ``(n,)``, finite.
        labels: quality-oriented labels ``(n,)``, finite.
        kind: ``"4"`` or ``"5"`` parameters.

    Returns:
        The fit, on the scale of the labels given. It is linear and not ``converged`` where there are not more
        different scores than parameters or the labels are constant; this never raises.

    Raises:
        InputError: ``kind`` is unknown or the lengths differ.

    Example:
        >>> x = np.linspace(-3, 3, 50)
        >>> fit = fit_logistic(x, logistic4(x, (9.0, 1.0, 0.5, 0.7)))
        >>> fit.converged, [round(p, 3) for p in fit.params]
        (True, [9.0, 1.0, 0.5, 0.7])
    """
    if kind not in FITS:
        raise InputError(f"fit: got {kind!r}, expected {' or '.join(FITS)} (parameters of the logistic function)")
    raw_x, raw_y = (np.asarray(v, dtype=np.float64).ravel() for v in (scores, labels))
    if len(raw_x) != len(raw_y):
        raise InputError(f"fit: got {len(raw_x)} scores and {len(raw_y)} labels, expected as many of both")
    with np.errstate(all="ignore"):
        return _fit(raw_x, raw_y, kind)


def _fit(raw_x: Array, raw_y: Array, kind: str) -> Fit:
    if len(np.unique(raw_x)) <= int(kind) or np.ptp(raw_y) == 0:
        return _linear(raw_x, raw_y)
    middle, spread = float(np.median(raw_x)), float(raw_x.std())
    shift, height = float(raw_y.mean()), float(raw_y.std())
    if not (0 < spread < np.inf and 0 < height < np.inf):
        return _linear(raw_x, raw_y)
    x, y = (raw_x - middle) / spread, (raw_y - shift) / height

    # A heavy tail inflates the deviation: the smallest widths follow the bulk of the scores instead.
    bulk = float(np.subtract(*np.quantile(x, [0.75, 0.25]))) or 1.0
    reach = float(np.ptp(x))
    low = np.array([x.min() - 5 * reach, np.log(min(bulk, 1.0) / 128)])
    high = np.array([x.max() + 5 * reach, np.log(128.0)])
    centres = [x.min() - reach, *np.quantile(x, np.linspace(0, 1, 9)), x.max() + reach]
    widths = np.log([*(min(bulk, 1.0) * 2.0 ** np.arange(-4, 3)), 4.0, 16.0])
    nodes = [np.array(node) for node in itertools.product(sorted(set(centres)), widths)]
    costs = [float(np.sum(_project(x, y, kind, *node)[1] ** 2)) for node in nodes]
    search = functools.partial(
        optimize.least_squares,
        lambda node: _project(x, y, kind, *node)[1],
        bounds=(low, high),
        x_scale="jac",
        **dict.fromkeys(("ftol", "xtol", "gtol"), 1e-10),
        max_nfev=200,
    )
    starts = [nodes[i] for i in np.argsort(costs, kind="stable")[:3]]
    best = min((search(np.clip(start, low, high)) for start in starts), key=lambda found: float(found.cost))

    (step, *line, offset), _ = _project(x, y, kind, *best.x)
    centre, width = middle + spread * best.x[0], spread * np.exp(best.x[1])
    base = shift + height * offset
    params: tuple[float, ...] = (base + height * step / 2, base - height * step / 2, centre, width)
    if kind == "5":
        slope = height * line[0] / spread
        params = (height * step, 1 / width, centre, slope, base - slope * middle)
    fit = Fit(kind="5" if kind == "5" else "4", params=tuple(map(float, params)), converged=bool(best.status > 0))
    return fit if np.isfinite(fit.predict(raw_x)).all() else _linear(raw_x, raw_y)
