"""Files that are doubtful, and options that do not exist."""

import numpy as np
import pytest
import torch
from causaliqa_archs.hints import hint, read_vector
from causaliqa_archs.identify import candidates
from causaliqa_archs.restorer import build, build_named
from tiny import TINY
from torch import nn

import causaliqa
from causaliqa import InputError


def chain(inputs, outputs, depth, width=8):
    """The state dict of a plain chain of convolutions, as public denoisers have it."""
    sizes = [inputs, *[width] * (depth - 1), outputs]
    layers = [m for k in range(depth) for m in (nn.Conv2d(sizes[k], sizes[k + 1], 3, padding=1), nn.ReLU())]
    return {f"model.{key}": value for key, value in nn.Sequential(*layers[:-1]).state_dict().items()}


@pytest.fixture
def saved(tmp_path):
    def save(state, name="net.pth"):
        torch.save(state, tmp_path / name)
        return tmp_path / name

    return save


@pytest.mark.parametrize(
    ("inputs", "outputs", "depth", "names"),
    [
        (3, 3, 20, ["dncnn"]),
        (1, 1, 17, ["dncnn"]),
        (3, 3, 7, ["dncnn", "ircnn"]),
        (13, 12, 12, ["ffdnet"]),
        (5, 4, 15, ["ffdnet"]),
        (18, 48, 12, ["srmd"]),
        (19, 12, 12, ["srmd"]),
        (4, 3, 20, []),
        (4, 4, 20, []),
        (3, 12, 10, []),
    ],
)
def test_chains_of_convolutions_are_told_apart(inputs, outputs, depth, names):
    assert [fit.name for fit in candidates(chain(inputs, outputs, depth))] == names


def test_several_candidates_are_named(saved):
    path = saved(chain(3, 3, 7))
    with pytest.raises(InputError, match="fits dncnn and ircnn alike"):
        build(file=path)
    x = torch.rand(1, 3, 9, 9)
    assert not torch.equal(build(file=path, arch="dncnn")(x), build(file=path, arch="ircnn")(x))


def test_no_candidate_names_the_nearest(saved):
    state = build_named(name="imdn", **TINY["imdn"]).network.state_dict()
    state["LR_conv.weight"] = state["LR_conv.weight"][:, :4]
    with pytest.raises(InputError, match=r"near: imdn, but for LR_conv\.weight"):
        build(file=saved(state))
    with pytest.raises(InputError, match="is of no architecture known here; near: none"):
        build(file=saved(nn.Linear(2, 2).state_dict()))


def test_a_surplus_key_is_no_match(saved):
    state = build_named(name="edsr", **TINY["edsr"]).network.state_dict()
    with pytest.raises(InputError, match="near: edsr, but for extra"):
        build(file=saved({**state, "extra": torch.ones(1)}))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("srcnn", {}, "tell the scale"),
        ("pan", {"scale": 2}, "tell the scale"),
        ("xrestormer", {}, "tell the scale"),
        ("gcanet", {}, "tell the task"),
        ("srmd", {}, "tell the degradation"),
    ],
)
def test_what_no_key_tells_is_asked_for(name, options, words, saved):
    state = build_named(name=name, **{**TINY[name], **options}).network.state_dict()
    with pytest.raises(InputError, match=words):
        build(file=saved(state))


@pytest.mark.parametrize(
    ("file", "option", "value"),
    [
        ("srcnn_x3.pth", "scale", 3),
        ("FSRCNN-2x_best.pth", "scale", 2),
        ("x8.pth", "scale", 8),
        ("xrestormer_sr_300k.pth", "scale", 4),
        ("xrestormer_denoise_300k.pth", "scale", 1),
        ("GCANet_Derain.pth", "task", "derain"),
        ("dehaze.safetensors", "task", "dehaze"),
    ],
)
def test_names_of_files(file, option, value, tmp_path):
    assert hint("net", option, tmp_path / file) == value


@pytest.mark.parametrize("file", ["net.pth", "max4.pth", "x16.pth", "64x64.pth", "x33.pth"])
def test_names_that_tell_no_scale(file, tmp_path):
    with pytest.raises(InputError, match="tell the scale"):
        hint("srcnn", "scale", tmp_path / file)


def test_the_blur_of_srmd(saved, tmp_path):
    path = saved(chain(18, 48, 5))
    for k, count in ((1, 15), (2, 15), (3, 4)):
        np.save(tmp_path / f"{k}.npy", np.full(count, 0.1 * k, np.float32))
    with pytest.raises(InputError, match="tell the degradation"):  # two files could be meant
        build(file=path)
    (tmp_path / "2.npy").unlink()
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(build(file=path)(x), build(file=path, degradation=str(tmp_path / "1.npy"))(x))
    with pytest.raises(InputError, match="holds 4 values"):
        read_vector(tmp_path / "3.npy")
    with pytest.raises(InputError, match="cannot be read"):
        build(file=path, degradation=str(tmp_path / "nowhere.npy"))


def test_wrong_files(tmp_path, saved):
    text = tmp_path / "net.txt"
    text.write_text("no checkpoint")
    for file, words in ((text, "archs: .*cannot be loaded"), ("nowhere.pth", "is no file")):
        with pytest.raises(InputError, match=words):
            causaliqa.create_restorer(f"archs:{file}", device="cpu")
    with pytest.raises(InputError, match=r"is not of rcan .*architectures that fit: dncnn"):
        causaliqa.create_restorer("archs.rcan", checkpoint=saved(chain(3, 3, 5)), device="cpu")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("edsr", {"depth": 3}, "edsr has no option 'depth'; it takes width, blocks"),
        ("dncnn", {"depth": 0, "width": -1}, "dncnn cannot be built"),
        ("edsr", {"arch": "rcan"}, "no option 'arch'"),
        ("gcanet", {"input_range": 1}, "fixed value range"),
    ],
)
def test_wrong_options(name, options, words):
    with pytest.raises(InputError, match=words):
        causaliqa.create_restorer(f"archs.{name}", device="cpu", **options)


def test_wrong_options_of_a_file(saved):
    path = saved(chain(3, 3, 5))
    for options, words in (
        ({"arch": "resnet"}, "expected one of srcnn"),
        ({"scale": 2}, "no option 'scale'"),
        ({"width": 16}, "does not fit dncnn with these options"),
    ):
        with pytest.raises(InputError, match=words):
            build(file=path, **options)


class _Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


@pytest.mark.parametrize("suffix", [".pth", ".ckpt"])
def test_a_pickle_bomb_is_refused_and_not_executed(tmp_path, monkeypatch, suffix):
    monkeypatch.chdir(tmp_path)
    torch.save({"params": _Bomb()}, tmp_path / f"bomb{suffix}")
    with pytest.raises(InputError, match="cannot be loaded"):
        build(file=f"bomb{suffix}")
    assert not (tmp_path / "exploded").exists()
