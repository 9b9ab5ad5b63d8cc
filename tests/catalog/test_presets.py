"""Presets: every metric in them is one that can be asked for."""

import inspect

import pytest

from causaliqa.api.specs import MetricSpec
from causaliqa.builtin.metrics.causal import CHANNELS, TERMS
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.host import PluginHost
from causaliqa.catalog.registry import load_registry
from causaliqa.catalog.request import parse_request

REGISTRY = load_registry()
CATALOG = Catalog(PluginHost(entry_points=list), REGISTRY)
ALL = [(preset.name, request) for preset in REGISTRY.presets.values() for request in preset.metrics]


@pytest.mark.parametrize(("preset", "request_"), ALL)
def test_every_name_resolves_and_takes_its_options(preset, request_):
    name, options = parse_request(request_)
    record = CATALOG.get(MetricSpec, name)
    assert record.builtin
    assert record.spec.metric_mode == "FR"
    if options:
        parameters = inspect.signature(record.spec.factory.resolve()).parameters
        assert set(options) <= set(parameters), preset
        assert options["channels"] in CHANNELS
        assert set(options["terms"].split("+")) <= set(TERMS)


def test_table1_has_the_rows_of_the_paper():
    names = REGISTRY.presets["table1"].metrics
    assert (len(names), len(set(names))) == (17, 17)
    assert [name for name in names if name.startswith("causal_")] == ["causal_vgg", "causal_resnet", "causal_effnet"]
    assert "deepwsd" in names


def test_table2_crosses_backbones_terms_and_channels():
    requests = [parse_request(request) for request in REGISTRY.presets["table2"].metrics]
    cells = {(name, options["terms"], options["channels"]) for name, options in requests}
    assert len(cells) == len(requests) == 3 * 3 * len(CHANNELS)
    assert {name for name, *_ in cells} == {"causal_vgg", "causal_resnet", "causal_effnet"}
    assert {terms for _, terms, _ in cells} == {"ot+md", "md", "l2"}
