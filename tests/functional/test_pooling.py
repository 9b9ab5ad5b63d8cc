"""Pooling over frames: hand-computed values, both directions, missing scores."""

import math

import numpy as np
import pytest
from scipy import stats

from causaliqa.functional.pooling import pool


def test_by_hand():
    made = pool([10.0, 20.0, 40.0, 20.0], lower_better=False)
    assert (made.frames, made.mean, made.worst, made.worst_frame) == (4, 22.5, 10.0, 0)
    # 4 / (.1 + .05 + .025 + .05)
    assert made.harmonic_mean == pytest.approx(4 / 0.225)
    # Sorted 10, 20, 20, 40; 5 % of three steps is .15 of the first.
    assert made.worst_share == pytest.approx(11.5)


def test_lower_is_better():
    made = pool([0.1, 0.2, 0.5], lower_better=True)
    assert (made.worst, made.worst_frame) == (0.5, 2)
    # Sorted .1, .2, .5; 95 % of two steps is 1.9.
    assert made.worst_share == pytest.approx(0.2 + 0.9 * 0.3)
    assert math.isnan(made.harmonic_mean)


def test_against_scipy_and_turned_around():
    scores = np.random.default_rng(0).uniform(20, 40, 101)
    made, turned = pool(scores, lower_better=False), pool(-scores, lower_better=True)
    assert made.harmonic_mean == pytest.approx(stats.hmean(scores))
    assert made.worst_share == pytest.approx(stats.scoreatpercentile(scores, 5))
    assert turned.worst_share == pytest.approx(-made.worst_share)
    assert turned.worst_frame == made.worst_frame == int(np.argmin(scores))
    assert made.worst <= made.worst_share <= made.harmonic_mean <= made.mean


def test_frames_without_a_score():
    made = pool([np.nan, 30.0, np.nan, 10.0], lower_better=False)
    assert (made.frames, made.mean, made.worst_frame) == (2, 20.0, 3)
    none = pool([np.nan], lower_better=False)
    assert (none.frames, none.worst_frame) == (0, None)
    assert math.isnan(none.mean) and math.isnan(none.worst_share)
    assert math.isnan(pool([0.0, 1.0], lower_better=False).harmonic_mean)
