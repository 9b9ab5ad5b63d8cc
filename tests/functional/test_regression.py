"""Adjusted means: unbiased, better where covariates help, honest about their error."""

import numpy as np
import pytest

from causaliqa.functional.regression import adjusted_mean


def test_without_covariates_it_is_the_mean():
    values = np.array([1.0, 2.0, 6.0, 3.0, 3.0, 0.0, 1.0])
    mean, error = adjusted_mean(values, np.empty((7, 0)))
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(7))


def test_few_or_equal_draws_are_not_fitted():
    x = np.arange(5.0)[:, None]
    assert adjusted_mean(x[:, 0], x)[0] == pytest.approx(2.0)
    assert adjusted_mean(np.full(9, 4.0), np.arange(9.0)[:, None]) == (4.0, 0.0)
    mean, error = adjusted_mean(np.array([3.0]), np.ones((1, 2)))
    assert mean == 3.0
    assert np.isnan(error)


def test_a_linear_response_is_found_whatever_was_drawn():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 2)) + 1  # the draws are off by 1, the population is not
    mean, error = adjusted_mean(5 + x @ [2.0, -3.0], x, ridge=1e-9)
    assert mean == pytest.approx(5, abs=1e-6)
    assert error < 1e-6


@pytest.mark.parametrize("strength", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("n", [12, 24])
def test_coverage_and_gain(strength, n):
    rng = np.random.default_rng(1)
    plain, adjusted, covered = [], [], []
    for _ in range(600):
        x = rng.standard_normal((n, 4))
        y = 1 + strength * x[:, 0] + rng.standard_normal(n)
        mean, error = adjusted_mean(y, x)
        plain.append(y.mean() - 1)
        adjusted.append(mean - 1)
        covered.append(abs(mean - 1) < 2.2 * error)
    assert abs(np.mean(adjusted)) < 4 * np.std(adjusted) / np.sqrt(600)
    assert 0.88 < np.mean(covered) <= 0.995
    ratio = np.var(adjusted) / np.var(plain)
    assert ratio < (1.3 if strength < 4 else 0.4)
