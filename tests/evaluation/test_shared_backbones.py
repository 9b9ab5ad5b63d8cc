"""Metrics of one run share a network and what it computes; scores are those of metrics that are alone."""

import itertools

import pytest
import torch

from causaliqa.catalog.create import create_metric, default_catalog
from causaliqa.catalog.request import parse_request
from causaliqa.catalog.workers import WorkerContext, build_metric, process_cache
from causaliqa.evaluation.evaluate import evaluate
from causaliqa.evaluation.scoring import score_dataset
from causaliqa.evaluation.sharding import ScoreUnit
from causaliqa.evaluation.worker import MetricRecipe, score_unit
from causaliqa.io.manifest import read_manifest

WIDTHS = (64, 64, 128, 128, *[256] * 3, *[512] * 6)
"""Channels of the convolutions of VGG16."""
ROWS = (
    "causal_vgg:weights=FILE,terms=ot+md",
    "causal_vgg:weights=FILE,terms=md",
    "causal_vgg:weights=FILE,terms=ot+md+l2",
    "deepwsd:weights=FILE",
)
"""Four rows of one backbone."""
MORE = (
    "causal_vgg:weights=FILE,channels=all",
    "causal_vgg:weights=FILE,channels=residual",
    "causal_vgg:weights=FILE,window=4",
    "causal_vgg:weights=FILE,normalise=imagenet",
    "causal_vgg:weights=FILE,resize=false,clamp=false",
    "calibrated_vgg:weights=FILE",
)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """The current folder, with random weights of VGG16 in FILE."""
    features, inside = {}, 3
    generator = torch.Generator().manual_seed(0)
    for place, width in zip((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), WIDTHS, strict=True):
        scale = (2 / (9 * inside)) ** 0.5
        features[f"features.{place}.weight"] = scale * torch.randn(width, inside, 3, 3, generator=generator)
        features[f"features.{place}.bias"] = torch.zeros(width)
        inside = width
    made = tmp_path_factory.mktemp("weights")
    torch.save(features, made / "FILE")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        yield made


def built(requests):
    backbones = {}
    return {r: build_metric(default_catalog(), r, "cpu", 0, backbones) for r in requests}


def backbone(metric):
    return metric.feature_levels.backbone


def scores(metrics, dataset):
    return {(row.metric, row.dist): row.score for row in score_dataset(metrics, dataset, strict=True)}


@pytest.fixture(scope="module")
def alone():
    """Scores of metrics with a network each, of which each sees one pair only."""
    known = {}

    def of(request, pair, dataset):
        if (request, pair.dist.name) not in known:
            name, options = parse_request(request)
            metric = create_metric(name, device="cpu", **options)
            (known[request, pair.dist.name],) = scores({request: metric}, one(dataset, pair)).values()
        return known[request, pair.dist.name]

    return of


def one(dataset, pair):
    return type(dataset)(**{**vars(dataset), "pairs": (pair,)})


def test_four_rows_take_one_pass_an_image(manifest):
    metrics, dataset, passes = built(ROWS), read_manifest(manifest), []
    assert len({id(backbone(metric)) for metric in metrics.values()}) == 1
    backbone(metrics[ROWS[0]]).register_forward_hook(lambda *_: passes.append(1))
    scores(metrics, dataset)
    assert len(passes) == len(dataset.pairs) + len({pair.ref for pair in dataset.pairs})


def test_rows_that_differ_in_terms_share_their_costs(manifest, monkeypatch):
    metrics, dataset, computed = built(ROWS[:3]), read_manifest(manifest), []
    for metric in metrics.values():
        real = metric.module._costs
        monkeypatch.setattr(metric.module, "_costs", lambda *a, real=real, **k: computed.append(1) or real(*a, **k))
    scores(metrics, dataset)
    assert len(computed) == len(dataset.pairs)


@pytest.mark.parametrize("order", [0, 1], ids=["forward", "backward"])
def test_scores_are_those_of_metrics_that_are_alone(manifest, alone, order):
    requests = [*ROWS, *MORE][:: 1 - 2 * order]
    dataset = read_manifest(manifest)
    pairs = (dataset.pairs[0], dataset.pairs[1], dataset.pairs[5])
    dataset = type(dataset)(**{**vars(dataset), "pairs": pairs})
    found = scores(built(requests), dataset)
    for request, pair in itertools.product(requests, pairs):
        assert found[request, dataset.image_name(pair.dist)] == alone(request, pair, dataset), request


def test_workers_share_too(manifest, folder):
    dataset, context = read_manifest(manifest), WorkerContext(folder=str(folder), disabled=("*",))
    metrics = built(ROWS)
    recipe = MetricRecipe(
        context=context, requests=tuple((r, r, metric.key) for r, metric in metrics.items()), device="cpu"
    )
    rows = score_unit(recipe, ScoreUnit(dataset=dataset, metrics=ROWS, places=tuple(range(len(dataset.pairs)))))
    assert len({id(backbone(metric)) for metric in process_cache(recipe)["metrics"].values()}) == 1
    assert {(row.metric, row.dist): row.score for row in rows} == scores(metrics, dataset)


def test_other_weights_are_another_network():
    requests = ("causal_effnet_lite0", "causal_effnet_lite0:pretrained=false", "calibrated_effnet_lite0")
    made = built(requests)
    assert backbone(made[requests[0]]) is backbone(made[requests[2]])
    assert backbone(made[requests[0]]) is not backbone(made[requests[1]])


def test_evaluate_shares_among_names_and_leaves_objects_alone(manifest):
    own = create_metric("causal_effnet_lite0", device="cpu")
    frame = evaluate(["causal_effnet_lite0", "causal_effnet_lite0:terms=md", own], read_manifest(manifest))
    assert frame["error"].eq("").all()
    other = create_metric("causal_effnet_lite0", device="cpu")
    assert backbone(own) is not backbone(other)


def test_a_backbone_that_a_metric_changes_costs_no_wrong_score(manifest):
    """Metrics of a run share tensors; a change in place reaches all of them, and none takes old features."""
    metrics, dataset = built(ROWS[:2]), read_manifest(manifest)
    before = scores(metrics, dataset)
    state = {key: value * 0.5 for key, value in backbone(metrics[ROWS[0]]).state_dict().items()}
    backbone(metrics[ROWS[0]]).load_state_dict(state)
    after = scores(metrics, dataset)
    fresh = built(ROWS[:2])
    backbone(fresh[ROWS[0]]).load_state_dict(state)
    assert after == scores(fresh, dataset)
    assert before != after
