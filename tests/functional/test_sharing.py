"""Shared means: better than single ones where places respond alike, and silent where there is nothing to learn."""

import numpy as np
import pytest

from causaliqa.functional.sharing import shared_means


def places(count, draws, noise, own_effect, seed=0):
    """Responses to replacing content: what the new does, less what the old did, and something of every place's own."""
    rng = np.random.default_rng(seed)
    population, own = rng.standard_normal((400, 2)), rng.standard_normal((count, 2))
    extra = own_effect * rng.standard_normal(count)

    def does(z):
        return z[:, 0] + 0.5 * z[:, 1] ** 2

    drawn = [population[rng.integers(400, size=draws)] for _ in range(count)]
    values = [
        does(d) - does(own[p : p + 1]) + extra[p] + noise * rng.standard_normal(draws) for p, d in enumerate(drawn)
    ]
    truth = does(population).mean() - does(own) + extra
    return values, drawn, own, population, truth


@pytest.mark.parametrize(("draws", "own_effect", "most"), [(1, 0.0, 0.6), (2, 0.0, 0.6), (2, 0.5, 0.9), (4, 3.0, 1.1)])
def test_what_all_have_in_common_helps_and_what_is_their_own_stays(draws, own_effect, most):
    values, drawn, own, population, truth = places(150, draws, 1.0, own_effect)
    shared = shared_means(values, drawn, own, population)
    quiet = ~np.isnan(shared)
    single = np.array([v.mean() for v in values])
    assert quiet.mean() > 0.9
    assert np.abs(shared - truth)[quiet].mean() < most * np.abs(single - truth)[quiet].mean()


def test_a_loud_place_is_left_alone_and_teaches_nothing():
    values, drawn, own, population, _ = places(100, 2, 0.5, 0.0)
    before = shared_means(values, drawn, own, population)
    values[7] = values[7] + 1000
    after = shared_means(values, drawn, own, population)
    assert np.isnan(after[7])
    rest = np.arange(100) != 7
    np.testing.assert_allclose(after[rest], before[rest], atol=0.3)


def test_too_few_draws_teach_nothing():
    values, drawn, own, population, _ = places(10, 1, 0.5, 0.0)
    assert np.isnan(shared_means(values, drawn, own, population)).all()


def test_places_where_nothing_happens_have_no_effect():
    values, drawn, own, population, _ = places(100, 2, 0.0, 0.0)
    silent = [np.zeros_like(v) for v in values]
    assert (shared_means(silent, drawn, own, population) == 0).all()
