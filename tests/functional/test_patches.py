"""Orders and sequences that are spread evenly."""

import numpy as np
import pytest

from causaliqa.functional.patches import even_place, spread_order


@pytest.mark.parametrize("count", [1, 2, 7, 64, 1000])
def test_an_order_holds_every_point_once(count):
    points = np.random.default_rng(0).standard_normal((count, 3))
    assert sorted(spread_order(points).tolist()) == list(range(count))


def test_one_dimension_is_sorted():
    points = np.random.default_rng(0).standard_normal((333, 1))
    assert (np.diff(points[spread_order(points), 0]) >= 0).all()


def test_neighbours_in_the_order_are_alike():
    points = np.random.default_rng(0).standard_normal((1024, 3))
    ordered = points[spread_order(points)].reshape(32, 32, 3)
    within = ordered.var(axis=1).mean()
    assert within < 0.25 * points.var(axis=0).mean()


@pytest.mark.parametrize("seed", [0, 1, 2**31, 0xDEADBEEF])
def test_every_beginning_of_the_sequence_is_even(seed):
    for count in (2, 8, 64):
        places = np.array([even_place(k, seed) for k in range(count)])
        assert sorted((places * count).astype(int).tolist()) == list(range(count))


def test_a_random_seed_makes_every_place_uniform():
    seeds = np.random.default_rng(0).integers(0, 2**32, 4000)
    for number in (0, 5):
        places = np.array([even_place(number, int(s)) for s in seeds])
        assert places.mean() == pytest.approx(0.5, abs=0.02)
        assert places.var() == pytest.approx(1 / 12, abs=0.005)


def test_places_within_equal_parts_are_independent():
    within = []
    for seed in range(200):
        places = 16 * np.array([even_place(k, seed) for k in range(16)])
        within.append(places - np.floor(places))
    found = np.corrcoef(np.array(within).T)
    assert np.abs(found - np.eye(16)).max() < 0.3
    assert np.mean(within) == pytest.approx(0.5, abs=0.02)
