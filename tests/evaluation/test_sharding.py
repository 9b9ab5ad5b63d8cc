"""Scoring by other processes: what is sent, what is written, and in which order it comes out."""

import itertools
from dataclasses import replace

import pytest

from causaliqa.api.data import ScoreKey
from causaliqa.api.errors import CausaliqaError
from causaliqa.evaluation.scoring import score_dataset
from causaliqa.evaluation.sharding import score_elsewhere
from causaliqa.evaluation.store import ScoreStore
from causaliqa.io.manifest import read_manifest


class Offset:
    """A metric that counts what it computes; with a key, as those of the catalogue have."""

    lower_better = True
    metric_mode = "FR"

    def __init__(self, name, fails=()):
        self.name, self.fails, self.calls = name, set(fails), 0
        self.key = ScoreKey(metric=name, version="1", dataset="", img_hash="", ref_hash="", protocol="1")

    def __call__(self, img, ref):
        self.calls += 1
        if self.calls in self.fails:
            raise RuntimeError("out of luck")
        return (img - ref).abs().mean((1, 2, 3)) + len(self.name)


def sender(metrics, order=lambda units: units, seen=None):
    """Answer as workers do, in any order; ``seen`` gets the units."""

    def send(units):
        for unit in order(list(units)):
            if seen is not None:
                seen.append(unit)
            chosen = {name: metrics[name] for name in unit.metrics}
            yield unit, list(score_dataset(chosen, unit.dataset))

    return send


def same(row):
    return replace(row, seconds=0.0)


@pytest.fixture
def dataset(manifest):
    """Two references; their pairs alternate."""
    head, *lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([head, *itertools.chain(*zip(lines[:4], lines[4:], strict=True))]) + "\n")
    return read_manifest(manifest)


@pytest.mark.parametrize("order", [lambda u: u, lambda u: u[::-1]], ids=["forward", "backward"])
@pytest.mark.parametrize("together", [1, 3, 100])
def test_rows_are_those_of_one_process_whatever_the_order_of_answers(dataset, order, together, monkeypatch):
    monkeypatch.setattr("causaliqa.evaluation.sharding._UNIT_SIZE", together)
    metrics = {name: Offset(name) for name in ("a", "bb")}
    seen = []
    rows = list(score_elsewhere(metrics, dataset, sender(metrics, order, seen)))
    assert list(map(same, rows)) == list(map(same, score_dataset(metrics, dataset)))
    assert len(seen) == {1: 8, 3: 4, 100: 2}[together]
    assert all(len({pair.ref for pair in unit.dataset.pairs}) == 1 for unit in seen)
    assert sorted(k for unit in seen for k in unit.places) == list(range(8))


def test_only_what_the_store_lacks_is_sent(dataset, tmp_path):
    metrics = {name: Offset(name) for name in ("a", "bb")}
    first, whole = [], list(score_dataset(metrics, dataset))
    with ScoreStore(tmp_path / "s.sqlite") as store:
        list(itertools.islice(score_dataset({"a": metrics["a"]}, dataset, store=store), 3))
        known = len(store)
        rows = list(score_elsewhere(metrics, dataset, sender(metrics, seen=first), store=store))
        assert list(map(same, rows)) == list(map(same, whole))
        assert sum(len(unit.places) * len(unit.metrics) for unit in first) == 16 - known
        again = []
        assert len(list(score_elsewhere(metrics, dataset, sender(metrics, seen=again), store=store))) == 16
        assert (again, len(store)) == ([], 16)


def test_a_unit_is_written_before_the_next_is_waited_for(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("causaliqa.evaluation.sharding._UNIT_SIZE", 2)
    metrics, counts = {"a": Offset("a")}, []
    with ScoreStore(tmp_path / "s.sqlite") as store:

        def send(units):
            for answer in sender(metrics, lambda u: u[::-1])(units):
                counts.append(len(store))
                yield answer
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(score_elsewhere(metrics, dataset, send, store=store))
        assert counts == [0, 2, 4, 6]
        assert len(store) == 8


def test_failures_and_lost_units_are_rows(dataset, monkeypatch):
    monkeypatch.setattr("causaliqa.evaluation.sharding._UNIT_SIZE", 2)
    metrics = {"a": Offset("a", fails={2})}

    def send(units):
        first, *rest = units
        yield first, CausaliqaError("its worker died")
        yield from sender(metrics)(rest)

    steps = []
    rows = list(score_elsewhere(metrics, dataset, send, progress=steps.append))
    errors = [row.error for row in rows]
    assert errors.count("its worker died") == 2
    assert errors.count("RuntimeError: out of luck") == 1
    assert sum(steps) == len(rows) == 8
    assert all((row.score is None) == bool(row.error) for row in rows)
    with pytest.raises(CausaliqaError, match="its worker died"):
        list(score_elsewhere(metrics, dataset, send, strict=True))


def test_a_score_is_computed_by_one_thread_and_the_number_is_given_back(dataset):
    import torch

    seen = []

    class Watch(Offset):
        def __call__(self, img, ref):
            seen.append(torch.get_num_threads())
            if len(seen) == 2:
                raise RuntimeError
            return super().__call__(img, ref)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        list(score_dataset({"w": Watch("w")}, dataset))
        assert (set(seen), torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(before)
