import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from causaliqa.api.errors import InputError
from causaliqa.builtin.hooks import causaliqa_restorers
from causaliqa.builtin.restorers import tiny
from causaliqa.builtin.restorers.architectures import FoldedNAFNet
from causaliqa.builtin.restorers.checkpoint import load_checkpoint
from causaliqa.builtin.restorers.padding import Adapted, pad_reflect
from causaliqa.builtin.restorers.user_code import build, find_factory
from causaliqa.catalog.create import create_degradation, create_restorer
from causaliqa.functional.fidelity import psnr
from causaliqa.io.images import as_image
from causaliqa.io.photographs import photograph

NET = """
from torch import nn
def factory(width=3):
    return nn.Conv2d(3, width, 1)
def function():
    return lambda x: 1 - x
def nothing():
    return 3
"""


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


def test_file_and_module_give_factories(net):
    made = build(where=f"{net}:factory")
    assert not made.training
    assert not made.weight.requires_grad
    assert float(build(where=f"{net}:function")(torch.zeros(1))) == 1
    assert find_factory("torch.nn:Conv2d") is nn.Conv2d


def test_two_files_of_one_name_do_not_meet(tmp_path):
    for name, value in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.py").write_text(f"def factory():\n    return lambda x: x + {value}\n")
    one, two = (build(where=f"{tmp_path / name / 'net.py'}:factory") for name in ("a", "b"))
    assert (float(one(torch.zeros(1))), float(two(torch.zeros(1)))) == (1, 2)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("{net}", "expected path"),
        ("{net}:missing", "it offers factory, function, nothing"),
        ("no/such.py:factory", "no file"),
        ("no_such_module:factory", "importing"),
        ("{net}:nothing", "expected a module or a function"),
    ],
)
def test_what_is_no_factory_is_refused(net, where, message):
    with pytest.raises(InputError, match=message):
        build(where=where.format(net=net))


def test_a_file_that_fails_is_named(tmp_path):
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(InputError, match="ZeroDivisionError"):
        build(where=f"{tmp_path / 'bad.py'}:factory")


def test_options_reach_the_factory(net):
    assert build(where=f"{net}:factory", width=5).out_channels == 5
    with pytest.raises(InputError, match="depth"):
        build(where=f"{net}:factory", depth=5)


LAYOUTS = {
    "bare": lambda s: s,
    "params": lambda s: {"params": s},
    "params_ema": lambda s: {"params": {k: v * 0 for k, v in s.items()}, "params_ema": s},
    "state_dict": lambda s: {"state_dict": s, "epoch": 3},
    "module": lambda s: {"params": {f"module.{k}": v for k, v in s.items()}},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_checkpoint_layouts(tmp_path, net, layout):
    state = nn.Conv2d(3, 3, 1).state_dict()
    torch.save(LAYOUTS[layout](state), tmp_path / "net.pth")
    made = build(where=f"{net}:factory", checkpoint=tmp_path / "net.pth")
    assert torch.equal(made.weight, state["weight"])


def test_safetensors(tmp_path, net):
    state = nn.Conv2d(3, 3, 1).state_dict()
    save_file(state, tmp_path / "net.safetensors")
    assert torch.equal(build(where=f"{net}:factory", checkpoint=tmp_path / "net.safetensors").bias, state["bias"])


def test_mismatch_lists_the_keys(tmp_path):
    torch.save({"weight": torch.zeros(3, 3, 1, 1), "gain": torch.zeros(3)}, tmp_path / "net.pth")
    with pytest.raises(InputError, match="missing: bias; unexpected: gain"):
        load_checkpoint(nn.Conv2d(3, 3, 1), tmp_path / "net.pth")
    with pytest.raises(InputError, match="another shape: weight"):
        load_checkpoint(nn.Conv2d(3, 4, 1), tmp_path / "net.pth")


def test_what_is_no_checkpoint_is_refused(tmp_path, net):
    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    torch.save({"params": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "text.pth").write_text("hello")
    for name in ("evil.pth", "text.pth"):
        with pytest.raises(InputError, match="cannot be loaded"):
            load_checkpoint(nn.Conv2d(3, 3, 1), tmp_path / name)
    with pytest.raises(InputError, match="no file"):
        load_checkpoint(nn.Conv2d(3, 3, 1), tmp_path / "missing.pth")
    torch.save({}, tmp_path / "any.pth")
    with pytest.raises(InputError, match="takes no checkpoint"):
        build(where=f"{net}:function", checkpoint=tmp_path / "any.pth")


def test_padding_reflects_however_small_the_image():
    img = torch.rand(1, 3, 5, 6)
    assert torch.equal(pad_reflect(img, 3, 4), nn.functional.pad(img, (0, 4, 0, 3), mode="reflect"))
    assert pad_reflect(torch.rand(1, 3, 1, 2), 7, 6).shape == (1, 3, 8, 8)


def test_adapted_networks_see_multiples_and_give_the_size_back():
    sizes = []

    class Doubled(nn.Module):
        def forward(self, x):
            sizes.append(tuple(x.shape[-2:]))
            return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    img = torch.rand(2, 3, 9, 16)
    out = Adapted(Doubled(), multiple=8, input_range=255)(img)
    assert sizes == [(16, 16)]
    torch.testing.assert_close(out, Doubled()(img))


SMALL = [spec.name for spec in causaliqa_restorers() if spec.name in tiny.ARCHS]


def test_every_trained_network_is_registered():
    assert sorted(SMALL) == sorted(path.stem for path in tiny.WEIGHTS.glob("*.safetensors"))


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_come_trained(name):
    spec = next(spec for spec in causaliqa_restorers() if spec.name == name)
    file = tiny.WEIGHTS / f"{name}.safetensors"
    assert file.stat().st_size < 1_000_000
    net = spec.factory()
    img = torch.full((2, 3, 16, 12), 0.5)
    out = net(img)
    assert out.shape == (2, 3, 16 * spec.scale, 12 * spec.scale)
    # Trained: a flat gray stays gray, which random weights would not do; to the network of all tasks it is haze.
    assert spec.takes_task or (out[..., 4:-4, 4:-4] - 0.5).abs().max() < 0.05
    assert not any(p.requires_grad for p in net.parameters())


PARTS = {"chelsea": (60, 120), "coffee": (200, 290), "flower": (140, 230)}
"""Photographs that tiny_seven was not trained on, and where the part begins."""
TASKS = next(spec.tasks for spec in causaliqa_restorers() if spec.name == "tiny_seven")


@pytest.mark.parametrize("task", TASKS)
def test_one_network_restores_every_task(task):
    net = create_restorer("tiny_seven", task=task, device="cpu")
    gains = []
    for seed, (name, (top, left)) in enumerate(PARTS.items()):
        clean = as_image(photograph(name)[top : top + 128, left : left + 128])[0]
        spoilt = create_degradation(task).degrade(clean, seed)[None]
        shown = nn.functional.interpolate(spoilt, size=(128, 128), mode="bicubic")
        before, after = (float(psnr(view.clamp(0, 1), clean[None])) for view in (shown, net(spoilt)))
        gains.append(after - before)
    # What is hardly visible in the input (blur, compression) is hard to tell from the other tasks.
    assert sum(gains) / 3 > (5 if task in ("denoise", "derain", "dehaze", "lowlight") else 0)


def test_the_network_of_all_tasks_takes_other_weights(tmp_path):
    img = torch.rand(2, 3, 13, 11)
    state = {k: torch.zeros_like(v) for k, v in tiny.network("tiny_seven").state_dict().items()}
    save_file(state, tmp_path / "zero.safetensors")
    assert torch.equal(tiny.build_seven(task="dehaze", checkpoint=tmp_path / "zero.safetensors")(img), img)


@pytest.mark.parametrize("upscale", [1, 4])
def test_folding_takes_any_size_and_enlarges_first(upscale):
    torch.manual_seed(0)
    net = tiny.network("tiny_seven")
    enlarging = FoldedNAFNet(**tiny.ARCHS["tiny_seven"][1], upscale=upscale)
    enlarging.load_state_dict(net.state_dict())
    img = torch.rand(2, 3, 13, 11)
    large = nn.functional.interpolate(img, scale_factor=float(upscale), mode="bicubic")
    torch.testing.assert_close(enlarging(img), net(large))
    # Rows and columns are added below and on the right by reflection, and cut off again.
    padded = pad_reflect(large, -large.shape[2] % 4, -large.shape[3] % 4)
    torch.testing.assert_close(net(large), net(padded)[..., : 13 * upscale, : 11 * upscale])


def test_basicsr_absent_is_one_line(monkeypatch):
    from causaliqa.builtin.restorers import basicsr

    for name in [n for n in sys.modules if n.startswith("basicsr.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "basicsr", None)
    with pytest.raises(InputError, match=r"pip install causaliqa\[basicsr\]"):
        basicsr.build(arch="EDSR")
