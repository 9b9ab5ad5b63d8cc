"""What is sent to a worker, and what the worker makes of it."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from causaliqa.api.errors import InputError
from causaliqa.catalog.create import create_metric
from causaliqa.catalog.workers import WorkerContext, process_cache
from causaliqa.evaluation.job import MetricRecipe, score_unit
from causaliqa.evaluation.scoring import score_dataset
from causaliqa.evaluation.sharding import ScoreUnit
from causaliqa.io.manifest import read_manifest


@pytest.fixture
def context():
    return WorkerContext(folder=str(Path.cwd()), disabled=("*",))


@pytest.fixture
def recipe(context):
    requests = (("psnr", "psnr"), ("short", "ssim:test_y_channel=false"))
    options = {"psnr": {}, "short": {"test_y_channel": False}}
    keys = {label: create_metric(request.partition(":")[0], **options[label]).key for label, request in requests}
    return MetricRecipe(context=context, requests=tuple((*r, keys[r[0]]) for r in requests), device="cpu")


@pytest.fixture
def unit(manifest):
    dataset = read_manifest(manifest)
    return ScoreUnit(dataset=replace(dataset, pairs=dataset.pairs[2:4]), metrics=("short",), places=(2, 3))


def test_a_worker_computes_what_is_asked_for_and_nothing_else(recipe, unit):
    rows = score_unit(*pickle.loads(pickle.dumps((recipe, unit))))
    expected = score_dataset({"short": create_metric("ssim", test_y_channel=False, device="cpu")}, unit.dataset)
    assert [(r.metric, r.dist, r.score) for r in rows] == [(r.metric, r.dist, r.score) for r in expected]
    assert set(process_cache(recipe)["metrics"]) == {"short"}


def test_a_metric_is_built_once_a_run(recipe, unit):
    score_unit(recipe, unit)
    built = process_cache(recipe)["metrics"]["short"]
    score_unit(pickle.loads(pickle.dumps(recipe)), unit)
    assert process_cache(recipe)["metrics"]["short"] is built
    # A checkpoint may have changed between two runs, whatever is asked for.
    assert process_cache(replace(recipe, context=replace(recipe.context, run="next"))) == {}


def test_other_weights_or_versions_on_a_worker_are_refused(recipe, unit):
    label, request, key = recipe.requests[1]
    other = replace(recipe, requests=((label, request, replace(key, weights="ab")),))
    with pytest.raises(InputError, match=r"'short' is another one on a worker.*same weights everywhere"):
        score_unit(other, unit)


def test_relative_paths_mean_what_they_mean_to_the_sender(recipe, unit, manifest, monkeypatch, tmp_path):
    monkeypatch.chdir(manifest.parent)
    dataset = read_manifest(Path(manifest.name))
    part = replace(dataset, pairs=dataset.pairs[2:4])
    sent = replace(recipe, context=WorkerContext(folder=str(manifest.parent), disabled=("*",)))
    monkeypatch.chdir(tmp_path)
    rows = score_unit(sent, replace(unit, dataset=part))
    assert [row.error for row in rows] == ["", ""]
    assert Path.cwd() == tmp_path


def test_a_worker_that_sees_no_images_says_so(recipe, unit, tmp_path):
    pairs = tuple(replace(pair, dist=tmp_path / "far" / "away.png") for pair in unit.dataset.pairs)
    with pytest.raises(InputError, match=r"does not see .*far; expected the same files"):
        score_unit(recipe, replace(unit, dataset=replace(unit.dataset, pairs=pairs)))
    blind = replace(recipe, context=replace(recipe.context, folder=str(tmp_path / "nowhere")))
    with pytest.raises(InputError, match=r"does not see .*nowhere"):
        score_unit(blind, unit)


def test_a_missing_file_costs_its_row_only(recipe, unit):
    unit.dataset.pairs[0].dist.unlink()
    assert [bool(row.error) for row in score_unit(recipe, unit)] == [True, False]
