"""Everything built in keeps the contract that plugins are held to."""

import socket

import pytest

from causaliqa import testing
from causaliqa.api.errors import PluginError, WeightsError
from causaliqa.api.specs import BackboneSpec, DegradationSpec, MetricSpec, RestorerSpec, SamplerSpec
from causaliqa.catalog.create import default_catalog

NAMES = default_catalog()
METRICS = NAMES.names(MetricSpec)
OURS = [name for name in METRICS if NAMES.get(MetricSpec, name).provider == "causaliqa"]
FAMILIES = [name for name in OURS if NAMES.get(MetricSpec, name).spec.backbone == "*"]
LARGE = ("deepwsd", *(f"{family}_{net}" for family in FAMILIES for net in ("effnet", "resnet", "vgg")))


def marked(names):
    return [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in names]


@pytest.fixture
def _no_network(monkeypatch):
    """What a metric of pyiqa would download is missed at once, not after a minute."""

    def refuse(*_args, **_options):
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize("name", marked(OURS))
def test_metrics(name):
    options = {"backbone": "effnet_lite0"} if name in FAMILIES else {}
    try:
        testing.check_metric(name, **options)
    except WeightsError:
        testing.check_metric(name, pretrained=False, **options)


@pytest.mark.slow
@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("name", [name for name in METRICS if name not in OURS])
def test_metrics_of_pyiqa(name):
    try:
        testing.check_metric(name)
    except (PluginError, WeightsError) as error:
        pytest.skip(f"weights or packages are not here: {error}")


@pytest.mark.parametrize("name", NAMES.names(BackboneSpec))
def test_backbones(name):
    try:
        testing.check_backbone(name)
    except WeightsError:
        testing.check_backbone(name, pretrained=False)


@pytest.mark.parametrize("name", [*NAMES.names(RestorerSpec), "torch.nn:Identity"])
def test_restorers(name):
    record, part = NAMES.find_restorer(name) if ":" in name else (NAMES.registrations(RestorerSpec)[name], {})
    if record.spec.part and not part:
        pytest.skip("stands for many networks")
    try:
        testing.check_restorer(name)
    except WeightsError as error:
        pytest.skip(f"weights are not here: {error}")


@pytest.mark.parametrize("name", NAMES.names(SamplerSpec))
def test_samplers(name):
    testing.check_sampler(name)


@pytest.mark.parametrize("name", NAMES.names(DegradationSpec))
def test_degradations(name):
    testing.check_degradation(name)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["causal_vgg", "deepwsd"])
def test_trained_vgg(name, vgg_weights):
    testing.check_metric(name, weights=vgg_weights)
