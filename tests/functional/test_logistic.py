"""The logistic fits: recovered parameters, every awkward kind of data, and no exception."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import optimize

from causaliqa.api.errors import InputError
from causaliqa.functional.logistic import Fit, fit_logistic, logistic4


def _error(fit: Fit, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.sum((fit.predict(x) - y) ** 2))


def test_logistic4_by_hand() -> None:
    # Half way at the centre; 1 / (1 + e^-1) one width above it; the sign of the width does not matter.
    assert logistic4([2.0], (5.0, 1.0, 2.0, 3.0)) == pytest.approx([3.0])
    assert logistic4([5.0], (1.0, 0.0, 2.0, -3.0)) == pytest.approx([1 / (1 + np.exp(-1))])


@pytest.mark.parametrize("params", [(1.0, 0.0, 0.2, 0.3), (0.0, 1.0, 0.2, 0.3), (9.0, 1.0, 40.0, 12.0)])
def test_fit_recovers_exact_parameters(params: tuple[float, ...]) -> None:
    x = params[2] + params[3] * np.linspace(-4, 3, 60)
    fit = fit_logistic(x, logistic4(x, params))
    assert fit.converged
    assert fit.params == pytest.approx(params, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e4, 1e12])
def test_fit_does_not_depend_on_the_scale_of_the_scores(scale: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    y = logistic4(x, (1, 0, 0.3, 0.5)) + 0.1 * rng.normal(size=80)
    plain, scaled = fit_logistic(x, y), fit_logistic(x * scale + 7 * scale, y)
    assert scaled.predict(x * scale + 7 * scale) == pytest.approx(plain.predict(x), abs=1e-4)


@pytest.mark.parametrize("shape", ["linear", "exponential", "tail", "near one", "steep", "falling", "outlier", "ties"])
def test_fit_is_as_good_as_a_brute_search(shape: str) -> None:
    rng = np.random.default_rng(4)
    q, noise = rng.uniform(0, 1, 60), rng.normal(size=60)
    x, y = {
        "linear": (q, q + 0.1 * noise),
        "exponential": (q, np.exp(3 * q) / 20 + 0.05 * noise),
        "tail": (-np.exp(8 * (1 - q) + 0.5 * noise), q),
        "near one": (1 - 1e-4 * (1 - q) * np.exp(0.3 * noise), q),
        "steep": (q, 1 / (1 + np.exp(-(q - 0.3) / 0.03)) + 0.1 * noise),
        "falling": (q, 1 / (1 + np.exp((q - 0.8) / 0.1)) + 0.1 * noise),
        "outlier": (np.r_[q[:-1], 1e3], q + 0.1 * noise),
        "ties": (np.round(q * 6), q + 0.1 * noise),
    }[shape]
    fit = fit_logistic(x, y)
    middle, spread = np.median(x), x.std()
    best = np.inf
    for centre in np.quantile(x, [0.1, 0.5, 0.9]):
        for width in spread * np.array([0.05, 0.3, 1.0, 5.0]):
            start = (1, 0, centre, width)
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                try:
                    params, _ = optimize.curve_fit(lambda v, *p: logistic4(v, p), x, y, p0=start, maxfev=600)
                except RuntimeError:
                    continue
            best = min(best, float(np.sum((logistic4(x, params) - y) ** 2)))
    assert np.isfinite(middle)
    # Two thousandths of the variance: less than 0.001 of a PLCC above 0.7.
    assert _error(fit, x, y) <= best + 2e-3 * y.var() * len(y)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([], []),
        ([1.0], [2.0]),
        ([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]),
        ([1.0] * 20, list(range(20))),
        (list(range(20)), [3.0] * 20),
        ([0.0, 1.0] * 10, list(range(20))),
        ([1e308, -1e308] * 3 + [0.0, 1.0, 2.0, 3.0], list(range(10))),
    ],
)
def test_too_little_to_fit_is_flagged_and_silent(x: list[float], y: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = fit_logistic(x, y)
    assert (fit.kind, fit.converged) == ("linear", False)
    assert len(fit.predict(x)) == len(x)


def test_stand_in_is_the_least_squares_line() -> None:
    fit = fit_logistic([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
    assert fit.params == pytest.approx((2.0, 1.0))
    assert fit.predict([10.0]) == pytest.approx([21.0])


def test_same_data_same_fit() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 50))
    assert fit_logistic(x, y) == fit_logistic(x, y)


def test_bad_usage() -> None:
    with pytest.raises(InputError, match="2 scores and 3 labels"):
        fit_logistic([1, 2], [1, 2, 3])
