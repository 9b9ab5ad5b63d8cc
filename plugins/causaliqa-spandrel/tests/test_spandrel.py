"""Checkpoints of spandrel's own architectures, saved here, as restorers: contract, sizes, batches, refusals, cem."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact
from spandrel.architectures.DnCNN.__arch.network_dncnn import DnCNN
from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet
from spandrel.architectures.SwinIR.__arch.SwinIR import SwinIR

import causaliqa
from causaliqa.api.errors import InputError, UnknownNameError
from causaliqa.testing import check_restorer

SMALL = {"embed_dim": 12, "depths": [2], "num_heads": [2], "window_size": 8, "mlp_ratio": 2}
NETWORKS = {
    "compact": (lambda: SRVGGNetCompact(num_feat=8, num_conv=2, upscale=4), "params", 4),
    "compact_x2": (lambda: SRVGGNetCompact(num_feat=8, num_conv=2, upscale=2), "params_ema", 2),
    "rrdb": (lambda: RRDBNet(num_filters=8, num_blocks=2, scale=4), None, 4),
    "rrdb_x2_folded": (lambda: RRDBNet(in_nc=12, num_filters=8, num_blocks=2, scale=4, shuffle_factor=2), None, 2),
    "swinir": (lambda: SwinIR(img_size=64, upscale=2, upsampler="pixelshuffle", **SMALL), "params", 2),
    "dncnn": (lambda: DnCNN(in_nc=3, out_nc=3, nc=8, nb=17, act_mode="R"), None, 1),
    "dncnn_gray": (lambda: DnCNN(in_nc=1, out_nc=1, nc=8, nb=17, act_mode="R"), None, 1),
}


def save(folder, name, network, below=None):
    state = network.state_dict()
    path = folder / f"{name}.pth"
    torch.save({below: state} if below else state, path)
    return path


@pytest.fixture
def checkpoint(tmp_path):
    def make(name):
        torch.manual_seed(0)
        build, below, _ = NETWORKS[name]
        return save(tmp_path, name, build(), below)

    return make


@pytest.mark.parametrize("name", NETWORKS)
def test_contract(name, checkpoint):
    check_restorer(f"spandrel:{checkpoint(name)}")


@pytest.mark.parametrize("name", NETWORKS)
def test_scale_and_range(name, checkpoint):
    restorer = causaliqa.create_restorer(f"spandrel:{checkpoint(name)}", device="cpu")
    out = restorer(torch.rand(3, 3, 13, 18))
    scale = NETWORKS[name][2]
    assert restorer.scale == scale
    assert out.shape == (3, 3, 13 * scale, 18 * scale)
    assert out.min() >= 0 and out.max() <= 1


def test_the_weights_are_those_of_the_file(checkpoint):
    torch.manual_seed(0)
    network = NETWORKS["compact"][0]().eval()
    restorer = causaliqa.create_restorer(f"spandrel:{checkpoint('compact')}", device="cpu")
    x = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(restorer(x), network(x).clamp(0, 1), atol=1e-6)


def test_a_gray_model_restores_channels_on_their_own(checkpoint):
    restorer = causaliqa.create_restorer(f"spandrel:{checkpoint('dncnn_gray')}", device="cpu")
    x = torch.rand(2, 3, 16, 16)
    swapped = restorer(x[:, [2, 0, 1]])
    assert torch.allclose(restorer(x)[:, [2, 0, 1]], swapped, atol=1e-6)


def test_images_go_one_by_one_where_batches_differ(checkpoint):
    from causaliqa_spandrel.checkpoint import SpandrelRestorer
    from spandrel import ModelLoader

    descriptor = ModelLoader(device="cpu").load_from_file(checkpoint("compact")).eval()
    assert SpandrelRestorer(descriptor).batches
    descriptor._call_fn = lambda model, image: model(image) - image.mean()
    restorer = SpandrelRestorer(descriptor)
    assert not restorer.batches
    x = torch.rand(2, 3, 16, 16)
    assert torch.equal(restorer(x), torch.cat([restorer(x[:1]), restorer(x[1:])]))

    def only_one(model, image):
        if len(image) > 1:
            raise RuntimeError("one image at a time")
        return model(image)

    descriptor._call_fn = only_one
    assert SpandrelRestorer(descriptor)(x).shape == (2, 3, 64, 64)


def test_refusals(tmp_path):
    unknown = save(tmp_path, "unknown", torch.nn.Linear(2, 2))
    four = save(tmp_path, "four", SRVGGNetCompact(num_in_ch=4, num_out_ch=4, num_feat=8, num_conv=2), "params")
    text = tmp_path / "net.txt"
    text.write_text("no checkpoint")
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"no pickle")
    for name, words in (
        (f"spandrel:{unknown}", "does not recognise"),
        (f"spandrel:{four}", "4 channels"),
        (f"spandrel:{text}", "extension"),
        (f"spandrel:{broken}", "cannot load"),
        ("spandrel:nowhere.pth", "no file"),
    ):
        with pytest.raises(InputError, match=words):
            causaliqa.create_restorer(name, device="cpu")
    with pytest.raises(UnknownNameError, match="expected spandrel:NAME"):
        causaliqa.create_restorer("spandrel", device="cpu")


class _Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


@pytest.mark.parametrize("suffix", [".pth", ".ckpt", ".pt", ".safetensors"])
def test_a_pickle_bomb_is_refused_and_not_executed(tmp_path, monkeypatch, suffix):
    from causaliqa_spandrel.checkpoint import build

    monkeypatch.chdir(tmp_path)
    torch.save({"params": _Bomb()}, tmp_path / f"bomb{suffix}")
    with pytest.raises(InputError, match="cannot load"):
        build(file=f"bomb{suffix}")
    assert not (tmp_path / "exploded").exists()


def test_the_command_line(tmp_path, checkpoint):
    img = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(img).save(tmp_path / "img.png")
    line = [sys.executable, "-m", "causaliqa", "cem", f"spandrel:{checkpoint('compact_x2')}", str(tmp_path / "img.png")]
    line += ["--task", "sr", "--scale", "2", "--roi", "8,8,8,8", "--sampler", "noise", "--coarse", "1", "--fine", "1"]
    done = subprocess.run(
        [*line, "--out", str(tmp_path / "map"), "--device", "cpu"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "map" / "summary.json").read_text())["task"] == "sr"


@pytest.mark.parametrize(
    ("file", "scale"),
    [
        ("dncnn_color_blind/dncnn_color_blind.pth", 1),
        ("dncnn_color_zhang/dncnn_color_sigma50.pth", 1),
        ("realesr_animevideov3_x4/SRVGGNetCompact_x4_nf64_nc16_prelu.pth", 4),
    ],
)
def test_research_checkpoints(file, scale):
    path = Path(os.environ.get("CAUSALIQA_TEST_DATA", "nowhere")) / "weights" / file
    if not path.is_file():
        pytest.skip("research data not found; CAUSALIQA_TEST_DATA names their folder")
    check_restorer(f"spandrel:{path}")
    from causaliqa.functional.degrade import add_noise, generator_for
    from causaliqa.io.photographs import photograph

    if scale == 1:
        clean = torch.from_numpy(photograph("astronaut")[100:228, 150:278]).permute(2, 0, 1)[None].float() / 255
        noisy = add_noise(clean, 50, generator_for(0))
        restored = causaliqa.create_restorer(f"spandrel:{path}", device="cpu")(noisy)
        errors = [float((x - clean).square().mean()) for x in (noisy, restored)]
        assert errors[1] < errors[0] / 5
