"""The 4-parameter logistic function that maps scores to opinion scores, and its fit.

Source: VQEG, "Final report on the validation of objective models of video quality assessment, phase II", 2003.
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

__all__ = ["Fit", "fit_logistic", "logistic4"]

Array = NDArray[np.float64]

_PARAMETERS = 4


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


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A function from quality-oriented scores to quality-oriented labels."""

    kind: Literal["4", "linear"]
    """``4`` for the 4-parameter logistic, ``linear`` where the data were too few to fit one."""
    params: tuple[float, ...]
    """As :func:`logistic4` takes them; slope and offset if linear."""
    converged: bool
    """False if a line replaced the logistic, or the optimiser reached its limit of evaluations."""

    def predict(self, scores: ArrayLike) -> Array:
        """Return the labels predicted for quality-oriented scores, on the scale that was fitted."""
        if self.kind == "linear":
            return np.asarray(self.params[0] * np.asarray(scores, dtype=np.float64) + self.params[1])
        return logistic4(scores, self.params)


def _linear(x: Array, y: Array) -> Fit:
    """Return the least-squares line, flat where a side is constant; it replaces a logistic that cannot be fitted."""
    if len(x) == 0:
        return Fit(kind="linear", params=(0.0, float("nan")), converged=False)
    centred = x - x.mean()
    spread = float(centred @ centred)
    if not 0 < spread < np.inf:
        return Fit(kind="linear", params=(0.0, float(y.mean())), converged=False)
    slope = float(centred @ y) / spread
    return Fit(kind="linear", params=(slope, float(y.mean() - slope * x.mean())), converged=False)


def _project(x: Array, y: Array, centre: float, log_width: float) -> tuple[Array, Array]:
    """Return the best height and offset for one centre and width, and the residuals (variable projection).

    The logistic is linear in height and offset, so only centre and width have to be searched.
    """
    step = special.expit((x - centre) * np.exp(-log_width)) - 0.5
    design = np.stack([step, np.ones_like(x)], axis=1)
    scale = np.linalg.norm(design, axis=0)
    scale[scale == 0] = 1.0
    normal = (design / scale).T @ (design / scale)
    # Normal equations are cheap; rcond keeps a nearly linear step stable.
    coefficients = np.linalg.pinv(normal, rcond=1e-12, hermitian=True) @ ((design / scale).T @ y) / scale
    return coefficients, design @ coefficients - y


def fit_logistic(scores: ArrayLike, labels: ArrayLike) -> Fit:
    """Fit the 4-parameter logistic by least squares, from many starts, and keep the best.

    Deterministic: on standardised scores, a grid of centres (quantiles of the scores) and widths is evaluated, with
    height and offset solved for, and the best three nodes are refined. For nearly linear or exponential data the
    optimum lies at infinity; centre and width are bounded (five ranges outside the scores, 128 deviations), which
    changes the correlation by about 1e-4.

    Args:
        scores: quality-oriented scores ``(n,)``, finite.
        labels: quality-oriented labels ``(n,)``, finite.

    Returns:
        The fit, on the scale of the labels given. It is linear and not ``converged`` if there are not more distinct
        scores than parameters, or if the labels are constant.

    Raises:
        InputError: the lengths differ.

    Example:
        >>> x = np.linspace(-3, 3, 50)
        >>> fit = fit_logistic(x, logistic4(x, (9.0, 1.0, 0.5, 0.7)))
        >>> fit.converged, [round(p, 3) for p in fit.params]
        (True, [9.0, 1.0, 0.5, 0.7])
    """
    raw_x, raw_y = (np.asarray(v, dtype=np.float64).ravel() for v in (scores, labels))
    if len(raw_x) != len(raw_y):
        raise InputError(f"fit: got {len(raw_x)} scores and {len(raw_y)} labels, expected as many of both")
    with np.errstate(all="ignore"):
        return _fit(raw_x, raw_y)


def _fit(raw_x: Array, raw_y: Array) -> Fit:
    if len(np.unique(raw_x)) <= _PARAMETERS or np.ptp(raw_y) == 0:
        return _linear(raw_x, raw_y)
    middle, spread = float(np.median(raw_x)), float(raw_x.std())
    shift, height = float(raw_y.mean()), float(raw_y.std())
    if not (0 < spread < np.inf and 0 < height < np.inf):
        return _linear(raw_x, raw_y)
    x, y = (raw_x - middle) / spread, (raw_y - shift) / height

    # Heavy tails inflate the deviation, so the smallest widths follow the interquartile range.
    bulk = float(np.subtract(*np.quantile(x, [0.75, 0.25]))) or 1.0
    reach = float(np.ptp(x))
    low = np.array([x.min() - 5 * reach, np.log(min(bulk, 1.0) / 128)])
    high = np.array([x.max() + 5 * reach, np.log(128.0)])
    centres = [x.min() - reach, *np.quantile(x, np.linspace(0, 1, 9)), x.max() + reach]
    widths = np.log([*(min(bulk, 1.0) * 2.0 ** np.arange(-4, 3)), 4.0, 16.0])
    nodes = [np.array(node) for node in itertools.product(sorted(set(centres)), widths)]
    costs = [float(np.sum(_project(x, y, *node)[1] ** 2)) for node in nodes]
    search = functools.partial(
        optimize.least_squares,
        lambda node: _project(x, y, *node)[1],
        bounds=(low, high),
        x_scale="jac",
        **dict.fromkeys(("ftol", "xtol", "gtol"), 1e-10),
        max_nfev=200,
    )
    starts = [nodes[i] for i in np.argsort(costs, kind="stable")[:3]]
    best = min((search(np.clip(start, low, high)) for start in starts), key=lambda found: float(found.cost))

    (step, offset), _ = _project(x, y, *best.x)
    centre, width = middle + spread * best.x[0], spread * np.exp(best.x[1])
    base = shift + height * offset
    params = (base + height * step / 2, base - height * step / 2, centre, width)
    fit = Fit(kind="4", params=tuple(map(float, params)), converged=bool(best.status > 0))
    return fit if np.isfinite(fit.predict(raw_x)).all() else _linear(raw_x, raw_y)
