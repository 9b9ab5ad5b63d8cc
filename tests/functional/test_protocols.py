"""Protocols against SciPy, reference by reference, and whether false flips are held back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from causaliqa.api.errors import InputError
from causaliqa.functional.best import compare
from causaliqa.functional.protocols import Protocols, flips, over_sets, within_references
from causaliqa.functional.significance import ClusterBootstrap


def _data(references: int = 15, images: int = 12, metrics: int = 3, seed: int = 0):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(references), images)
    labels = np.round(rng.normal(size=len(clusters)), 1)
    noise = rng.normal(size=(metrics, references))[:, clusters] + rng.normal(size=(metrics, len(clusters)))
    return np.round(labels + 0.7 * noise, 1), labels, clusters


def test_within_agrees_with_scipy() -> None:
    scores, labels, clusters = _data()
    order = np.random.default_rng(1).permutation(len(labels))
    found = within_references(scores[:, order], labels[order], np.array([f"ref{c:02d}" for c in clusters[order]]))
    for m, row in enumerate(found):
        for c, value in enumerate(row):
            part = clusters == c
            assert value == pytest.approx(stats.spearmanr(scores[m][part], labels[part]).statistic, abs=1e-12)


def test_rule_for_small_and_constant_references() -> None:
    clusters = np.repeat([0, 1, 2, 3, 4], [3, 4, 4, 4, 5])
    labels = np.concatenate([[1, 2, 3], [1, 2, 3, 4], [2, 2, 2, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5]])
    scores = labels.astype(float)
    scores[clusters == 3] = 7.0
    scores[-2:] = np.nan
    expected = [np.nan, 1.0, np.nan, 0.0, np.nan]
    assert within_references([scores], labels, clusters)[0] == pytest.approx(expected, nan_ok=True)
    assert within_references([scores], labels, clusters, smallest=3)[0] == pytest.approx(
        [1.0, 1.0, np.nan, 0.0, 1.0], nan_ok=True
    )
    board = Protocols([scores], labels, clusters, draws=50)
    assert board.srcc("within") == pytest.approx([0.5])
    assert board.references("within").tolist() == [2]
    assert np.isnan(board.intervals("within")).all()


def test_over_all_is_the_cluster_bootstrap() -> None:
    data = _data()
    board, boot = Protocols(*data, draws=100, seed=4), ClusterBootstrap(*data, draws=100, seed=4)
    assert board.intervals("all").tolist() == [list(boot.interval(m)) for m in range(3)]
    assert board.srcc("all") == pytest.approx([stats.spearmanr(s, data[1]).statistic for s in data[0]])


def test_both_protocols_rest_on_the_same_draws() -> None:
    scores, labels, clusters = _data()
    board = Protocols(scores, labels, clusters, draws=20)
    values, errors = board.drawn("within")
    by_reference = within_references(scores, labels, clusters)
    for counts, value, error in zip(
        ClusterBootstrap(scores, labels, clusters, draws=20).counts, values, errors, strict=True
    ):
        drawn = np.repeat(by_reference, counts, axis=1)
        assert value == pytest.approx(drawn.mean(axis=1))
        assert error == pytest.approx(stats.sem(drawn, axis=1, ddof=0))


def test_interval_within_is_near_students() -> None:
    data = _data(references=60)
    by_reference = within_references(*data)
    expected = [stats.t.interval(0.95, 59, row.mean(), stats.sem(row)) for row in by_reference]
    assert Protocols(*data).intervals("within") == pytest.approx(np.array(expected), abs=0.015)


@pytest.mark.parametrize(("references", "finite"), [(1, False), (2, False), (3, True), (7, True), (8, True)])
@pytest.mark.parametrize("protocol", ["all", "within"])
def test_two_references_get_no_interval(protocol: str, references: int, finite: bool) -> None:
    board = Protocols(*_data(references=references, images=20), draws=100)
    low, high = board.intervals(protocol).T
    assert np.isfinite([low, high]).all() == finite
    assert not finite or ((low < board.srcc(protocol)) & (board.srcc(protocol) < high)).all()


def test_over_sets() -> None:
    sets = [Protocols(*_data(seed=k), draws=200, seed=k) for k in range(3)]
    values = np.array([one.srcc("all") for one in sets])
    found = over_sets(sets)
    assert found.mean == pytest.approx(values.mean(axis=0))
    assert found.worst == pytest.approx(values.min(axis=0))
    assert found.worst_set.tolist() == values.argmin(axis=0).tolist()
    assert found.rank == pytest.approx(stats.rankdata(-values, axis=1).mean(axis=0))
    for value, (low, high) in ((found.mean, found.mean_interval.T), (found.worst, found.worst_interval.T)):
        assert (low < value).all()
        assert (value <= high).all()
    single = np.mean([np.ptp(one.intervals("all"), axis=1) for one in sets], axis=0)
    assert np.ptp(found.mean_interval, axis=1) == pytest.approx(single / np.sqrt(3), rel=0.35)
    assert (found.rank_interval[:, 0] >= 1).all()
    assert (found.rank_interval[:, 1] <= 3).all()


def test_draws_of_sets_with_the_same_seed_are_independent() -> None:
    """Two copies of one set are still two: the interval of their mean is narrower by the root of two."""
    board = Protocols(*_data(references=30), draws=1000)
    found = over_sets([board, board])
    assert found.mean == pytest.approx(board.srcc("all"))
    assert np.ptp(np.arctanh(found.mean_interval), axis=1) == pytest.approx(
        np.ptp(np.arctanh(board.intervals("all")), axis=1) / np.sqrt(2), rel=0.15
    )


def test_draws_are_shared_and_metrics_taken() -> None:
    data = _data()
    board = Protocols(*data, draws=50, seed=4)
    shared = Protocols(*data, boot=ClusterBootstrap(*data, draws=50, seed=4))
    some = board.take([2, 0])
    for protocol in ("all", "within"):
        assert (shared.intervals(protocol) == board.intervals(protocol)).all()
        assert (some.intervals(protocol) == board.intervals(protocol)[[2, 0]]).all()
        assert (some.drawn(protocol)[0] == board.drawn(protocol)[0][:, [2, 0]]).all()
        assert (some.references(protocol) == board.references(protocol)[[2, 0]]).all()
    with pytest.raises(InputError, match="draws of the same ones"):
        Protocols(data[0][:2], *data[1:], boot=ClusterBootstrap(*data, draws=2))


def test_one_set_is_itself_and_a_missing_metric_is_unknown() -> None:
    scores, labels, clusters = _data()
    scores[2] = np.nan
    board = Protocols(scores, labels, clusters, draws=100)
    found = over_sets([board], "within")
    assert found.mean_interval == pytest.approx(board.intervals("within"), nan_ok=True)
    assert found.worst_interval == pytest.approx(board.intervals("within"), nan_ok=True)
    assert np.isnan([found.mean[2], found.worst[2], found.rank[2], found.rank_interval[2, 0]]).all()
    assert found.worst_set.tolist() == [0, 0, -1]


def _kinds(rng, references: int, kinds: list[tuple[float, float]]):  # type: ignore[no-untyped-def]
    """Metrics whose errors go by reference and by image."""
    clusters = np.repeat(np.arange(references), 20)
    labels = rng.normal(size=len(clusters))
    scores = [labels + r * rng.normal(size=references)[clusters] + i * rng.normal(size=len(labels)) for r, i in kinds]
    return scores, labels, clusters


def test_a_real_flip_is_found_with_its_numbers() -> None:
    data = _kinds(np.random.default_rng(0), 25, [(3.0, 0.2), (0.0, 1.5), (3.0, 1.5)])
    over, within = compare(*data), compare(*data, protocol="within")
    first = flips(over, within)[0]
    assert first.metrics == (1, 0)
    assert first.first == (over.srcc[1], over.srcc[0])
    assert first.second == (within.srcc[1], within.srcc[0])
    assert first.first[0] > first.first[1]
    assert first.second[0] < first.second[1]
    assert [flip.metrics[::-1] for flip in flips(within, over)] == [flip.metrics for flip in flips(over, within)]


def test_false_flips_stay_below_their_level() -> None:
    """Metrics that differ over all images and are equal within references: at most 5 % of runs, here of 60."""
    alarms = 0
    for run in range(60):
        data = _kinds(np.random.default_rng([1, run]), 12, [(0.2, 0.8)] * 3 + [(2.0, 0.8)] * 3)
        alarms += bool(flips(*(compare(*data, protocol=p, draws=300, seed=run) for p in ("all", "within"))))
    assert alarms <= stats.binom.ppf(0.999, 60, 0.05)


def test_bad_input() -> None:
    data = _data(references=3)
    with pytest.raises(InputError, match="protocol"):
        Protocols(*data, draws=10).srcc("pooled")
    with pytest.raises(InputError, match="expected"):
        within_references(data[0], data[1][:-1], data[2])
    with pytest.raises(InputError, match="same metrics"):
        over_sets([])
    with pytest.raises(InputError, match="same metrics"):
        flips(compare(*data, draws=10), compare(*data, draws=20))


DATA = {"tid2013": ("mos", 25), "live": ("dmos", 29)}


@pytest.mark.data
@pytest.mark.parametrize("name", DATA)
def test_public_scores_as_scipy_says(data, name: str) -> None:  # type: ignore[no-untyped-def]
    pd = pytest.importorskip("pandas")
    label, references = DATA[name]
    table = pd.read_csv(data / "zsiqa_scores" / f"{name}.csv.gz")
    metrics = list(table.columns[3:])
    labels = table[label].to_numpy() * (-1 if label == "dmos" else 1)
    refs = table["ref"].str.lower().to_numpy()
    board = Protocols(table[metrics].to_numpy().T, labels, refs, draws=2)
    assert len(metrics) == 42
    assert board.references("within").tolist() == [references] * 42
    pooled, within = board.srcc("all"), board.srcc("within")
    for m, metric in enumerate(metrics):
        scores = table[metric].to_numpy()
        assert pooled[m] == pytest.approx(stats.spearmanr(scores, labels).statistic, abs=1e-12)
        parts = [stats.spearmanr(scores[refs == ref], labels[refs == ref]).statistic for ref in np.unique(refs)]
        assert within[m] == pytest.approx(np.mean(parts), abs=1e-12)
    if name == "tid2013":
        figures = {"psnr": 0.687, "fsim": -0.851, "lpips": -0.769}
        assert {m: round(float(pooled[metrics.index(m)]), 3) for m in figures} == figures
