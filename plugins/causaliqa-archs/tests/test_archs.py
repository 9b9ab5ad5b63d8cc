"""Every architecture: contract, sizes, gradients, and the way through a file."""

import numpy as np
import pytest
import torch
from causaliqa_archs.identify import candidates, network_class
from causaliqa_archs.restorer import build, build_named
from causaliqa_archs.table import ARCHITECTURES
from tiny import TINY

import causaliqa
from causaliqa.testing import check_restorer

PLAIN = [name for name, arch in ARCHITECTURES.items() if not arch.fixed]
SCALES = [
    ("srcnn", 3),
    ("fsrcnn", 2),
    ("carn", 3),
    ("carn_m", 2),
    ("srdensenet", 2),
    ("srresnet", 3),
    ("srresnet_bn", 8),
    ("edsr", 1),
    ("rcan", 2),
    ("san", 3),
    ("drln", 2),
    ("rnan", 1),
    ("rnan", 3),
    ("imdn", 3),
    ("pan", 3),
    ("srmd", 2),
    ("xrestormer", 4),
    ("craft", 2),
]


def save(folder, name, options, file=None):
    """Save random weights of an architecture under a name that tells what no key does."""
    restorer = build_named(name=name, **options)
    path = folder / (file or f"{name}_x{restorer.scale}_derain.pth".replace("_x1", ""))
    torch.save(restorer.network.state_dict(), path)
    np.save(folder / "blur.npy", np.zeros(15, np.float32))
    return restorer, path


def test_every_architecture_is_tested():
    assert TINY.keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize("name", TINY)
def test_contract(name):
    check_restorer(f"archs.{name}", **TINY[name])


@pytest.mark.parametrize("name", TINY)
def test_gradients_reach_the_input(name):
    restorer = causaliqa.create_restorer(f"archs.{name}", device="cpu", **TINY[name])
    x = torch.rand(1, 3, 9, 14, requires_grad=True)
    restorer(x)[..., 4:8, 4:8].square().sum().backward()
    assert x.grad.isfinite().all()
    assert (x.grad != 0).any((2, 3)).all()


@pytest.mark.parametrize("name", PLAIN)
def test_the_layout_in_memory_changes_nothing(name):
    restorer = build_named(name=name, **TINY[name])
    x = torch.rand(2, 3, 16, 12)
    with torch.inference_mode():
        expected = restorer(x)
        out = restorer.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(out, expected, atol=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_what_is_no_number_comes_through(name):
    """Effect maps find the reach of a network by such a patch; SADNet's offsets must not lead out of memory."""
    restorer = build_named(name=name, **TINY[name])
    x = torch.rand(1, 3, 24, 24)
    x[..., 10:12, 10:12] = torch.nan
    with torch.no_grad():
        for parameter in restorer.parameters():
            parameter.add_(torch.full_like(parameter, 0.01))
        out = restorer(x)
    s = restorer.scale
    assert out[..., 10 * s : 12 * s, 10 * s : 12 * s].isnan().all()


@pytest.mark.parametrize("name", ["imdn", "san", "craft", "hinet", "xrestormer", "gcanet"])
def test_gradients_are_finite_where_the_image_is_flat(name):
    restorer = build_named(name=name, **TINY[name])
    x = torch.zeros(1, 3, 16, 16, requires_grad=True)
    restorer(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_scales(name, scale, tmp_path):
    restorer, path = save(tmp_path, name, {**TINY[name], "scale": scale})
    x = torch.rand(2, 3, 11, 7)
    out = restorer(x)
    assert restorer.scale == scale
    assert out.shape == (2, 3, 11 * scale, 7 * scale)
    assert torch.equal(build(file=path, **({"scale": scale} if name == "carn_m" else {}))(x), out)


@pytest.mark.parametrize("name", PLAIN)
def test_a_file_is_enough(name, tmp_path):
    options = TINY[name] | ({"task": "derain"} if name == "gcanet" else {})
    restorer, path = save(tmp_path, name, options)
    found = build(file=path, **({"arch": name} if name == "ircnn" else {}))
    x = torch.rand(2, 3, 13, 18)
    assert (found.arch, found.scale) == (name, restorer.scale)
    assert torch.equal(found(x), restorer(x))
    assert not found.training
    assert not any(p.requires_grad for p in found.parameters())


@pytest.mark.parametrize("name", PLAIN)
def test_the_usual_size_is_found_out(name):
    with torch.device("meta"):
        state = network_class(name)().state_dict()
    if name in ("craft", "edsr", "rcan", "san", "rnan"):  # their values tell something, too
        state = network_class(name)(**TINY[name]).state_dict()
    assert [fit.name for fit in candidates(state)] == (["dncnn", "ircnn"] if name == "ircnn" else [name])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["srcnn", "fsrcnn", "srdensenet", "dncnn", "ircnn", "ffdnet", "adnet"])
def test_channels(name, channels, tmp_path):
    restorer, path = save(tmp_path, name, {**TINY[name], "channels": channels})
    found = build(file=path, **({"arch": name} if name == "ircnn" else {}))
    x = torch.rand(2, 3, 9, 10)
    assert found.network.channels == channels
    assert torch.equal(found(x), restorer(x))


@pytest.mark.parametrize("name", ["dncnn", "ffdnet", "adnet", "ircnn"])
def test_a_denoiser_of_one_channel_restores_the_colours_on_their_own(name):
    restorer = build_named(name=name, **{**TINY[name], "channels": 1})
    x = torch.rand(2, 3, 10, 10)
    assert torch.allclose(restorer(x)[:, [2, 0, 1]], restorer(x[:, [2, 0, 1]]), atol=1e-6)


@pytest.mark.parametrize("name", ["srcnn", "fsrcnn", "srdensenet"])
def test_a_network_of_the_luma_keeps_gray_gray(name):
    restorer = build_named(name=name, **TINY[name])
    out = restorer(torch.rand(1, 1, 8, 8).expand(1, 3, 8, 8))
    assert torch.allclose(out, out[:, :1].expand_as(out), atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_dncnn_with_normalisation_in_both_layouts(bias, tmp_path):
    restorer = build_named(name="dncnn", width=8, depth=5, norm=True, bias=bias)
    state = restorer.network.state_dict()
    x = torch.rand(1, 3, 9, 9)
    for prefix in ("model.", "dncnn.", "module.dncnn."):
        path = tmp_path / "net.pth"
        torch.save({"state_dict": {prefix + key.removeprefix("model."): v for key, v in state.items()}}, path)
        found = build(file=path)
        assert found.arch == "dncnn"
        assert torch.equal(found(x), restorer(x))


@pytest.mark.parametrize(
    ("tiny", "arch"), [("tiny_edsr_x4", "edsr"), ("tiny_rcan_x4", "rcan"), ("tiny_edsr_rain", "edsr")]
)
def test_basicsr_layout_against_the_networks_of_the_toolkit(tiny, arch, tmp_path):
    other = causaliqa.create_restorer(tiny, device="cpu")
    torch.save({"params": other.state_dict()}, tmp_path / "net.pth")
    restorer = causaliqa.create_restorer(f"archs:{tmp_path / 'net.pth'}", device="cpu")
    x = torch.rand(2, 3, 12, 15)
    assert (restorer.arch, restorer.network.input_range) == (arch, 1.0)
    with torch.no_grad():
        assert torch.allclose(restorer(x), other(x), atol=1e-5)


@pytest.mark.parametrize("options", [{"depthwise": False}, {"depthwise": False, "context": True}])
def test_the_other_variants_of_hit_sr(options, tmp_path):
    restorer, path = save(tmp_path, "hit_sr", {**TINY["hit_sr"], **options})
    x = torch.rand(1, 3, 13, 10, requires_grad=True)
    out = build(file=path)(x)
    assert torch.equal(out, restorer(x))
    out.sum().backward()
    assert x.grad.isfinite().all()


def test_one_block_of_prenet_is_applied_five_times(tmp_path):
    restorer, path = save(tmp_path, "prenet", {"width": 8, "blocks": 1, "rounds": 5})
    x = torch.rand(1, 3, 9, 9)
    assert torch.equal(build(file=path)(x), restorer(x))
    assert not torch.equal(build(file=path, rounds=1)(x), restorer(x))


def test_the_value_range_of_the_edsr_family_is_in_the_file(tmp_path):
    for white in (1.0, 255.0):
        _, path = save(tmp_path, "edsr", {**TINY["edsr"], "input_range": white})
        assert build(file=path).network.input_range == white


@pytest.mark.parametrize("pool", [2, 3, 4, 16])
def test_pooling_by_blocks(pool):
    x = torch.rand(1, 3, 24, 24)
    whole, blocks = (build_named(name=name, **TINY["rcan"]) for name in ("rcan", f"rcan_ap{pool}"))
    assert not torch.allclose(whole(x), blocks(x), atol=1e-6)
    small = x[..., :pool, :pool]  # one block is the whole of such an image
    assert torch.allclose(whole(small), blocks(small), atol=1e-6)


def test_pooling_by_blocks_is_local():
    x = torch.rand(1, 3, 64, 64, requires_grad=True)
    for name, local in (("rcan", False), ("rcan_ap2", True)):
        (grad,) = torch.autograd.grad(build_named(name=name, **TINY["rcan"])(x)[..., :4, :4].sum(), x)
        assert bool((grad[..., 48:, 48:] == 0).all()) is local
