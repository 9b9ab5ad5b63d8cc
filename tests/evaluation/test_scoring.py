"""Scoring: order, failures as rows, references decoded once."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

import causaliqa
from causaliqa.api.errors import CausaliqaError
from causaliqa.evaluation.evaluate import evaluate
from causaliqa.evaluation.scoring import frame_of, score_dataset
from causaliqa.io.manifest import read_manifest


class MeanSquare(nn.Module):
    lower_better = True
    metric_mode = "FR"
    name = "mse"

    def __init__(self, fail_on=()):
        super().__init__()
        self.calls, self.fail_on, self.refs = 0, set(fail_on), []

    def forward(self, img, ref):
        self.calls += 1
        self.refs.append(id(ref))
        if self.calls in self.fail_on:
            raise RuntimeError("out of\nluck")
        return (img - ref).square().mean((1, 2, 3))


def test_rows_come_in_manifest_order_whatever_the_order_of_work(manifest):
    lines = manifest.read_text().splitlines()
    shuffled = [lines[0], *(lines[k] for k in (5, 1, 8, 2, 6, 3, 7, 4))]
    plain = {r.dist: r.score for r in score_dataset({"m": MeanSquare()}, read_manifest(manifest))}
    manifest.write_text("\n".join(shuffled) + "\n")
    dataset = read_manifest(manifest)
    metric = MeanSquare()
    rows = list(score_dataset({"m": metric}, dataset))
    assert [r.dist for r in rows] == [p.dist.name for p in dataset.pairs]
    assert {r.dist: r.score for r in rows} == plain
    assert len(set(metric.refs)) == 2
    assert metric.refs == sorted(metric.refs, key=metric.refs.index)  # reference by reference


def test_a_failure_is_a_row(manifest):
    frame = evaluate([MeanSquare(fail_on={3})], read_manifest(manifest))
    assert len(frame) == 8
    failed = frame[frame["error"] != ""]
    assert failed["error"].tolist() == ["RuntimeError: out of luck"]
    assert failed["score"].isna().all()
    table = causaliqa.rank(frame)
    assert table.loc[0, "n_failed"] == 1
    assert table.loc[0, "n"] == 7


def test_strict_stops_at_the_first_failure(manifest):
    with pytest.raises(CausaliqaError, match=r"mse failed on .*out of"):
        evaluate([MeanSquare(fail_on={3})], read_manifest(manifest), strict=True)


def test_scores_that_are_no_number_are_failures(manifest):
    class Broken(MeanSquare):
        def forward(self, img, ref):
            return torch.full((len(img),), float("nan"))

    frame = evaluate({"broken": Broken()}, read_manifest(manifest))
    assert set(frame["error"]) == {"the score is nan"}


def test_unreadable_and_unequal_images_are_failures(manifest):
    dataset = read_manifest(manifest)
    dataset.pairs[0].dist.write_text("no image")
    from PIL import Image

    Image.new("RGB", (32, 32)).save(dataset.pairs[1].dist)
    frame = evaluate({"m": MeanSquare()}, dataset)
    assert "no image" in frame.loc[0, "error"]
    assert frame.loc[1, "error"].startswith("sizes differ: 32 x 32 and 64 x 64")
    assert (frame["error"] == "").sum() == 6


def test_progress_counts_scores(manifest):
    seen = []
    evaluate({"a": MeanSquare(), "b": MeanSquare()}, read_manifest(manifest), progress=seen.append)
    assert sum(seen) == 16


def test_a_stored_score_is_not_computed_again(manifest, tmp_path):
    from causaliqa.catalog.create import create_metric
    from causaliqa.evaluation.store import ScoreStore

    dataset = read_manifest(manifest)
    metric = create_metric("causal_effnet_lite0", device="cpu")
    with ScoreStore(tmp_path / "scores.sqlite") as store:
        partial = list(itertools.islice(score_dataset({"m": metric}, dataset, store=store), 3))
        assert len(partial) == 3
        metric.forward = None  # whatever was finished must not be asked for again
        again = list(itertools.islice(score_dataset({"m": metric}, dataset, store=store), 3))
        assert again == partial
    fresh = create_metric("causal_effnet_lite0", device="cpu")
    with ScoreStore(tmp_path / "scores.sqlite") as store:
        resumed = evaluate({"m": fresh}, dataset, store=store)
    undisturbed = evaluate({"m": fresh}, dataset)
    assert resumed["score"].tolist() == undisturbed["score"].tolist()


def test_other_options_seed_weights_or_image_are_other_scores(manifest):
    from causaliqa.catalog.create import create_metric

    keys = {
        create_metric("causal_effnet_lite0", device="cpu", **options).key
        for options in ({}, {"seed": 1}, {"terms": "md"}, {"pretrained": False})
    }
    assert len(keys) == 4


def test_a_store_needs_metrics_with_a_key(manifest, tmp_path):
    from causaliqa.evaluation.store import ScoreStore

    with ScoreStore(tmp_path / "s.sqlite") as store, pytest.raises(CausaliqaError, match="has no key"):
        evaluate({"m": MeanSquare()}, read_manifest(manifest), store=store)


def test_rows_know_the_data_set_and_the_metric(manifest):
    dataset = replace(read_manifest(manifest), label_range=(0.0, 5.0))
    dataset = replace(dataset, pairs=tuple(replace(pair, label_std=0.5) for pair in dataset.pairs))
    (row, *_) = score_dataset({"m": MeanSquare()}, dataset)
    assert (row.ref, row.dist) == ("ref0.png", "d0_1.png")
    assert (row.lower_better, row.label_lower_better, row.label_std) == (True, True, 0.5)
    assert (row.label_low, row.label_high) == (0.0, 5.0)
    assert rank_columns(dataset) >= {"or", "clusters"}


def rank_columns(dataset):
    return set(causaliqa.rank(evaluate([MeanSquare()], dataset), draws=10).columns)


def test_a_moved_data_set_finds_its_scores_and_keeps_its_names(manifest, tmp_path, monkeypatch):
    from causaliqa.catalog.create import create_metric
    from causaliqa.evaluation import image_reader
    from causaliqa.evaluation.store import ScoreStore

    metric = create_metric("causal_effnet_lite0", device="cpu")
    with ScoreStore(tmp_path / "s.sqlite") as store:
        before = evaluate({"m": metric}, read_manifest(manifest), store=store)
        moved = read_manifest(manifest.parent.rename(tmp_path / "moved") / manifest.name)
        metric.forward = None  # nothing may be computed again, nor may an image be decoded
        monkeypatch.setattr(image_reader, "load_image", None)
        again = evaluate({"m": metric}, moved, store=store)
        assert len(list(store.rows())) == len(before) == 8
    assert again.equals(before)


def test_a_pair_without_reference_is_a_failure(manifest):
    dataset = read_manifest(manifest)
    bare = replace(dataset, pairs=tuple(replace(pair, ref=None) for pair in dataset.pairs))
    frame = evaluate([MeanSquare()], bare)
    assert set(frame["error"]) == {"no reference is known"}
    assert set(frame["ref"]) == {""}


def test_no_rows_have_columns_too():
    frame = frame_of(())
    assert {"dataset", "metric", "score", "error"} <= set(frame.columns)
    assert len(frame) == 0
