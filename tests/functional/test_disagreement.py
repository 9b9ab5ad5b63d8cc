"""Residuals, pairs of images and the map of metrics against brute force and SciPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance

from causaliqa.api.errors import InputError
from causaliqa.functional.disagreement import gmad_pairs, largest_residuals, metric_map, rank_correlations
from causaliqa.functional.logistic import fit_logistic


def test_residuals_are_those_of_the_fit() -> None:
    rng = np.random.default_rng(0)
    labels = rng.uniform(size=60)
    scores = np.stack([np.exp(labels) + 0.1 * rng.normal(size=60), labels + 0.3 * rng.normal(size=60)])
    scores[1, :56] = np.nan
    fits = [fit_logistic(row[np.isfinite(row)], labels[np.isfinite(row)]) for row in scores]
    found = largest_residuals(scores, labels, count=6)
    off = fits[0].predict(scores[0]) - labels
    order = np.argsort(-np.abs(off))[:6]
    assert found.images[0].tolist() == order.tolist()
    assert found.residuals[0] == pytest.approx(off[order])
    assert sorted(found.images[1].tolist()) == [-1, -1, 56, 57, 58, 59]
    assert np.isnan(found.residuals[1, 4:]).all()
    assert largest_residuals(scores, labels, count=6, fits=fits).images.tolist() == found.images.tolist()


def _brute(x, y, tolerance, used):  # type: ignore[no-untyped-def]
    pairs = [
        (abs(y[i] - y[j]), i, j)
        for i, j in itertools.combinations(range(len(x)), 2)
        if abs(x[i] - x[j]) <= tolerance and not {i, j} & used and np.isfinite(x[i] + x[j] + y[i] + y[j])
    ]
    return max(pairs, default=None)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("tolerance", [0.0, 0.05, 0.3, 10.0])
def test_pairs_are_those_of_brute_force(seed: int, tolerance: float) -> None:
    rng = np.random.default_rng(seed)
    x, y = np.round(rng.normal(size=(2, 50)), 2 if seed % 2 else 9)
    x[3] = np.nan
    used: set[int] = set()
    found = gmad_pairs(x, y, tolerance=tolerance, count=6)
    for pair in found:
        best = _brute(x, y, tolerance, used)
        assert pair.apart == pytest.approx(best[0])
        assert pair.apart == pytest.approx(y[pair.better] - y[pair.worse])
        assert pair.held == pytest.approx(x[pair.better] - x[pair.worse])
        assert abs(pair.held) <= tolerance
        used |= {pair.better, pair.worse}
    assert len(found) == 6 or _brute(x, y, tolerance, used) is None


def test_pairs_of_many_images_need_no_table_of_all() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 200_000))
    pair = gmad_pairs(x, y, tolerance=0.01, count=1)[0]
    assert abs(pair.held) <= 0.01
    assert pair.apart > 7


def test_rank_correlations_are_scipys() -> None:
    rng = np.random.default_rng(0)
    scores = np.round(rng.normal(size=(5, 40)) + rng.normal(size=40), 1)
    assert rank_correlations(scores) == pytest.approx(stats.spearmanr(scores, axis=1).statistic)
    scores[1, :3] = np.nan
    scores[4] = 2.0
    found = rank_correlations(scores)
    assert found[0, 1] == found[1, 0] == pytest.approx(stats.spearmanr(scores[0, 3:], scores[1, 3:]).statistic)
    assert found[1, 1] == 1
    assert np.isnan(found[4]).all()


def test_map_keeps_the_distances_of_the_plane() -> None:
    """Three metrics lie in a plane whatever their correlations."""
    r = np.array([[1.0, 0.8, 0.1], [0.8, 1.0, 0.3], [0.1, 0.3, 1.0]])
    found = metric_map(r)
    assert found.explained == pytest.approx(1)
    assert distance.squareform(distance.pdist(found.coordinates)) == pytest.approx(np.sqrt(2 - 2 * r), abs=1e-9)


def test_map_is_classical_scaling() -> None:
    """Principal components of the standardised ranks have the same distances."""
    scores = np.random.default_rng(1).normal(size=(8, 30))
    ranks = stats.zscore(stats.rankdata(scores, axis=1), axis=1) / np.sqrt(30)
    u, s, _ = np.linalg.svd(ranks - ranks.mean(axis=0), full_matrices=False)
    found = metric_map(rank_correlations(scores))
    assert distance.pdist(found.coordinates) == pytest.approx(distance.pdist((u * s)[:, :2]))
    assert found.explained == pytest.approx(np.sum(s[:2] ** 2) / np.sum(s**2))
    assert (found.coordinates == metric_map(rank_correlations(scores**3)).coordinates).all()


def test_unknown_metrics_have_no_place() -> None:
    found = metric_map([[1, np.nan, 0.5], [np.nan, np.nan, np.nan], [0.5, np.nan, 1]])
    assert np.isnan(found.coordinates).tolist() == [[False, False], [True, True], [False, False]]
    assert np.isnan(metric_map([[np.nan]]).explained)
    assert metric_map([[1.0]]).coordinates.tolist() == [[0.0, 0.0]]


def test_bad_input() -> None:
    with pytest.raises(InputError, match="square"):
        metric_map(np.ones((2, 3)))
    with pytest.raises(InputError, match="tolerance"):
        gmad_pairs([1, 2], [1, 2], tolerance=-1)
    with pytest.raises(InputError, match="expected"):
        largest_residuals(np.ones((2, 3)), np.ones(4))
    with pytest.raises(InputError, match="metrics, images"):
        rank_correlations([1.0, 2.0])
