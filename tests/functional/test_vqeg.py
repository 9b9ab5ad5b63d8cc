"""Areas and resolving power against brute force and the figures of Netflix's vmaf."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from causaliqa.api.errors import InputError
from causaliqa.functional.vqeg import areas, resolving_power


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
"""From ``perf_metric.py`` of github.com/Netflix/vmaf, commit f85a853, on ``_panel()``; the areas with n - 1."""


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


@pytest.mark.parametrize("function", [areas, resolving_power])
def test_bad_input(function) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="expected"):
        function(np.ones((2, 3)), np.ones(4), 1.0)
    with pytest.raises(InputError, match="expected"):
        function(np.ones(3), np.ones(3), np.ones(2))
