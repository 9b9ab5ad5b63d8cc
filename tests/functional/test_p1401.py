"""Errors after the monotonic cubic, confidence intervals and the ceiling: by hand, by optimisation, by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from causaliqa.api.errors import InputError
from causaliqa.functional._cubic import monotonic_cubic
from causaliqa.functional.p1401 import ceiling, confidence_95, errors_p1401


@pytest.mark.parametrize("seed", range(12))
def test_cubic_is_the_best_monotonic_one(seed: int) -> None:
    """Against a quadratic programme with the slope held above zero on a grid."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-1, 1, 30))
    y = rng.normal(size=4) @ np.vander(x, 4).T * 2 + 0.3 * rng.normal(size=30)
    design, grid = np.vander(x, 4, increasing=True), np.linspace(x[0], x[-1], 400)
    slopes = np.stack([grid * 0, grid**0, 2 * grid, 3 * grid**2], axis=1)
    costs = [
        optimize.minimize(
            lambda c: np.sum((design @ c - y) ** 2),
            np.zeros(4),
            jac=lambda c: 2 * design.T @ (design @ c - y),
            constraints={"type": "ineq", "fun": lambda c, s=sign: s * slopes @ c, "jac": lambda c, s=sign: s * slopes},
            method="SLSQP",
            options={"maxiter": 500, "ftol": 1e-14},
        ).fun
        for sign in (1, -1)
    ]
    coefficients, fitted = monotonic_cubic(x, y)
    assert fitted == pytest.approx(design @ coefficients)
    assert np.sum((fitted - y) ** 2) == pytest.approx(min(costs), rel=1e-4)
    steps = np.diff(np.polynomial.Polynomial(coefficients)(grid))
    assert (steps >= -1e-9).all() or (steps <= 1e-9).all()


def test_cubic_on_a_monotonic_cubic_is_exact_whatever_the_scale() -> None:
    x = np.linspace(1e4, 1.1e4, 20)
    _, fitted = monotonic_cubic(x, ((x - 1e4) / 1e3) ** 3)
    assert fitted == pytest.approx(((x - 1e4) / 1e3) ** 3, abs=1e-8)
    assert monotonic_cubic(np.ones(5), np.arange(5.0))[1].tolist() == [2.0] * 5


def test_errors_by_hand() -> None:
    """A cubic bent by residuals that are orthogonal to every cubic: the fit is known."""
    x = np.arange(8.0)
    off = np.linalg.svd(np.vander(x, 4).T)[2][-1]
    found = errors_p1401(x, x**3 + off, interval=0.2)
    assert found.coefficients == pytest.approx([0, 0, 0, 1], abs=1e-8)
    assert found.rmse == pytest.approx(np.sqrt(np.sum(off**2) / 4))
    over = np.maximum(np.abs(off) - 0.2, 0)
    assert found.rmse_star == pytest.approx(np.sqrt(np.sum(over**2) / 4))
    assert found.outlier_ratio == np.mean(np.abs(off) > 0.2)
    unknown = errors_p1401(x, x**3 + off)
    assert np.isnan([unknown.rmse_star, unknown.outlier_ratio]).all()
    assert unknown.rmse == found.rmse
    assert np.isnan(errors_p1401([1, 2, 3, np.nan, 5], [1, 2, 3, 4, 5]).rmse)


def test_confidence_is_students_interval() -> None:
    votes = np.random.default_rng(0).normal(size=12)
    low, high = stats.t.interval(0.95, 11, votes.mean(), stats.sem(votes))
    assert confidence_95(votes.std(ddof=1), 12) == pytest.approx((high - low) / 2)
    assert np.isnan(confidence_95(1.0, [0, 1])).all()


def test_ceiling_is_what_a_perfect_metric_reaches() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=3000)
    deviation = rng.uniform(0.5, 3.0, 3000)
    labels = true + deviation / np.sqrt(9) * rng.normal(size=3000)
    found = ceiling(labels, deviation, 9)
    assert found.plcc == pytest.approx(np.corrcoef(true, labels)[0, 1], abs=0.01)
    assert found.srcc == pytest.approx(stats.spearmanr(true, labels).statistic, abs=0.015)
    assert ceiling(labels, deviation / 3) == found
    assert ceiling(labels, 0.0).plcc == 1.0
    assert ceiling(labels, 100.0).srcc == 0.0
    assert np.isnan(ceiling([1.0, 1.0, 1.0], 1.0).plcc)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="expected one"):
        errors_p1401(np.ones((2, 5)), np.ones(5))
    with pytest.raises(InputError, match="expected"):
        ceiling(np.ones(3), np.ones(2))
