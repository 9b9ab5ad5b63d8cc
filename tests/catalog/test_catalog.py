"""Names to objects: requests, families, near names, options, provenance of failures."""

from dataclasses import replace

import pytest
import torch
from test_host import entry, plugin, spec
from torch import nn

from causaliqa.api.errors import AmbiguousNameError, InputError, PluginError, UnknownNameError, WeightsError
from causaliqa.api.specs import BackboneSpec, DegradationSpec, MetricSpec, RestorerSpec, SamplerSpec
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.host import PluginHost
from causaliqa.catalog.registry import load_registry
from causaliqa.catalog.request import parse_request
from causaliqa.io.weights import WeightsEntry, cache_folder


class Constant(nn.Module):
    def __init__(self, value: float = 1.0) -> None:
        super().__init__()
        self.value = value

    def forward(self, img, ref):
        return torch.full((len(img),), self.value)


def failing():
    raise OSError("no such sensor")


def catalog(*entries):
    lines = []
    return Catalog(PluginHost(entry_points=lambda: list(entries), report=lines.append), load_registry())


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("psnr", "psnr", {}),
        ("causal_vgg:weights=/a/b.pth,terms=ot+md", "causal_vgg", {"weights": "/a/b.pth", "terms": "ot+md"}),
        ("basicsr:EDSR:num_feat=64", "basicsr:EDSR", {"num_feat": 64}),
        ("net.py:factory", "net.py:factory", {}),
        ("m:a=[1, 2],b=true,c=", "m", {"a": [1, 2], "b": True, "c": None}),
        ("m:path=C:/x,y", "m", {"path": "C:/x,y"}),
        ("m:eq=a=b", "m", {"eq": "a=b"}),
    ],
)
def test_requests(text, name, options):
    assert parse_request(text) == (name, options)


@pytest.mark.parametrize("text", ["m:a=1,a=2", ":a=1", "m:a=[1", "m:a={b: 1}", "", "  "])
def test_malformed_requests(text):
    with pytest.raises(InputError):
        parse_request(text)


def test_every_backbone_gives_a_causal_metric():
    names = default_catalog().names(MetricSpec, "causal_*")
    assert names == sorted(f"causal_{b}" for b in default_catalog().names(BackboneSpec))


def test_a_plugins_backbone_gives_a_causal_metric(tiny):
    net, _ = tiny
    made = catalog(
        entry(
            "p",
            plugin(
                BackboneSpec(name="tiny", factory=lambda weights: net, summary="-", licence="MIT", mass="share"),
                hook="causaliqa_backbones",
            ),
        )
    )
    assert made.get(MetricSpec, "causal_tiny").provider == "p 1.0"
    metric = made.create_metric("causal_tiny", device="cpu", seed=3)
    assert metric.seed == 3
    assert metric.name == "causal_tiny"
    x = torch.rand(1, 3, 40, 40)
    assert metric(x, x).item() == 0
    assert made.create_metric("causal", backbone="tiny", device="cpu").name == "causal_tiny"


def test_causal_alone_needs_a_backbone():
    with pytest.raises(InputError, match="backbone=NAME"):
        default_catalog().create_metric("causal", device="cpu")


def test_unknown_names_give_near_ones_and_failed_plugins():
    with pytest.raises(UnknownNameError, match="'causal_vgg'"):
        default_catalog().get(MetricSpec, "causal_vg")
    made = catalog(entry("broken", RuntimeError("boom")))
    with pytest.raises(UnknownNameError, match="failed to load: broken:main"):
        made.get(MetricSpec, "other")


def test_ambiguous_names_refuse_use_only():
    made = catalog(entry("one", plugin(spec("same"))), entry("two", plugin(spec("same"), spec("fine"))))
    assert "fine" in made.names(MetricSpec)
    with pytest.raises(AmbiguousNameError):
        made.create_metric("same", device="cpu")


def test_facts_come_from_the_record():
    made = catalog(entry("p", plugin(spec("const", factory=Constant, lower_better=False))))
    metric = made.create_metric("const", device="cpu", value=2.0)
    assert (metric.lower_better, metric.metric_mode, metric.name) == (False, "FR", "const")
    assert metric(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        ("const", {"nope": 1}, InputError, "unknown option 'nope'; it takes: value"),
        ("fails", {}, PluginError, r"metric 'fails' of p 1\.0 could not be built: OSError: no such sensor"),
    ],
)
def test_failures_name_their_source(name, options, error, words):
    made = catalog(entry("p", plugin(spec("const", factory=Constant), spec("fails", factory=failing))))
    with pytest.raises(error, match=words):
        made.create_metric(name, device="cpu", **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"terms": "x"}, "terms: got 'x'"), ({"colour": 1}, "unknown option 'colour'"), ({"weights": "/no"}, "no file")],
)
def test_bad_options_of_built_ins(options, words):
    with pytest.raises(InputError, match=words):
        default_catalog().create_metric("causal_effnet_lite0", device="cpu", **options)


def test_bad_device():
    with pytest.raises(InputError, match="device"):
        default_catalog().create_metric("psnr", device="warp:9")


def test_registry_backbone_without_code(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("backbones:\n  small:\n    timm: mobilenetv3_small_050\n    licence: Apache-2.0\n")
    made = Catalog(PluginHost(entry_points=list), load_registry(file))
    net = made.create_backbone("small", pretrained=False)
    assert len(net.feature_info.channels()) == len(net(torch.rand(1, 3, 64, 64)))
    x = torch.rand(1, 3, 64, 64)
    assert made.create_metric("causal_small", pretrained=False, device="cpu")(x, x).item() == 0


def test_registry_cannot_take_a_name(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("backbones:\n  vgg:\n    timm: vgg16\n    licence: MIT\n")
    with pytest.raises(InputError, match=r"mine\.yaml: backbones\.vgg: the name is taken"):
        Catalog(PluginHost(entry_points=list), load_registry(file)).names(MetricSpec)


def test_restorers_by_name_part_and_path(tmp_path):
    names = catalog()
    assert names.find_restorer("basicsr:EDSR")[1] == {"arch": "EDSR"}
    record, part = names.find_restorer("some/net.py:factory")
    assert (record.spec.name, part) == ("callable", {"where": "some/net.py:factory"})
    assert names.find_restorer("tiny_edsr_x4")[1] == {}
    with pytest.raises(UnknownNameError, match="stands for many"):
        names.find_restorer("basicsr")
    with pytest.raises(UnknownNameError, match="tiny_edsr_x4"):
        names.find_restorer("tiny_edsr")
    made = names.create_restorer("torch.nn:PixelShuffle", device="cpu", upscale_factor=1)
    assert made(torch.ones(1, 3, 2, 2)).shape == (1, 3, 2, 2)


def test_plugins_bring_restorers_samplers_and_degradations():
    def fact(kind, name):
        return kind(name=name, factory=lambda **options: options, summary="mine", licence="MIT")

    kinds = {"restorers": RestorerSpec, "samplers": SamplerSpec, "degradations": DegradationSpec}
    entries = [
        entry(f"mine-{kind}", plugin(fact(spec, f"my_{kind}"), hook=f"causaliqa_{kind}"))
        for kind, spec in kinds.items()
    ]
    names = catalog(*entries)
    assert names.create(DegradationSpec, "my_degradations", quality=20) == {"quality": 20}
    assert names.create(SamplerSpec, "my_samplers") == {}
    assert names.create_restorer("my_restorers", width=3) == {"width": 3}


def test_usual_checkpoint_of_a_registry_restorer(tmp_path):
    weights = {"net.pth": WeightsEntry(file="net.pth", licence="MIT", source="a shelf")}
    restorer = RestorerSpec(
        name="mine", factory=lambda checkpoint: checkpoint, summary="", licence="MIT", weights="net.pth"
    )
    registry = replace(load_registry(), weights=weights, restorers={"mine": restorer})
    names = Catalog(PluginHost(entry_points=lambda: []), registry)
    with pytest.raises(WeightsError, match="a shelf"):
        names.create_restorer("mine", device="cpu")
    file = cache_folder() / "net.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    assert names.create_restorer("mine", device="cpu") == file
    other = tmp_path / "other.pth"
    assert names.create_restorer("mine", checkpoint=other, device="cpu") == other
    taken = replace(registry, restorers={"tiny_edsr_x4": restorer})
    with pytest.raises(InputError, match="is taken"):
        Catalog(PluginHost(entry_points=lambda: []), taken).registrations(RestorerSpec)


def many(net):
    def describe(part):
        if part == "no.such":
            raise InputError("it has no network 'no.such'")
        if part == "broken":
            raise OSError("out of paper")
        return BackboneSpec(name=part, factory=lambda weights: net, summary=f"net {part}", licence="MIT", mass="share")

    spec = BackboneSpec(name="zoo", factory=dict, summary="any network: zoo.NAME", licence="-", many=describe)
    return catalog(entry("p", plugin(spec, hook="causaliqa_backbones")))


def test_a_record_can_stand_for_many_backbones(tiny):
    made = many(tiny[0])
    assert made.create_backbone("zoo.small.v1").network is tiny[0]
    record = made.get(MetricSpec, "causal_zoo.small.v1")
    assert (record.spec.backbone, record.provider) == ("zoo.small.v1", "p 1.0")
    assert record.spec.licence == "Apache-2.0; weights MIT"
    metric = made.create_metric("causal_zoo.small.v1", device="cpu", terms="md")
    assert (metric.name, metric.backbone_spec.name) == ("causal_zoo.small.v1", "zoo.small.v1")
    assert made.create_metric("causal", backbone="zoo.small.v1", device="cpu").name == "causal_zoo.small.v1"


@pytest.mark.parametrize(
    ("kind", "name", "error", "words"),
    [
        ("backbone", "zoo", UnknownNameError, "'zoo' stands for many networks; expected zoo.NAME"),
        ("metric", "causal_zoo", UnknownNameError, "stands for many networks"),
        ("backbone", "zoo.no.such", InputError, "it has no network 'no.such'"),
        ("metric", "causal_zoo.broken", PluginError, r"backbone 'zoo.broken' of p 1\.0 could not be built: OSError"),
        ("backbone", "zoology.x", UnknownNameError, "unknown backbone"),
        ("metric", "psnr_zoo.small", UnknownNameError, "unknown metric"),
    ],
)
def test_names_of_many_that_do_not_work(tiny, kind, name, error, words):
    made = many(tiny[0])
    create = made.create_backbone if kind == "backbone" else made.create_metric
    with pytest.raises(error, match=words):
        create(name)


def test_records_that_stand_for_many_are_listed_but_not_given_to_pyiqa(tiny):
    made = many(tiny[0])
    assert "causal_zoo" in made.names(MetricSpec)
    assert made.stands_for_many(made.get(MetricSpec, "causal_zoo").spec)
    assert made.stands_for_many(made.registrations(RestorerSpec)["basicsr"].spec)
    assert not made.stands_for_many(made.get(MetricSpec, "causal_vgg").spec)


def test_a_record_can_bring_its_own_weights(tmp_path, tiny):
    file = tmp_path / "own.pth"
    torch.save({"a": torch.zeros(1)}, file)
    seen = []
    spec = BackboneSpec(
        name="own",
        factory=lambda weights: seen.append(weights) or tiny[0],
        summary="-",
        licence="MIT",
        weights=WeightsEntry(file="own.pth", url=file.as_uri(), licence="MIT"),
    )
    made = catalog(entry("p", plugin(spec, hook="causaliqa_backbones")))
    with pytest.raises(WeightsError, match=r"own\.pth was not found"):
        made.create_backbone("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CAUSALIQA_OFFLINE")
        made.create_backbone("own")
    made.create_backbone("own", pretrained=False)
    assert seen == [cache_folder() / "own.pth", None]


def test_a_checkpoint_alone_belongs_to_whom_identifies_it(tmp_path):
    file = tmp_path / "net.PTH"
    file.write_bytes(b"")
    nobody = Catalog(PluginHost(entry_points=list), load_registry())
    with pytest.raises(UnknownNameError, match=r"0 plugins identify such files, expected one; install causaliqa-archs"):
        nobody.find_restorer(str(file))
    spec = RestorerSpec(name="zoo", factory=dict, summary="-", licence="MIT", part="file", suffixes=(".pth",))
    one = catalog(entry("p", plugin(spec, hook="causaliqa_restorers")))
    assert one.find_restorer(str(file)) == (one.registrations(RestorerSpec)["zoo"], {"file": str(file)})
    two = catalog(
        entry("p", plugin(spec, hook="causaliqa_restorers")),
        entry("q", plugin(replace(spec, name="park"), hook="causaliqa_restorers")),
    )
    with pytest.raises(UnknownNameError, match=r"2 plugins identify .*say zoo:.*or park:"):
        two.find_restorer(str(file))


class OnBackbone(Constant):
    def __init__(self, backbone, backbone_spec):
        super().__init__()
        self.backbone = backbone


@pytest.mark.parametrize("shares", [True, False])
def test_a_network_is_shared_by_metrics_that_say_so(shares):
    record = spec("ours", factory=OnBackbone, backbone="*", shares_backbone=shares)
    made, backbones = catalog(entry("iqa-ours", plugin(record))), {}
    first, second, third = (
        made.create_metric(name, device="cpu", backbones=backbones, **options).module.backbone
        for name, options in (
            ("ours_effnet_lite0", {}),
            ("ours", {"backbone": "effnet_lite0"}),
            ("ours_effnet_lite0", {"pretrained": False}),
        )
    )
    assert (first is second) == shares
    assert third is not first
    assert len(backbones) == 2 * shares
    alone = made.create_metric("ours_effnet_lite0", device="cpu").module.backbone
    assert alone is not first
