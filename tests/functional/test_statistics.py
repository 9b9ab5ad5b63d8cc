"""Agreement statistics against hand-computed values, SciPy and published figures."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from causaliqa.api.errors import InputError
from causaliqa.functional.statistics import (
    contradicts,
    krcc,
    orient,
    outlier_ratio,
    plcc,
    rmse,
    srcc,
    summarise,
)


def _columns(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]}


def test_correlations_by_hand() -> None:
    # Deviations (-1, 0, 1) and (-1, -1, 2): 3 / sqrt(2 * 6).
    assert plcc([1, 2, 3], [0, 0, 3]) == pytest.approx(3 / np.sqrt(12))
    # Ranks 1 2 3 4 and 2 1 4 3: 1 - 6 * 4 / (4 * 15).
    assert srcc([1, 2, 3, 4], [20, 10, 40, 30]) == pytest.approx(0.6)
    # Ties: ranks 1 2 3 4 and 1.5 1.5 3 4, covariance 4.5 against sqrt(5 * 4.5).
    assert srcc([1, 2, 3, 4], [5, 5, 6, 7]) == pytest.approx(4.5 / np.sqrt(5 * 4.5))
    # Four concordant and two discordant pairs of six.
    assert krcc([1, 2, 3, 4], [20, 10, 40, 30]) == pytest.approx(2 / 6)
    # tau-b: five concordant, one tied in y: 5 / sqrt(6 * 5).
    assert krcc([1, 2, 3, 4], [5, 5, 6, 7]) == pytest.approx(5 / np.sqrt(30))
    assert rmse([1, 2, 3], [1, 2, 6]) == pytest.approx(np.sqrt(3))


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_correlations_agree_with_scipy(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    for n in (3, 10, 200):
        x = np.round(rng.normal(size=n), decimals)
        y = np.round(x + rng.normal(size=n), decimals)
        if np.ptp(x) == 0 or np.ptp(y) == 0:
            continue
        assert plcc(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
        assert srcc(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
        assert krcc(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


@pytest.mark.parametrize("function", [plcc, srcc, krcc])
@pytest.mark.parametrize(("x", "y"), [([], []), ([1], [2]), ([3, 3, 3], [1, 2, 3]), ([1, 2, 3], [3, 3, 3])])
def test_nothing_to_correlate_is_nan_and_silent(function, x, y) -> None:  # type: ignore[no-untyped-def]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(function(x, y))


def test_sign_and_scale() -> None:
    x = np.array([1.0, 3.0, 2.0, 5.0, 4.0])
    y = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    for function in (plcc, srcc, krcc):
        assert function(-x, y) == pytest.approx(-function(x, y))
        assert function(x * 1e200, y * 1e-200) == pytest.approx(function(x, y))


def test_different_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="3 scores and 2 labels"):
        srcc([1, 2, 3], [1, 2])
    with pytest.raises(InputError, match="expected one number an image"):
        plcc([[1, 2]], [[1, 2]])


def test_outlier_ratio_by_hand() -> None:
    # Off by 0, 1, 3, 5; two deviations are 2, 2, 2, 6; the last label has none.
    predicted, labels = [0, 1, 3, 5, 9], [0, 0, 0, 0, 0]
    assert outlier_ratio(predicted, labels, [1, 1, 1, 3, np.nan]) == pytest.approx(0.25)
    assert outlier_ratio(predicted, labels, [1, 1, 1, 3, np.nan], factor=0.5) == pytest.approx(0.75)
    assert np.isnan(outlier_ratio(predicted, labels, [np.nan] * 5))


def test_contradicts_is_exact_for_small_samples() -> None:
    # 2 of 120 permutations of five are as extreme; 2 of 24 of four are not below 5 %.
    assert contradicts(-1.0, 5)
    assert not contradicts(-1.0, 4)
    assert not contradicts(-0.9, 5)  # p = 10/120
    assert contradicts(-0.886, 6) is bool(2 * np.mean(_null(6) <= -0.8857) < 0.05)
    assert not contradicts(float("nan"), 100)
    assert not contradicts(0.9, 100)


def _null(n: int) -> np.ndarray:
    from itertools import permutations

    ranks = np.arange(n)
    return np.array([np.corrcoef(ranks, p)[0, 1] for p in permutations(range(n))])


@pytest.mark.parametrize("n", [9, 30, 500])
def test_contradicts_agrees_with_scipy_for_large_samples(n: int) -> None:
    rng = np.random.default_rng(n)
    for _ in range(40):
        x = rng.normal(size=n)
        y = rng.normal(size=n) - 0.1 * x
        result = stats.spearmanr(x, y)
        assert contradicts(result.statistic, n) == (result.statistic < 0 and result.pvalue < 0.05)


def _scattered(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    quality = rng.uniform(0, 1, n)
    return quality + 0.05 * rng.normal(size=n), 100 * quality


@pytest.mark.parametrize("lower_better", [False, True])
@pytest.mark.parametrize("label_lower_better", [False, True])
def test_declared_directions_give_the_same_summary(lower_better: bool, label_lower_better: bool) -> None:
    x, y = _scattered()
    plain = summarise(x, y, lower_better=False, label_lower_better=False)
    flipped = summarise(
        orient(x, lower_better),
        100 - y if label_lower_better else y,
        lower_better=lower_better,
        label_lower_better=label_lower_better,
    )
    for name in ("plcc", "srcc", "krcc", "plcc_raw", "rmse"):
        assert getattr(flipped, name) == pytest.approx(getattr(plain, name), abs=1e-6)
    assert flipped.direction_ok
    assert plain.plcc > 0.9


def test_a_wrong_direction_stays_negative_after_the_fit() -> None:
    x, y = _scattered()
    wrong = summarise(x, y, lower_better=True, label_lower_better=False)
    assert max(wrong.plcc, wrong.srcc, wrong.krcc, wrong.plcc_raw) < -0.8
    assert not wrong.direction_ok
    assert contradicts(wrong.srcc, wrong.n)


def test_failed_scores_are_counted_and_left_out() -> None:
    x, y = _scattered()
    spoilt = x.copy()
    spoilt[[3, 7]] = np.nan, np.inf
    keep = np.isfinite(spoilt)
    std = np.full(len(x), 2.0)
    whole = summarise(spoilt, y, lower_better=False, label_lower_better=False, label_std=std, label_range=(0, 100))
    part = summarise(
        x[keep], y[keep], lower_better=False, label_lower_better=False, label_std=std[keep], label_range=(0, 100)
    )
    assert (whole.n, whole.n_failed) == (58, 2)
    assert (whole.plcc, whole.rmse, whole.outlier_ratio) == (part.plcc, part.rmse, part.outlier_ratio)


def test_errors_and_curve_are_in_the_unit_of_the_label() -> None:
    x, y = _scattered()
    std = np.full(len(x), 3.0)
    for lower in (False, True):
        label = 100 - y if lower else y
        s = summarise(x, label, lower_better=False, label_lower_better=lower, label_std=std)
        curve = s.predict(x)
        assert s.rmse == pytest.approx(rmse(curve, label))
        assert s.outlier_ratio == pytest.approx(outlier_ratio(curve, label, std))
        assert s.rmse_raw == pytest.approx(rmse(x, label))
        assert abs(plcc(curve, label)) == pytest.approx(s.plcc)


@pytest.mark.parametrize("scores", [[], [np.nan] * 3, [1.0], [2.0] * 9])
def test_hopeless_scores_are_nan_and_silent(scores: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        s = summarise(scores, np.arange(len(scores)), lower_better=False, label_lower_better=False)
    assert np.isnan(s.srcc)
    assert np.isnan(s.plcc)
    assert s.direction_ok
    assert not s.fit.converged


def test_a_label_without_number_is_an_error() -> None:
    with pytest.raises(InputError, match="got nan for image 1"):
        summarise([1, 2], [1, np.nan], lower_better=False, label_lower_better=False)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tid2013", (0.896, 0.874)),
        ("kadid10k", (0.888, 0.888)),
        ("csiq", (0.960, 0.965)),
        ("live", (0.968, 0.962)),
        ("ivc", (0.934, 0.923)),
        ("live_md", (0.930, 0.927)),
    ],
)
def test_published_deepwsd_figures(data: Path, name: str, expected: tuple[float, float]) -> None:
    table = _columns(data / "deepwsd_scores" / f"{name}.csv")
    label = "dmos" if "dmos" in table else "mos"
    s = summarise(
        np.array(table["deepwsd"], float),
        np.array(table[label], float),
        lower_better=True,
        label_lower_better=label == "dmos",
    )
    assert (s.plcc, s.srcc) == pytest.approx(expected, abs=0.002)
    assert s.fit.converged
    assert s.n_failed == 0


@pytest.mark.data
def test_published_tid2013_figures(data: Path) -> None:
    table = _columns(data / "labels" / "tid2013_mos_and_published_metrics.csv")
    mos = np.array(table["mos"], float)
    for name, expected in {
        "psnr": 0.687,
        "psnr_ha": 0.819,
        "psnr_hma": 0.812,
        "psnr_hvs": 0.654,
        "psnr_hvsm": 0.625,
    }.items():
        s = summarise(np.array(table[name], float), mos, lower_better=False, label_lower_better=False)
        assert s.srcc == pytest.approx(expected, abs=0.0005)
