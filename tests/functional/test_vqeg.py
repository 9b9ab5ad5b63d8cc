"""VQEG's measures against hand-computed cases, brute force, and the figures of Netflix's vmaf."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from causaliqa.errors import InputError
from causaliqa.functional._cubic import monotonic_cubic
from causaliqa.functional.vqeg import areas, ceiling, confidence_95, errors_p1401, resolving_power


def _panel():  # type: ignore[no-untyped-def]
    """60 images, 15 subjects, two metrics of which the second has ties; the input behind ``VMAF``."""
    rng = np.random.default_rng(7)
    quality = rng.uniform(1, 5, 60)
    raw = quality[:, None] + rng.normal(0, 0.8, (60, 15))
    scores = np.array([quality + rng.normal(0, 0.4, 60), np.round(quality + rng.normal(0, 0.8, 60), 1)])
    return scores, raw


VMAF = {
    "AUC_DS": (0.8576081612586037, 0.7156971684073454),
    "AUC_BW": (0.9928287693284952, 0.9480058583722732),
    "CC_0": (0.9572271386430679, 0.8702064896755162),
    "THR": (1.4463373506637351, 2.3),
    "ResPow, ddof 0": (1.3656504733979886, 2.316815105151825),
    "ResPow, ddof 1": (1.3696994952453632, 2.3200331419736635),
}
"""From ``AucPerfMetric`` and ``ResolvingPowerPerfMetric`` of github.com/Netflix/vmaf, commit f85a853, on ``_panel()``."""


def test_areas_are_those_of_vmaf() -> None:
    scores, raw = _panel()
    found = areas(scores, raw.mean(axis=1), raw.std(axis=1, ddof=1), 15, include_self=True)
    assert found.different_similar == pytest.approx(VMAF["AUC_DS"], abs=1e-9)
    assert found.better_worse == pytest.approx(VMAF["AUC_BW"], abs=1e-9)
    assert found.correct == pytest.approx(VMAF["CC_0"], abs=1e-9)
    assert found.threshold == pytest.approx(VMAF["THR"], abs=1e-9)


@pytest.mark.parametrize("ddof", [0, 1])
def test_resolving_power_is_that_of_vmaf(ddof: int) -> None:
    scores, raw = _panel()
    found = resolving_power(scores, raw.mean(axis=1), raw.std(axis=1, ddof=ddof), 15)
    assert found == pytest.approx(VMAF[f"ResPow, ddof {ddof}"], abs=1e-9)


@pytest.mark.parametrize("metric", [0, 1])
def test_areas_by_counting_pairs(metric: int) -> None:
    scores, raw = _panel()
    x, y, error = scores[metric], raw.mean(axis=1), raw.std(axis=1, ddof=1) / np.sqrt(15)
    far, near, right = [], [], []
    for i in range(60):
        for j in range(i):
            z = (y[i] - y[j]) / np.hypot(error[i], error[j])
            (far if abs(z) > 2 else near).append(abs(x[i] - x[j]))
            if abs(z) > 2:
                right.append((x[i] - x[j]) * np.sign(z))
    found = areas(x, y, error)
    expected = stats.mannwhitneyu(far, near).statistic / len(far) / len(near)
    assert found.different_similar[0] == pytest.approx(expected)
    expected = stats.mannwhitneyu(right, -np.array(right)).statistic / len(right) ** 2
    assert found.better_worse[0] == pytest.approx(expected)
    assert found.correct[0] == np.mean(np.array(right) > 0)
    assert found.threshold[0] == pytest.approx(np.percentile(near, 95))
    assert (found.pairs, found.different) == (1770, len(far))


def test_random_pairs_stand_for_all() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=400)
    x = y + 0.5 * rng.normal(size=400)
    whole, some = areas(x, y, 0.2), areas(x, y, 0.2, most_pairs=20000, seed=1)
    assert some.pairs == 20000
    assert some.better_worse == pytest.approx(whole.better_worse, abs=0.005)
    assert some.different_similar == pytest.approx(whole.different_similar, abs=0.02)
    power = resolving_power(x, y, 0.2, most_pairs=20000)
    assert power == pytest.approx(resolving_power(x, y, 0.2), rel=0.1)
    assert areas(x, y, 0.2, most_pairs=20000, seed=1).correct == some.correct


def test_every_pair_is_drawn_once() -> None:
    from causaliqa.functional.vqeg import _pairs

    whole = set(zip(*_pairs(40, 780, 0), strict=True))
    some = list(zip(*_pairs(40, 779, 0), strict=True))
    assert len(set(some)) == 779
    assert set(some) < whole


def test_a_perfect_and_a_failed_metric() -> None:
    y = np.arange(30.0)
    found = areas([y, -y, y * 0, np.where(y == 3, np.nan, y)], y, 0.5)
    assert found.better_worse == pytest.approx([1, 0, 0.5, np.nan], nan_ok=True)
    assert found.correct == pytest.approx([1, 0, 0, np.nan], nan_ok=True)
    assert np.isnan(resolving_power([y * 0, y - np.nan], y, 0.5)).all()


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
    coefficients, fitted = monotonic_cubic(x, ((x - 1e4) / 1e3) ** 3)
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


@pytest.mark.parametrize("function", [areas, resolving_power])
def test_bad_input(function) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="expected"):
        function(np.ones((2, 3)), np.ones(4), 1.0)
    with pytest.raises(InputError, match="expected"):
        function(np.ones(3), np.ones(3), np.ones(2))
    with pytest.raises(InputError, match="expected one"):
        errors_p1401(np.ones((2, 5)), np.ones(5))
