"""Areas, ranges and correlations against hand-computed values and scipy."""

import numpy as np
import pytest
from scipy import stats

from causaliqa.functional.faithfulness import area, correlation_interval, mean_and_half_width, next_value_range


def test_areas_are_trapezoids():
    curves = np.random.default_rng(0).normal(size=(3, 7))
    np.testing.assert_allclose(area(curves), np.trapezoid(curves, dx=1 / 6, axis=-1))


def test_the_interval_of_a_mean_is_that_of_the_t_test():
    values = np.random.default_rng(0).normal(2.0, 1.0, 9)
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    mean, half = mean_and_half_width(values)
    assert (mean - half, mean + half) == pytest.approx((expected.low, expected.high))
    assert np.isnan(mean_and_half_width([1.0])[1])


def test_one_more_value_lies_in_the_range():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2000, 6))
    inside = [low <= own[5] <= high for own in values for low, high in [next_value_range(own[:5])]]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_the_correlation_is_scipys():
    x, y = np.random.default_rng(2).normal(size=(2, 30))
    expected = stats.pearsonr(x, y)
    ends = expected.confidence_interval()
    assert correlation_interval(x, y) == pytest.approx((expected.statistic, ends.low, ends.high))
    assert np.isnan(correlation_interval(x, np.ones(30))).all()
