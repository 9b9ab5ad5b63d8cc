"""Where a table comes from."""

import hashlib
import json

import pandas as pd
import pytest
import torch
from torch import nn

from causaliqa.api.data import ScoreKey
from causaliqa.api.errors import WeightsError
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.host import Registration
from causaliqa.report.provenance import (
    MetricFacts,
    Provenance,
    cluster_notes,
    metric_facts,
    plugin_versions,
)

SPEC = MetricSpec(name="m", factory=nn.Identity, summary="m", licence="MIT", lower_better=True, version="4")


def record(provider="my-plugin 1.5"):
    return Registration(spec=SPEC, provider=provider)


def built(**key):
    metric = nn.Linear(2, 1)
    nn.init.constant_(metric.weight, 0.5)
    nn.init.zeros_(metric.bias)
    metric.lower_better = True
    facts = {"metric": "m", "version": "4", "dataset": "", "img_hash": "", "ref_hash": "", "protocol": "1"}
    metric.key = ScoreKey(**{**facts, **key})
    return metric


def test_a_weights_file_is_told_by_its_hash():
    facts = metric_facts("label", built(weights="ab" * 32, options='{"terms":"md"}'), record())
    assert (facts.name, facts.provider, facts.licence, facts.version) == ("label", "my-plugin 1.5", "MIT", "4")
    assert facts.weights == "sha256:" + "ab" * 32
    assert facts.options == '{"terms":"md"}'
    assert facts.lower_better


def test_hidden_weights_are_told_by_what_the_network_holds():
    first, again, other = built(), built(), built()
    with torch.no_grad():
        other.bias += 1e-6
    said = [metric_facts("m", metric, record()).weights for metric in (first, again, other)]
    assert said[0] == said[1] != said[2]
    digest = hashlib.sha256()
    for name, tensor in first.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    assert said[0] == f"parameters sha256:{digest.hexdigest()}"


class Empty(nn.Module):
    """As pyiqa wraps a metric without weights."""

    def __init__(self):
        super().__init__()
        self.dummy_param = nn.Parameter(torch.empty(0))


@pytest.mark.parametrize("metric", [nn.Identity(), object(), Empty()])
def test_a_metric_without_weights_says_so(metric):
    facts = metric_facts("m", metric, record())
    assert facts.weights == ""
    assert "no weights" in facts.line()


def test_a_metric_that_could_not_be_built_says_so():
    facts = metric_facts("m", WeightsError("no file"), record())
    assert (facts.weights, facts.lower_better, facts.licence) == ("not built", True, "MIT")


def test_odd_kinds_of_numbers_have_a_hash():
    net = built()
    net.register_buffer("brain", torch.ones(2, dtype=torch.bfloat16))
    net.register_buffer("count", torch.tensor(3))
    assert metric_facts("m", net, record()).weights.startswith("parameters sha256:")


def test_only_plugins_count_as_plugins():
    records = [record(p) for p in ("causaliqa", "pyiqa", "registry.yaml", "b 2.0", "a 1.0", "b 2.0")]
    assert plugin_versions(records) == {"a": "1.0", "b": "2.0"}


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"dataset": ["a", "b"], "ref": ["r", ""]}, ["b"]),
        ({"dataset": ["a", "b"], "ref": ["r", None]}, ["b"]),
        ({"dataset": ["a", "b"], "ref": ["r", "s"]}, []),
        ({"dataset": ["a", "b"]}, ["a", "b"]),
        ({"dataset": ["a", "b"], "clusters": ["image", "ref"]}, ["a"]),
    ],
)
def test_it_is_said_when_intervals_are_clustered_by_image(frame, expected):
    notes = cluster_notes(pd.DataFrame(frame))
    assert [note.split(":")[0] for note in notes] == expected
    assert all("clustered by image" in note for note in notes)


def test_lines_are_lines_and_json_is_json():
    facts = MetricFacts(name="evil\nname", lower_better=False, provider="x")
    made = Provenance(versions={"torch": "1"}, metrics=(facts,), settings={"a": "b\nc"}, seed=2, notes=("n\n1",))
    assert made.brief() == ["torch 1; seed 2", "n 1"]
    assert all("\n" not in line for line in made.lines())
    assert json.loads(json.dumps(made.as_dict()))["metrics"][0]["provider"] == "x"
