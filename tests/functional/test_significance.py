"""Bootstrap and paired tests: exactness of the draws, agreement with SciPy, and short simulations of their rates."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import statistics_coverage as benchmark  # the classical tests that the product does not use
from scipy import stats

from causaliqa.api.errors import InputError
from causaliqa.functional._ranks import Sorted, srcc_of_draws
from causaliqa.functional.logistic import fit_logistic
from causaliqa.functional.significance import ClusterBootstrap, holm, tied_with_best
from causaliqa.functional.statistics import plcc, srcc


def _clustered(references: int = 20, images: int = 12, seed: int = 0, decimals: int = 9):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(references), images)
    quality = rng.normal(size=references * images)
    labels = np.round(quality + 0.3 * rng.normal(size=references)[clusters], decimals)
    noise = 0.5 * rng.normal(size=(3, references))[:, clusters] + 0.3 * rng.normal(size=(3, len(quality)))
    return np.round(quality + noise, decimals), labels, clusters


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_ranks_within_a_draw_are_those_of_the_resampled_images(decimals: int) -> None:
    scores, labels, clusters = _clustered(decimals=decimals)
    boot = ClusterBootstrap(scores, labels, clusters, draws=30)
    drawn, _ = srcc_of_draws(Sorted(scores[0], labels, clusters), boot.counts)
    pearson = boot._draws("plcc", 0, np.ones(len(labels), bool))[0]
    for counts, rank, linear in zip(boot.counts, drawn, pearson, strict=True):
        images = np.repeat(np.arange(len(labels)), counts[clusters])
        assert rank == pytest.approx(stats.spearmanr(scores[0][images], labels[images]).statistic, abs=1e-12)
        assert linear == pytest.approx(stats.pearsonr(scores[0][images], labels[images]).statistic, abs=1e-12)


@pytest.mark.parametrize("decimals", [0, 9])
@pytest.mark.parametrize("statistic", ["srcc", "plcc"])
def test_standard_error_agrees_with_the_jackknife(statistic: str, decimals: int) -> None:
    scores, labels, clusters = _clustered(references=80, decimals=decimals)
    value, error = ClusterBootstrap(scores, labels, clusters, draws=2)._draws(statistic, 0, np.ones(len(labels), bool))
    function = {"srcc": srcc, "plcc": plcc}[statistic]
    left_out = np.array([function(scores[0][clusters != c], labels[clusters != c]) for c in range(80)])
    jackknife = np.sqrt(79 / 80 * np.sum((left_out - left_out.mean()) ** 2))
    assert value[0] == pytest.approx(function(scores[0], labels))
    assert error[0] * np.sqrt(80 / 79) == pytest.approx(jackknife, rel=0.04)


def test_every_draw_has_as_many_references() -> None:
    boot = ClusterBootstrap(*_clustered(), draws=50)
    assert set(boot.counts.sum(axis=1)) == {20}
    assert (boot.counts[0] == 1).all()


def test_draws_depend_on_the_seed_only() -> None:
    scores, labels, clusters = _clustered()
    one = ClusterBootstrap(scores, labels, clusters, draws=200, seed=5)
    threads = ClusterBootstrap(scores, labels, clusters, draws=200, seed=5, threads=3)
    alone = ClusterBootstrap(scores[1:2], labels, [f"ref{c:02d}" for c in clusters], draws=200, seed=5)
    other = ClusterBootstrap(scores, labels, clusters, draws=200, seed=6)
    for statistic in ("srcc", "plcc"):
        assert one.interval(1, statistic) == threads.interval(1, statistic) == alone.interval(0, statistic)
        assert one.interval(1, statistic) != other.interval(1, statistic)


def test_order_of_images_does_not_matter() -> None:
    scores, labels, clusters = _clustered()
    order = np.random.default_rng(0).permutation(len(labels))
    a = ClusterBootstrap(scores, labels, clusters, draws=100)
    b = ClusterBootstrap(scores[:, order], labels[order], clusters[order], draws=100)
    assert a.interval(0) == pytest.approx(b.interval(0), abs=1e-12)
    assert a.pvalue(0, 1, "plcc") == pytest.approx(b.pvalue(0, 1, "plcc"), abs=1e-9)


def test_interval_agrees_with_fisher_where_images_are_independent() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=500)
    y = x + rng.normal(size=500)
    low, high = ClusterBootstrap(x, y, np.arange(500)).interval(0, "plcc")
    z = np.arctanh(plcc(x, y))
    assert (low, high) == pytest.approx(np.tanh(z + np.array([-1.96, 1.96]) / np.sqrt(497)), abs=0.015)


def test_clusters_widen_the_interval() -> None:
    scores, labels, clusters = _clustered(references=15, images=30)
    by_reference = ClusterBootstrap(scores[0], labels, clusters, draws=400).interval(0)
    by_image = ClusterBootstrap(scores[0], labels, np.arange(len(labels)), draws=400).interval(0)
    assert np.ptp(by_reference) > 1.5 * np.ptp(by_image)
    assert by_reference[0] < srcc(scores[0], labels) < by_reference[1]


def test_fits_are_used_and_keep_a_wrong_direction_negative() -> None:
    scores, labels, clusters = _clustered()
    bent = np.exp(2 * scores[0])
    right, wrong = (
        ClusterBootstrap(s, labels, clusters, fits=[fit_logistic(s, labels)], draws=100) for s in (bent, -bent)
    )
    raw = ClusterBootstrap(bent, labels, clusters, draws=100)
    assert right.interval(0, "plcc")[0] > raw.interval(0, "plcc")[0]
    assert wrong.interval(0, "plcc")[1] < 0
    low, high = right.interval(0)
    assert wrong.interval(0) == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.parametrize("references", [2, 3, 7])
def test_three_references_give_a_finite_interval_and_two_none(references: int) -> None:
    scores, labels, clusters = _clustered(references=references)
    low, high = ClusterBootstrap(scores[0], labels, clusters, draws=100).interval(0)
    if references < 3:
        assert np.isnan([low, high]).all()
        return
    assert -1 <= low < srcc(scores[0], labels) < high <= 1


def test_hopeless_input_is_nan_and_silent() -> None:
    scores, labels, clusters = _clustered(references=4)
    scores[0] = np.nan
    scores[1] = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        boot = ClusterBootstrap(scores, labels, clusters, draws=50)
        for statistic in ("srcc", "plcc"):
            assert np.isnan([boot.interval(0, statistic), boot.interval(1, statistic)]).all()
            assert np.isnan([boot.pvalue(0, 2, statistic), boot.pvalue(1, 2, statistic)]).all()
        lone = ClusterBootstrap(scores[2], labels, np.zeros(len(labels)), draws=50)
        assert np.isnan(lone.interval(0)).all()


def test_pairs_are_compared_on_the_images_that_both_have() -> None:
    scores, labels, clusters = _clustered()
    spoilt = scores.copy()
    spoilt[0, ::5] = np.nan
    keep = np.isfinite(spoilt[0])
    whole = ClusterBootstrap(spoilt, labels, clusters, draws=200)
    part = ClusterBootstrap(scores[:, keep], labels[keep], clusters[keep], draws=200)
    assert whole.pvalue(0, 1) == pytest.approx(part.pvalue(0, 1), abs=1e-12)
    assert whole.pvalue(1, 2) == ClusterBootstrap(scores, labels, clusters, draws=200).pvalue(1, 2)
    assert whole.interval(0) == pytest.approx(part.interval(0), abs=1e-12)


def test_pvalues() -> None:
    scores, labels, clusters = _clustered()
    table = ClusterBootstrap(np.stack([scores[0], scores[0], labels]), labels, clusters, draws=200).pvalues()
    assert (table == table.T).all()
    assert table[0, 1] == table[0, 0] == 1.0
    assert table[0, 2] < 0.001


def test_bad_usage() -> None:
    scores, labels, clusters = _clustered()
    with pytest.raises(InputError, match=r"expected \(metrics, images\)"):
        ClusterBootstrap(scores[:, 1:], labels, clusters)
    with pytest.raises(InputError, match="1 fits for 3 metrics"):
        ClusterBootstrap(scores, labels, clusters, fits=[fit_logistic(scores[0], labels)])
    with pytest.raises(InputError, match="expected srcc or plcc"):
        ClusterBootstrap(scores, labels, clusters, draws=2).interval(0, "krcc")
    with pytest.raises(InputError, match="at least 2"):
        ClusterBootstrap(scores, labels, clusters, draws=1)


def test_meng_by_hand() -> None:
    # Meng, Rosenthal and Rubin's own example: Z = 1.68, one-tailed p = .046.
    assert benchmark.meng(0.63, -0.03, -0.19, 15) == pytest.approx(0.093, abs=0.001)
    assert benchmark.meng(0.5, 0.5, 0.2, 50) == 1.0
    assert benchmark.meng(0.9, 0.8, 0.7, 60) == benchmark.meng(0.8, 0.9, 0.7, 60)
    assert np.isnan(benchmark.meng(float("nan"), 0.5, 0.5, 50))


def test_pitman_morgan_by_hand() -> None:
    rng = np.random.default_rng(2)
    a = rng.normal(size=40)
    b = 0.8 * a + rng.normal(size=40)
    assert benchmark.pitman_morgan(a, b) == pytest.approx(stats.pearsonr(a + b, a - b).pvalue)
    assert benchmark.pitman_morgan(a, a) == 1.0


def test_residual_test_is_a_t_test_over_references() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 60)) * [[1.0], [1.3]]
    clusters = np.repeat(list("abcdefghij"), 6)
    sums = [np.sum((a**2 - b**2)[clusters == c]) for c in "abcdefghij"]
    assert benchmark.residual_test(a, b, clusters) == pytest.approx(stats.ttest_1samp(sums, 0).pvalue)
    assert np.isnan(benchmark.residual_test(a, b, np.zeros(60)))


def test_f_test_agrees_with_scipy_and_misses_dependent_differences() -> None:
    rng = np.random.default_rng(2)
    a = rng.normal(size=100)
    b = 1.1 * a + 0.05 * rng.normal(size=100)
    ratio = np.var(a, ddof=1) / np.var(b, ddof=1)
    assert benchmark.f_test(a, b) == pytest.approx(2 * stats.f.cdf(ratio, 99, 99))
    assert benchmark.f_test(a, b) > 0.05 > benchmark.pitman_morgan(a, b)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([0.01, np.nan, 0.04]) == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    assert holm([]).shape == (0,)


def test_tied_with_best() -> None:
    p = np.ones((4, 4))
    p[0, 1] = p[1, 0] = 0.02  # times six pairs: tied after all
    p[0, 2] = p[2, 0] = 0.001
    p[0, 3] = p[3, 0] = np.nan
    assert tied_with_best([0.9, 0.8, 0.7, 0.6], p) == (True, True, False, True)
    assert tied_with_best([0.9, np.nan, 0.7, np.nan], p) == (True, False, False, False)
    assert tied_with_best([np.nan] * 4, p) == (False,) * 4
    with pytest.raises(InputError, match="square table"):
        tied_with_best([0.9, 0.8], p)


def test_rates_in_a_short_simulation() -> None:
    """A small version of benchmarks/statistics_coverage.py, with bounds for 40 runs."""
    result = benchmark.simulate(benchmark.SCENARIOS["typical"], references=25, runs=40, draws=200)
    assert 85 <= result["cover srcc"] <= 100
    assert 85 <= result["cover plcc"] <= 100
    for name in ("paired srcc", "paired plcc", "residual test"):
        assert result[f"alarm {name}"] <= 15
    assert result["alarm meng"] > 20


def _draw_with_references(seed: int, references: int = 20):
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(references), 6)
    labels = rng.normal(size=len(clusters))
    scores = (
        labels
        + rng.normal(size=(2, len(clusters))) * 0.7
        + 0.4 * rng.normal(size=(2, references, 1)).repeat(6, axis=2).reshape(2, -1)
    )
    return scores, labels, clusters


def test_the_paired_test_is_the_jackknife_over_references():
    scores, labels, clusters = _draw_with_references(0)
    z = lambda keep: np.diff([np.arctanh(srcc(one[keep], labels[keep])) for one in scores])[0]  # noqa: E731
    left = np.array([z(clusters != c) for c in range(20)])
    error = np.sqrt(19 / 20 * np.sum((left - left.mean()) ** 2))
    expected = 2 * stats.t.sf(abs(z(clusters >= 0)) / error, 19)
    for threads in (1, 2):
        boot = ClusterBootstrap(scores, labels, clusters, draws=30, threads=threads)
        assert boot.pvalue(0, 1) == pytest.approx(expected, rel=1e-9)


def test_references_without_a_common_image_do_not_count():
    scores, labels, clusters = _draw_with_references(1)
    scores[0, clusters == 3] = np.nan
    kept = clusters != 3
    whole = ClusterBootstrap(scores, labels, clusters, draws=30)
    part = ClusterBootstrap(scores[:, kept], labels[kept], clusters[kept], draws=30)
    assert whole.pvalue(0, 1) == pytest.approx(part.pvalue(0, 1), rel=1e-9)


def test_with_more_references_than_draws_the_draws_are_taken():
    scores, labels, _ = _draw_with_references(2, references=60)
    few = ClusterBootstrap(scores, labels, np.arange(360), draws=300, seed=1)
    assert few.pvalue(0, 1) != ClusterBootstrap(scores, labels, np.arange(360), draws=300, seed=2).pvalue(0, 1)
    many = ClusterBootstrap(scores, labels, np.arange(360), draws=400)
    assert few.pvalue(0, 1) == pytest.approx(many.pvalue(0, 1), abs=0.1)
