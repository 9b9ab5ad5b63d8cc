"""Comparisons of means: agreement with SciPy's paired test, hand-computed intervals, and the rate of false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from causaliqa.api.errors import InputError
from causaliqa.functional.means import compare_means, detectable, mean_interval


@pytest.fixture
def quality() -> np.ndarray:
    rng = np.random.default_rng(3)
    return 30 + rng.normal(size=25) * 3 + rng.normal(size=(4, 25)) * 0.5 + np.array([[0.0], [0.1], [-0.4], [-2.0]])


def test_pairs_are_those_of_the_paired_t_test(quality: np.ndarray) -> None:
    found = compare_means(quality, draws=100)
    for a in range(4):
        for b in range(4):
            if a != b:
                expected = stats.ttest_rel(quality[a], quality[b])
                assert found.p[a, b] == pytest.approx(expected.pvalue)
                interval = expected.confidence_interval()
                assert (found.low[a, b], found.high[a, b]) == pytest.approx((interval.low, interval.high))
    assert found.mean == pytest.approx(quality.mean(axis=1))
    assert found.difference == pytest.approx(-found.difference.T)


def test_missing_scores_leave_the_images_that_both_have(quality: np.ndarray) -> None:
    quality[0, :5] = np.nan
    quality[3, 20:] = np.nan
    found = compare_means(quality, draws=100)
    assert found.images[0, 3] == 15
    expected = stats.ttest_rel(quality[0, 5:20], quality[3, 5:20])
    assert (found.p[0, 3], found.difference[0, 3]) == pytest.approx(
        (expected.pvalue, np.mean(quality[0, 5:20] - quality[3, 5:20]))
    )


def test_a_clearly_worse_output_is_not_tied_and_bystanders_change_nothing(quality: np.ndarray) -> None:
    alone = compare_means(quality[:2], draws=500)
    assert compare_means(quality, draws=500).tied() == (*alone.tied(), *compare_means(quality, draws=500).tied()[2:])
    assert not compare_means(quality, draws=500).tied()[3]


def test_equal_outputs_are_all_the_best() -> None:
    found = compare_means(np.tile(np.arange(10.0), (3, 1)), draws=50)
    assert found.tied() == (True, True, True)
    assert (found.low == 0).all()
    assert (found.high == 0).all()


@pytest.mark.parametrize("images", [1, 2, 4])
def test_with_few_images_nothing_is_certain(images: int) -> None:
    found = compare_means(np.array([np.arange(images) + 5.0, np.arange(images) * 1.1]), draws=200)
    assert found.tied() == ((True, True) if images > 2 else (False, False))
    assert np.isnan(found.low[0, 1]) == (images < 3)


def test_an_output_without_scores_is_never_the_best(quality: np.ndarray) -> None:
    quality[1] = np.nan
    found = compare_means(quality, draws=100)
    assert np.isnan(found.mean[1])
    assert not found.tied()[1]
    assert found.tied()[0]


def test_false_alarms_of_five_equal_outputs_are_at_most_five_percent() -> None:
    """Every output is as good as the best; how often one is declared worse. Figures: ``compare_simulation.csv``."""
    rng = np.random.default_rng(0)
    verdicts = [compare_means(rng.normal(size=(5, 20)), draws=200, seed=k).tied() for k in range(60)]
    assert np.mean(np.logical_not(verdicts)) <= 0.08  # 300 verdicts at 5 %, correlated


def test_detectable_difference_is_that_of_published_tables() -> None:
    # Cohen's d = .5 at 80 % power and two-sided .05 needs 34 pairs, d = .8 needs 15, d = .2 needs 199 (G*Power).
    for pairs, effect in ((34, 0.5), (15, 0.8), (199, 0.2)):
        assert detectable(pairs) <= effect < detectable(pairs - 1)
    assert detectable(2) == float("inf")


def test_interval_of_a_mean() -> None:
    values = np.random.default_rng(1).normal(size=12)
    expected = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert mean_interval(values) == pytest.approx(expected)
    assert np.isnan(mean_interval([1.0, 2.0])).all()


@pytest.mark.parametrize(("quality", "draws"), [(np.ones(3), 10), (np.ones((0, 3)), 10), (np.ones((2, 3)), 1)])
def test_bad_input(quality: np.ndarray, draws: int) -> None:
    with pytest.raises(InputError):
        compare_means(quality, draws=draws)
