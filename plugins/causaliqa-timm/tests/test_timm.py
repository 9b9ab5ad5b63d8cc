"""timm's models as backbones: the contract, weights from a file, every kind of input size, every surface."""

import json
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from causaliqa_timm.networks import build, describe
from PIL import Image

import causaliqa
from causaliqa.api.errors import InputError, UnknownNameError, WeightsError
from causaliqa.testing import check_backbone, check_metric


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    monkeypatch.setenv("CAUSALIQA_OFFLINE", "1")
    monkeypatch.delenv("CAUSALIQA_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def weights(tmp_path):
    """A trained file as timm saves it: the whole model, classifier included."""

    def save(model):
        torch.manual_seed(1)
        whole = timm.create_model(model, pretrained=False)
        path = tmp_path / f"{model}.pth"
        torch.save(whole.state_dict(), path)
        return path, whole.eval()

    return save


# Convolutions, a transformer that resamples its positions, Swin, a fixed size in tiles, an odd patch size.
KINDS = (
    "resnet10t",
    "test_vit",
    "test_convnext",
    "swin_s3_tiny_224",
    "levit_128s",
    "eva02_tiny_patch14_224",
    "hrnet_w18_small",
)


@pytest.mark.parametrize("model", KINDS)
def test_contract_of_backbones(model):
    check_backbone(f"timm.{model}", pretrained=False)


@pytest.mark.parametrize("model", ["test_resnet", "test_vit"])
def test_contract_of_metrics(model, weights):
    check_metric(f"causal_timm.{model}", weights=weights(model)[0])


def test_weights_reach_the_network(weights):
    path, whole = weights("resnet10t")
    net = build("resnet10t", weights=path)
    x = torch.rand(1, 3, 64, 64)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (whole.default_cfg["mean"], whole.default_cfg["std"]))
    with torch.no_grad():
        expected = whole.forward_features((x - mean) / std)
        assert torch.allclose(net(x)[-1], expected, atol=1e-5)
        assert not torch.allclose(build("resnet10t", weights=None)(x)[-1], expected, atol=1e-5)


def test_weights_of_another_model_are_refused(weights):
    path, _ = weights("test_resnet")
    with pytest.raises(InputError, match="are not those of timm's resnet10t"):
        causaliqa.create_backbone("timm.resnet10t", weights=path)


def test_taps(weights):
    path, _ = weights("resnet10t")
    net = causaliqa.create_backbone("timm.resnet10t", weights=path, taps=[1, 3])
    assert net.feature_info.reduction() == [4, 16]
    assert [m.shape[-1] for m in net(torch.rand(1, 3, 64, 64))] == [16, 4]


def test_missing_weights_say_where_they_belong():
    with pytest.raises(WeightsError, match=r"resnet18\.a1_in1k\.safetensors was not found .*timm/resnet18\.a1_in1k"):
        causaliqa.create_metric("causal_timm.resnet18.a1_in1k")


@pytest.mark.parametrize(
    ("model", "licence"),
    [
        ("resnet18.a1_in1k", "Apache-2.0"),
        ("vgg16", "BSD-3-Clause"),
        ("convnextv2_tiny", "CC-BY-NC-4.0"),
        ("resnet10t", "Apache-2.0"),
    ],
)
def test_licence_of_the_weights(model, licence):
    assert describe(model).licence == licence


def test_every_model_of_timm_can_be_described():
    specs = [describe(model) for model in timm.list_models()]
    assert len(specs) > 900
    assert all(s.licence and s.summary for s in specs)


@pytest.mark.parametrize("name", ["timm.resnet5O", "timm.", "timm"])
def test_unknown_models(name):
    with pytest.raises((InputError, UnknownNameError), match="timm"):
        causaliqa.create_backbone(name, pretrained=False)


def test_no_features():
    with pytest.raises(InputError, match="gives no features"):
        causaliqa.create_backbone("timm.resnet10t", pretrained=False, taps=[99])


def command(*argv):
    line = [sys.executable, "-m", "causaliqa", *map(str, argv)]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


def test_surfaces(tmp_path, weights):
    path, _ = weights("test_resnet")
    rng = np.random.default_rng(0)
    for name in ("img", "ref"):
        Image.fromarray(rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    files = (tmp_path / "img.png", tmp_path / "ref.png")
    assert "causal_timm" in command("list", "metrics", "causal_timm*")
    out = command("score", f"causal_timm.test_resnet:weights={path}", *files, "--json", "--device", "cpu")
    score = json.loads(out)["scores"][0]["score"]
    assert score > 0
    code = (
        "import sys, pyiqa\n"
        "metric = pyiqa.create_metric('causal', backbone='timm.test_resnet', weights=sys.argv[3], device='cpu')\n"
        "assert 'causal_timm' not in pyiqa.list_models()\n"
        "print(metric(sys.argv[1], sys.argv[2]).item())"
    )
    line = [sys.executable, "-c", code, *map(str, files), str(path)]
    through = float(subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()[-1])
    assert through == pytest.approx(score, rel=1e-5)
