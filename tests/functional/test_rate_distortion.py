"""Bjontegaard's deltas: agreement with the package ``bjontegaard``, hand-computed curves, coverage of the intervals."""

from __future__ import annotations

import numpy as np
import pytest

from causaliqa.api.errors import InputError
from causaliqa.functional.interpolations import INTERPOLATIONS
from causaliqa.functional.rate_distortion import Curve, bd, bd_over_contents, hull


def _curve(rng: np.random.Generator, points: int = 5) -> Curve:
    return Curve.of(np.cumsum(rng.uniform(0.2, 2, points)), 28 + np.cumsum(rng.uniform(0.3, 3, points)))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("points", [2, 4, 7])
def test_values_of_a_kept_library(interpolation: str, points: int) -> None:
    theirs = pytest.importorskip("bjontegaard")
    rng = np.random.default_rng(points)
    for _ in range(20):
        anchor, test = _curve(rng, points), _curve(rng, points)
        found = bd(anchor, test, interpolation=interpolation)
        arguments = (anchor.rate, anchor.quality, test.rate, test.quality)
        for value, function in ((found.rate, theirs.bd_rate), (found.quality, theirs.bd_psnr)):
            expected = function(*arguments, method=interpolation, min_overlap=0)
            assert value == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_scaled_rate_and_a_shifted_quality_are_found_exactly(interpolation: str) -> None:
    anchor = Curve.of([1.0, 2.0, 4.5, 9.0], [30.0, 32.0, 35.5, 37.0])
    cheaper = bd(anchor, Curve.of(anchor.rate * 0.8, anchor.quality), interpolation=interpolation)
    assert cheaper.rate == pytest.approx(-20)
    assert cheaper.overlap_quality == pytest.approx(1)
    better = bd(anchor, Curve.of(anchor.rate, anchor.quality + 0.7), interpolation=interpolation)
    assert better.quality == pytest.approx(0.7)
    assert better.overlap_rate == pytest.approx(1)
    assert better.overlap_quality == pytest.approx((7 - 0.7) / (7 + 0.7))


def test_line_by_hand() -> None:
    """log10 rate = quality / 10 and (quality - 1) / 10 + (quality - 10) / 100, both over 10 to 20."""
    quality = np.array([10.0, 12.0, 17.0, 20.0])
    anchor = Curve.of(10 ** (quality / 10), quality)
    test = Curve.of(10 ** ((quality - 1) / 10 + (quality - 10) / 100), quality)
    # Mean of -.1 + (q - 10) / 100 over 10 to 20 is -.05.
    assert bd(anchor, test, interpolation="pchip").rate == pytest.approx(100 * (10**-0.05 - 1), abs=0.05)


def test_curves_that_do_not_overlap_have_no_delta() -> None:
    low, high = Curve.of([1, 2], [20, 25]), Curve.of([1, 2], [30, 35])
    found = bd(low, high)
    assert np.isnan(found.rate)
    assert found.quality == pytest.approx(10)
    over = bd_over_contents([low, low], [high, Curve.of([1, 2], [20, 24])])
    assert (over.contents, over.little_overlap) == (1, 1)


def test_values_between_the_points() -> None:
    curve = Curve.of([1, 10, 100], [30, 33, 36])
    assert 10 ** curve.log_rate_at([33, 34.5, 36, 36.1]) == pytest.approx([10, 10**1.5, 100, np.nan], nan_ok=True)
    assert curve.quality_at([0.9, 1, 10**0.5], "pchip") == pytest.approx([np.nan, 30, 31.5], nan_ok=True)


def test_coverage_of_intervals_over_contents() -> None:
    """Contents whose log rate ratio varies; figures over more runs: ``compare_simulation.csv``."""
    rng = np.random.default_rng(0)
    anchor = Curve.of([1, 2, 4, 8], [30, 33, 36, 39])
    spread, contents, hits = 0.1, 12, 0
    truth = 100 * (0.9 * np.exp(spread**2 / 2) - 1)
    for _ in range(200):
        tests = [Curve.of(anchor.rate * 0.9 * np.exp(spread * rng.normal()), anchor.quality) for _ in range(contents)]
        low, high = bd_over_contents([anchor] * contents, tests).rate_ci
        hits += low <= truth <= high
    assert 0.91 <= hits / 200 <= 0.985  # 93 to 97 %, and three standard errors of 200 runs


def test_hull_by_enumeration() -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        rate, quality = rng.uniform(1, 9, 12), rng.uniform(20, 40, 12)
        x = np.log10(rate)
        ours = hull(rate, quality).tolist()
        for k in range(12):
            beaten = any(x[j] <= x[k] and quality[j] >= quality[k] and j != k for j in range(12)) or any(
                x[i] < x[k] < x[j]
                and quality[i] + (quality[j] - quality[i]) * (x[k] - x[i]) / (x[j] - x[i]) >= quality[k]
                for i in range(12)
                for j in range(12)
            )
            assert (k in ours) != beaten


@pytest.mark.parametrize(
    ("rate", "quality", "words"),
    [
        ([1], [30], "at least two"),
        ([1, 2], [30], "at least two"),
        ([0, 2], [30, 31], "rates above 0"),
        ([1, 2, 3], [30, 33, 32], "from 33 at rate 2 to 32 at 3"),
        ([1, 1], [30, 33], "expected that it rises"),
        ([1, 2], [30, np.nan], "expected numbers"),
    ],
)
def test_bad_curves(rate: list[float], quality: list[float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Curve.of(rate, quality)


def test_bad_settings() -> None:
    curve = Curve.of([1, 2], [30, 31])
    with pytest.raises(InputError, match="akima or pchip"):
        bd(curve, curve, interpolation="cubic")
    with pytest.raises(InputError, match="contents"):
        bd_over_contents([curve], [])
