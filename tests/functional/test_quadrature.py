"""Means over a population: exact where they must be, better where the function is smooth, honest about their error."""

import numpy as np
import pytest
from scipy import stats

from causaliqa.functional.quadrature import Population

PLANE = np.random.default_rng(0).standard_normal((400, 2))


def test_a_constant_is_its_own_mean_and_one_value_has_no_error():
    population = Population(PLANE)
    assert population.mean_of(np.full(9, 4.0), PLANE[:9]) == (4.0, 0.0)
    mean, error = population.mean_of(np.array([3.0]), PLANE[:1])
    assert mean == 3.0
    assert np.isnan(error)


def test_it_moves_and_scales_with_the_values():
    population = Population(PLANE)
    values = np.sin(PLANE[:20].sum(axis=1))
    mean, error = population.mean_of(values, PLANE[:20])
    moved, scaled = population.mean_of(5 - 3 * values, PLANE[:20])
    assert moved == pytest.approx(5 - 3 * mean)
    assert scaled == pytest.approx(3 * error)


def test_values_at_one_place_say_nothing_of_the_others():
    population = Population(PLANE)
    values = np.random.default_rng(1).standard_normal(12)
    mean, _ = population.mean_of(values, np.repeat(PLANE[:1], 12, axis=0))
    assert mean == pytest.approx(values.mean())


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("n", [6, 12, 30])
def test_coverage_and_gain(noise, n):
    rng = np.random.default_rng(2)
    population = Population(PLANE)
    surface = np.tanh(2 * PLANE[:, 0]) + PLANE[:, 1] ** 2
    plain, ours, covered = [], [], []
    for _ in range(300):
        drawn = rng.integers(len(PLANE), size=n)
        values = surface[drawn] + noise * rng.standard_normal(n)
        mean, error = population.mean_of(values, PLANE[drawn])
        plain.append(values.mean() - surface.mean())
        ours.append(mean - surface.mean())
        covered.append(abs(ours[-1]) <= stats.t.ppf(0.975, n - 1) * error)
    assert np.mean(covered) > 0.85
    # Squares of errors: a bias counts, too.
    ratio = np.mean(np.square(ours)) / np.mean(np.square(plain))
    assert ratio < (1.2 if noise == 3 else 0.9 if n == 6 else 0.7)
