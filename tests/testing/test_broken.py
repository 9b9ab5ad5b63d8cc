"""Deliberately broken plugins: every clause of the contract fails, and its message says what to fix."""

import contextlib
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from causaliqa import testing
from causaliqa.api.specs import BackboneSpec, DegradationSpec, MetricSpec, RestorerSpec, SamplerSpec
from causaliqa.builtin.backbones._stages import StagedBackbone, freeze
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.create import default_catalog, use_catalog
from causaliqa.catalog.host import PluginHost
from causaliqa.catalog.registry import load_registry

FACTS = {"summary": "broken on purpose", "licence": "MIT"}


# -- metrics ----------------------------------------------------------------------------------------------------------


def metric(score, **facts):
    class Module(nn.Module):
        def forward(self, img, ref):
            return score(img, ref)

    told = {"name": "broken", "lower_better": True, "identity": 0.0, "differentiable": True, **FACTS, **facts}
    return MetricSpec(factory=Module, **told)


def masked(score):
    class Module(nn.Module):
        def forward(self, img, ref, mask=None):
            return score(img, ref, torch.ones(img.shape[-2:], dtype=torch.bool) if mask is None else mask)

    return replace(metric(mse), factory=Module, masked=True)


def mse(img, ref):
    return (img - ref).square().mean((1, 2, 3))


def nasty_norm(img, ref):
    return mse(img, ref).sqrt()


def in_place(img, ref):
    img += 1e-3
    return mse(img, ref)


BROKEN_METRICS = {
    "output: got () torch.float32": metric(lambda img, ref: (img - ref).square().mean()),
    "output: got int": metric(lambda img, ref: 3),
    "output: got [nan, nan]": metric(lambda img, ref: mse(img, ref) * float("nan")),
    "batch: scores differ": metric(lambda img, ref: mse(img, ref) / mse(img, ref).sum().clamp_min(1e-9)),
    "determinism: two calls": metric(lambda img, ref: mse(img, ref) + torch.rand(len(img))),
    "drawn by NumPy|determinism": metric(lambda img, ref: mse(img, ref) + np.random.rand()),
    "input: an image is changed": metric(in_place),
    "identity: an image against itself": metric(lambda img, ref: mse(img, ref) + 1),
    "direction: the record says lower is better": metric(lambda img, ref: -mse(img, ref)),
    "direction: the record says higher": metric(mse, lower_better=False),
    "check lower_better=True": metric(lambda img, ref: img.mean((1, 2, 3)) * 0, metric_mode="NR"),
    "mask: forward takes none": metric(mse, masked=True),
    "only pixels outside changed": masked(lambda img, ref, mask: mse(img, ref)),
    "do not change with the pixels inside": masked(lambda img, ref, mask: mse(img, ref) * bool(mask.all())),
    "gradients: none reach img": metric(lambda img, ref: mse(img.detach(), ref)),
    "gradients: not finite at an image equal to its reference": metric(nasty_norm),
    "gradients: all zero": metric(lambda img, ref: mse(img, ref).detach() + 0 * img.sum()),
    "name 'no good'": metric(mse, name="no good"),
    "licence is empty": metric(mse, licence=""),
    "trained_on is 'kadid10k', expected a tuple": metric(mse, trained_on="kadid10k"),
    "year is '2024', expected the year": metric(mse, year="2024"),
}


@pytest.mark.parametrize("words", BROKEN_METRICS)
def test_metrics(words):
    with pytest.raises(testing.ContractError) as caught:
        testing.check_metric(BROKEN_METRICS[words])
    assert words.rpartition("|")[2] in str(caught.value)


def random_start(*, seed=0):
    net = nn.Conv2d(3, 1, 3)

    class Module(nn.Module):
        def forward(self, img, ref):
            return (net(img) - net(ref)).square().mean((1, 2, 3))

    return Module()


@pytest.mark.parametrize(("seeded", "words"), [(True, "seed: a second object"), (False, "build: a second object")])
def test_a_metric_with_random_weights(seeded, words):
    with pytest.raises(testing.ContractError, match=words):
        testing.check_metric(replace(metric(mse), factory=random_start, seeded=seeded))


def own_seed(*, seed=42):
    noise = torch.rand((), generator=torch.Generator().manual_seed(seed))
    return metric(lambda img, ref: mse(img, ref) * (1 + noise)).factory()


def test_good_metrics_pass():
    testing.check_metric(replace(metric(mse), factory=own_seed, seeded=True))
    testing.check_metric(metric(mse))
    testing.check_metric(masked(lambda img, ref, mask: mse(img * mask, ref * mask)))
    testing.check_metric(metric(lambda img, ref: (1e-9 + mse(img, ref)).sqrt() - 1e-9**0.5))
    testing.check_metric(metric(lambda img, ref: -mse(img, ref), lower_better=False, differentiable=False))
    edges = metric(lambda img, ref: img.diff(dim=-1).abs().mean((1, 2, 3)), lower_better=False, metric_mode="NR")
    testing.check_metric(edges)


# -- backbones --------------------------------------------------------------------------------------------------------


class Stage(nn.Module):
    def __init__(self, change=lambda x: x, channels=4):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, channels, 3, padding=1)
        self.change = change

    def forward(self, x):
        return self.change(self.conv(x)).relu()


class Strict(nn.Module):
    def forward(self, x):
        if x.shape[-1] % 32:
            raise RuntimeError("width must be a multiple of 32")
        return x


def stages(*modules, channels=(4,), reduction=(1,)):
    return StagedBackbone(modules, channels=channels, reduction=reduction)


def backbone(net, *, frozen=True, **facts):
    told = {"name": "broken", "mass": "share", **FACTS, **facts}
    return BackboneSpec(factory=lambda weights: freeze(net) if frozen else net, **told)


class InPlace(nn.Module):
    def forward(self, x):
        return x.mul_(0.5)


class NotMaps(StagedBackbone):
    def forward(self, x):
        return super().forward(x)[0]


BROKEN_BACKBONES = {
    "record: normalise is 'mine'": backbone(stages(Stage()), normalise="mine"),
    "record: expected mass": backbone(stages(Stage()), window=0),
    "frozen: it is in training mode": backbone(stages(Stage()), frozen=False),
    "maps: feature_info.channels": backbone(Stage()),
    "maps: got Tensor": backbone(NotMaps([Stage()], channels=[4], reduction=[1])),
    "maps: got 1 maps, feature_info lists 2": backbone(stages(Stage(), channels=(4, 8), reduction=(1, 2))),
    "feature_info says 5 channels at stride 1": backbone(stages(Stage(), channels=(5,))),
    "feature_info says 4 channels at stride 2": backbone(stages(Stage(), reduction=(2,))),
    "maps: map 0 is not finite": backbone(stages(Stage(lambda x: x / 0))),
    "size: it refuses 45 x 38": backbone(stages(Strict(), channels=(3,))),
    "input: an image is changed": backbone(stages(InPlace(), channels=(3,))),
    "mass: share needs features": backbone(stages(nn.Conv2d(3, 4, 3, padding=1))),
    "batch: map 0 differs": backbone(stages(Stage(lambda x: x - x.mean((0, 2, 3), keepdim=True)))),
    "determinism: two calls": backbone(stages(Stage(lambda x: x + torch.rand_like(x)))),
    "gradients: none reach": backbone(stages(Stage(lambda x: x.detach()))),
}


@pytest.mark.parametrize("words", BROKEN_BACKBONES)
def test_backbones(words):
    with pytest.raises(testing.ContractError) as caught:
        testing.check_backbone(BROKEN_BACKBONES[words])
    assert words in str(caught.value)


def test_a_good_backbone_passes():
    testing.check_backbone(backbone(stages(Stage())))


# -- restorers --------------------------------------------------------------------------------------------------------


def restorer(function, **facts):
    return RestorerSpec(factory=lambda: function, **{"name": "broken", **FACTS, **facts})


def picky(img):
    if img.shape[-1] % 8:
        raise RuntimeError("width must be a multiple of 8")
    return img


BROKEN_RESTORERS = {
    "record: expected a whole scale": restorer(lambda img: img.clone(), tasks="sr"),
    "output: got tuple": restorer(lambda img: (img,)),
    "output: it is not finite": restorer(lambda img: img / 0),
    "size: got (2, 3, 24, 32) for (2, 3, 24, 32), expected (2, 3, 48, 64)": restorer(lambda img: img.clone(), scale=2),
    "size: it refuses (2, 3, 17, 23): width must be": restorer(picky),
    "expected (2, 3, 24, 32)": restorer(lambda img: img[:1].clone()),
    "range: network returned values from": restorer(lambda img: img * 255),
    "range: network returned values from -": restorer(lambda img: img * 2 - 1),
    "batch: outputs differ": restorer(lambda img: img - img.mean()),
    "determinism: two calls": restorer(lambda img: nn.functional.dropout(img, 0.5)),
    "input: an image is changed": restorer(lambda img: img.mul_(0.5)),
}


@pytest.mark.parametrize("words", BROKEN_RESTORERS)
def test_restorers(words):
    with pytest.raises(testing.ContractError) as caught:
        testing.check_restorer(BROKEN_RESTORERS[words])
    assert words in str(caught.value)


def test_good_restorers_pass():
    testing.check_restorer(restorer(lambda img: img.clone()))
    testing.check_restorer(restorer(nn.Upsample(scale_factor=3), scale=3))


# -- samplers ---------------------------------------------------------------------------------------------------------


def sampler(made, **facts):
    return SamplerSpec(factory=lambda: made, **{"name": "broken", **FACTS, **facts})


class Placed:
    def __init__(self, change):
        self.change = change

    def in_place(self, img, y, x, height, width, *, generator):
        return self.change(img)[:, y : y + height, x : x + width]


class Screened:
    def __init__(self, screening):
        self.screening = screening

    def __call__(self, n, size, generator):
        return torch.rand(n, 3, size, size, generator=generator)


BROKEN_SAMPLERS = {
    "interface: expected sampler(n, size, generator)": sampler(3),
    "output: got (1, 4, 4, 3) torch.float32": sampler(lambda n, s, g: torch.zeros(n, s, s, 3)),
    "output: got (1, 3, 4, 4) torch.uint8": sampler(lambda n, s, g: torch.zeros(n, 3, s, s, dtype=torch.uint8)),
    "range: values from 255 to 255": sampler(lambda n, s, g: torch.full((n, 3, s, s), 255.0)),
    "determinism: one generator state": sampler(lambda n, s, g: torch.rand(n, 3, s, s)),
    "input: an image is changed": sampler(Placed(lambda img: img.mul_(0.5))),
    "range: values from -0": sampler(Placed(lambda img: img - 1)),
    "range: values from 2 to 2": sampler(Screened(lambda n, s, g: torch.full((n, 3, s, s), 2.0))),
}


@pytest.mark.parametrize("words", BROKEN_SAMPLERS)
def test_samplers(words):
    with pytest.raises(testing.ContractError) as caught:
        testing.check_sampler(BROKEN_SAMPLERS[words])
    assert words in str(caught.value)


def test_good_samplers_pass():
    testing.check_sampler(sampler(Screened(None)))
    testing.check_sampler(sampler(Placed(lambda img: 1 - img)))


# -- degradations -----------------------------------------------------------------------------------------------------


class Darker:
    """A good one; the broken ones change a method."""

    scale = 1

    def degrade(self, img, seed):
        return img / 2

    def patch_in_place(self, img, y, x, patch, *, seed, generator):
        return patch / 2


def degradation(**changes):
    facts = {"scale": changes.pop("record_scale", 1)}
    made = type("Broken", (Darker,), changes)()
    return DegradationSpec(name="broken", factory=lambda: made, **FACTS, **facts)


def noisy_patch(self, img, y, x, patch, *, seed, generator):
    return (patch / 2 + torch.rand_like(patch) / 100).clamp(0, 1)


BROKEN_DEGRADATIONS = {
    "scale: the object says 1, the record 2": degradation(record_scale=2),
    "output: got (3, 96, 120) torch.float32, expected floats of shape (3, 48, 60)": degradation(
        scale=2, record_scale=2
    ),
    "range: values from": degradation(degrade=lambda self, img, seed: img * 2),
    "determinism: one seed gives different images": degradation(
        degrade=lambda self, img, seed: img / 2 + torch.rand(()) / 9
    ),
    "determinism: one seed and generator state": degradation(patch_in_place=noisy_patch),
    "input: an image is changed": degradation(degrade=lambda self, img, seed: img.mul_(0.5)),
    "the patch|input: an image is changed": degradation(
        patch_in_place=lambda self, img, y, x, patch, *, seed, generator: patch.mul_(0.5)
    ),
    "seam: the image's own patches": degradation(
        patch_in_place=lambda self, img, y, x, patch, *, seed, generator: patch.clone()
    ),
}


@pytest.mark.parametrize("words", BROKEN_DEGRADATIONS)
def test_degradations(words):
    with pytest.raises(testing.ContractError) as caught:
        testing.check_degradation(BROKEN_DEGRADATIONS[words])
    assert words.rpartition("|")[2] in str(caught.value)


def test_a_good_degradation_passes():
    testing.check_degradation(degradation())


# -- import -----------------------------------------------------------------------------------------------------------

PLUGIN = """
{extra}
import causaliqa

@causaliqa.hookimpl
def causaliqa_samplers():
    return [causaliqa.SamplerSpec(name="worker", factory={factory}, summary="-", licence="MIT")]

def build():
    import torch
    return lambda n, size, generator: torch.zeros(n, 3, size, size)
"""

HEAVY = """
def build():
    import torch
    return lambda n, size, generator: torch.zeros(n, 3, size, size)
"""


def _install(folder, **changes):
    info = folder / "worker-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[causaliqa.plugins]\nworker = worker_plugin\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: worker\nVersion: 1.0\n")
    (folder / "worker_plugin.py").write_text(PLUGIN.format(**{"extra": "", "factory": "build", **changes}))
    (folder / "worker_heavy.py").write_text(HEAVY)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"factory": 'causaliqa.lazy("worker_heavy:build")'}, None),
        ({"extra": "import torch"}, "import: its hooks load torch"),
        (
            {"extra": "import worker_heavy", "factory": 'causaliqa.lazy("worker_heavy:build")'},
            "import: its hooks load worker_heavy; import them inside the factory, or use lazy",
        ),
    ],
)
def test_work_at_import(tmp_path, monkeypatch, changes, words):
    _install(tmp_path, **changes)
    monkeypatch.syspath_prepend(str(tmp_path))
    with _own_catalog():
        if words is None:
            testing.check_sampler("worker")
        else:
            with pytest.raises(testing.ContractError, match=words):
                testing.check_sampler("worker")


@contextlib.contextmanager
def _own_catalog():
    before = default_catalog()
    use_catalog(Catalog(PluginHost(), load_registry()))
    try:
        yield
    finally:
        use_catalog(before)
        for module in ("worker_plugin", "worker_heavy"):
            sys.modules.pop(module, None)
