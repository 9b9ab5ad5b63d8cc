"""Folders restored by networks: outputs, inputs made from photographs, tiles, and runs that are continued."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import causaliqa
from causaliqa import CausaliqaError, ImageError, InputError
from causaliqa.builtin.degradations.paper import Downsampling
from causaliqa.effects import restore as restore_module
from causaliqa.effects.names import NetworkRequest
from causaliqa.effects.restore import restore_images
from causaliqa.effects.restore_run import RestoreRun
from causaliqa.io.images import load_image
from causaliqa.io.pngs import png_note
from conftest import photo

CPU = {"device": "cpu", "progress": False}


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    for name in ("astronaut.png", "coffee.png"):
        Image.fromarray(photo(62, name=name)).save(place / name)
    return place


def pixels(path):
    return np.asarray(Image.open(path))


def test_outputs_are_those_of_the_network(folder, tmp_path):
    net = nn.Conv2d(3, 3, 3, padding=1)
    made = causaliqa.restore(net, folder, tmp_path / "out", task="denoise", **CPU)
    assert [(m.source.name, m.path, m.tiles) for m in made] == [
        (name, tmp_path / "out" / name, 1) for name in ("astronaut.png", "coffee.png")
    ]
    for one in made:
        expected = net(load_image(one.source)).clamp(0, 1)[0].permute(1, 2, 0).detach().numpy() * 255
        assert np.abs(pixels(one.path) - expected).max() <= 0.5001
    assert net.training


def test_inputs_are_made_from_photographs(folder, tmp_path):
    net = nn.Upsample(scale_factor=4)
    made = causaliqa.restore(
        net, folder, tmp_path / "out", task="sr", degrade=True, truth=str(tmp_path / "truth"), **CPU
    )
    clean = load_image(folder / "coffee.png")[0]
    expected = net(Downsampling(scale=4).degrade(clean, 0)[None])[0]
    assert torch.equal(load_image(made[1].path)[0], expected)
    assert torch.equal(load_image(tmp_path / "truth" / "coffee.png")[0], clean[:, :60, :60])
    scores = causaliqa.score("psnr", tmp_path / "out", tmp_path / "truth", device="cpu")
    assert len(scores.finished) == 2


def test_the_seed_is_that_of_the_noise(folder, tmp_path):
    outs = [tmp_path / str(k) for k in range(3)]
    for out, seed in zip(outs, (0, 1, 0), strict=True):
        causaliqa.restore(nn.Identity(), folder, out, task="denoise", degrade=True, seed=seed, **CPU)
    first, other, again = (pixels(out / "coffee.png") for out in outs)
    assert (first != other).any()
    assert (first == again).all()
    assert (first != pixels(folder / "coffee.png")).any()


def test_tiles_give_the_same_picture(folder, tmp_path, caplog):
    net = nn.Sequential(nn.Conv2d(3, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 3, 5, padding=2))
    caplog.set_level(logging.INFO)
    causaliqa.restore(net, folder, tmp_path / "whole", task="denoise", **CPU)
    made = causaliqa.restore(net, folder, tmp_path / "tiles", task="denoise", tile=32, **CPU)
    assert [m.tiles for m in made] == [9, 9]
    assert "tiles of 32 input pixels, overlap 4: the output is that of the whole image" in caplog.text
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    for one in made:
        assert (pixels(one.path) == pixels(tmp_path / "whole" / one.path.name)).mean() > 0.999


def test_global_pooling_in_tiles_is_told_with_its_number(folder, tmp_path, caplog):
    def pooled(x):
        return 0.5 * x + 0.5 * x.mean((2, 3), keepdim=True)

    causaliqa.restore(pooled, folder, tmp_path / "out", task="denoise", tile=32, **CPU)
    (warned,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    change = float(warned.split("by up to ")[1].split()[0])
    assert 1e-3 < change < 0.5
    assert "global pooling" in warned and "astronaut.png" in warned


def test_short_memory_means_tiles(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(restore_module, "available", lambda device: 1.0)
    big = tmp_path / "big.png"
    Image.fromarray(np.tile(photo(62), (3, 2, 1))).save(big)
    net = nn.Conv2d(3, 3, 3, padding=1)
    (made,) = causaliqa.restore(net, big, tmp_path / "out.png", task="denoise", **CPU)
    assert made.path == tmp_path / "out.png"
    assert made.tiles == 3 * 2
    expected = net(load_image(big)).clamp(0, 1)[0].permute(1, 2, 0).detach().numpy() * 255
    assert np.abs(pixels(made.path) - expected).max() <= 0.51


def test_the_same_call_continues(folder, tmp_path):
    out = tmp_path / "out"
    calls = []

    class Net(nn.Module):
        def forward(self, x):
            calls.append(1)
            return x

    causaliqa.restore(Net(), folder, out, task="denoise", **CPU)
    before = {p.name: p.stat().st_mtime_ns for p in out.iterdir()}
    (out / "coffee.png").unlink()
    calls.clear()
    made = causaliqa.restore(Net(), folder, out, task="denoise", **CPU)
    assert [m.tiles for m in made] == [0, 1]
    assert calls
    assert (out / "astronaut.png").stat().st_mtime_ns == before["astronaut.png"]
    assert not [p for p in out.iterdir() if p.name not in before]
    calls.clear()
    causaliqa.restore(Net(), folder, out, task="denoise", **CPU)
    assert not calls


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network": nn.AvgPool2d(3, 1, 1)}, "network"),
        ({"seed": 3}, "degraded"),
        ({"tile": 48}, "tile"),
        ({"degrade": False}, "degraded"),
        ({"degradation": "denoise:sigma=10"}, "degraded"),
    ],
)
def test_outputs_of_another_run_are_refused_and_can_be_replaced(folder, tmp_path, change, words):
    given = {"network": nn.Identity(), "task": "denoise", "degrade": True, "seed": 0, **CPU}
    causaliqa.restore(source=folder, out=tmp_path / "out", **given)
    with pytest.raises(InputError, match=f"another run: .*{words}.* differ"):
        causaliqa.restore(source=folder, out=tmp_path / "out", **{**given, **change})
    made = causaliqa.restore(source=folder, out=tmp_path / "out", **{**given, **change}, overwrite=True)
    assert all(m.tiles for m in made)


def test_an_image_that_changed_is_refused(folder, tmp_path):
    causaliqa.restore(nn.Identity(), folder, tmp_path / "out", task="denoise", **CPU)
    Image.fromarray(photo(40)).save(folder / "coffee.png")
    with pytest.raises(InputError, match="image differ"):
        causaliqa.restore(nn.Identity(), folder, tmp_path / "out", task="denoise", **CPU)


def test_files_of_others_are_never_replaced_unasked(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    Image.fromarray(photo(40)).save(out / "coffee.png")
    with pytest.raises(InputError, match="is there already and no output of this command"):
        causaliqa.restore(nn.Identity(), folder, out, task="denoise", **CPU)
    given = {"task": "denoise", "degrade": True, "truth": str(out), **CPU}
    with pytest.raises(InputError, match="is there already and no output of this command"):
        causaliqa.restore(nn.Identity(), folder, tmp_path / "new", **given)
    assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match="is one of the images to restore"):
        causaliqa.restore(nn.Identity(), folder, folder, task="denoise", overwrite=True, **CPU)
    with pytest.raises(InputError, match="is one of the images to restore"):
        causaliqa.restore(nn.Identity(), folder, out, task="denoise", degrade=True, truth=str(folder), **CPU)


def test_an_output_says_how_it_was_made_and_names_no_folder(folder, tmp_path):
    net = tmp_path / "net.py"
    net.write_text("import torch\ndef build():\n    return torch.nn.Identity()\n")
    causaliqa.restore(f"{net}:build", folder, tmp_path / "out", task="denoise", **CPU)
    note = png_note(tmp_path / "out" / "coffee.png")
    assert '"restorer": "net.py:build"' in note
    assert str(tmp_path) not in note
    assert png_note(folder / "coffee.png") == ""


def test_one_that_fails_does_not_stop_the_others(folder, tmp_path):
    (folder / "aa.png").write_bytes(b"no image")

    def picky(x):
        if x.shape[-1] == 40:
            raise ValueError("odd")
        return x

    Image.fromarray(photo(40)).save(folder / "zz.png")
    run = RestoreRun(
        network=NetworkRequest(network=picky, task="denoise"), source=folder, out=tmp_path / "out", device="cpu"
    )
    found = {path.name: outcome for path, outcome in restore_images(run, progress=False)}
    assert isinstance(found["aa.png"], ImageError)
    assert isinstance(found["zz.png"], CausaliqaError) and "zz.png" in str(found["zz.png"])
    assert found["coffee.png"].path.is_file()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["astronaut.png", "coffee.png"]


def test_values_that_are_no_numbers_are_no_output(folder, tmp_path):
    def broken(x):
        return torch.where(x > x.mean(), torch.nan, x)

    with pytest.raises(CausaliqaError, match="no numbers"):
        causaliqa.restore(broken, folder, tmp_path / "out", task="denoise", **CPU)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tile": 0}, "tile: got 0"),
        ({"tile": 64, "overlap": 32}, "less than half a tile"),
        ({"overlap": -1}, "overlap: got -1"),
        ({"seed": -1}, "seed: got -1"),
        ({"truth": "t"}, "pass degrade"),
    ],
)
def test_bad_settings(changes, words):
    with pytest.raises(InputError, match=words):
        RestoreRun(network=NetworkRequest(network="tiny_dncnn_50", task="denoise"), source="a", out="b", **changes)
