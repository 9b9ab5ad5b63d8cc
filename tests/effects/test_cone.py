"""What a patch changes, layer by layer: the same region as the whole network, from a part of the work."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from causaliqa import CausalEffectMap, create_degradation, create_restorer, create_sampler
from causaliqa.api.data import ROI
from causaliqa.builtin.restorers.architectures import SRVGGNetCompact
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.cone import Cone
from causaliqa.effects.grid import Box
from causaliqa.effects.prepare import prepare
from causaliqa.effects.settings import CemSettings
from causaliqa.functional.fidelity import psnr

SIDE = 24


def conv(inputs=3, outputs=3, side=3, **options):
    return nn.Conv2d(inputs, outputs, side, **({} if "padding" in options else {"padding": side // 2}), **options)


class Made(nn.Module):
    """A network from layers and a function of them."""

    def __init__(self, forward, *layers):
        super().__init__()
        self.layers, self.function = nn.ModuleList(layers), forward

    def forward(self, x):
        return self.function(x, *self.layers)


def recurrent(x, first, second):
    state = x.new_zeros(len(x), 3, *x.shape[2:])
    for _ in range(3):
        state = torch.tanh(first(torch.cat([x, state], 1)))
        x = x + second(state)
    return x


def noise_map(x, layer):
    return layer(torch.cat([x, torch.full_like(x[:, :1], 0.2)], 1))


def constants(x, layer):
    return 2 * layer((x - torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1)) / 0.5) + torch.ones(3, 1, 1)


def halves(x, layer):
    first, second = F.gelu(layer(x)).chunk(2, 1)
    return first * second


def in_place(x, first, second):
    y = first(x)
    z = F.relu_(y * 1)
    z += x
    return second(z.view(-1, *z.shape[1:])).clamp(0, 1)


def input_in_place(x, layer):
    x -= 0.5
    return layer(x) + x


def halves_in_place(x, first, second):
    y = first(x)
    left, right = y.chunk(2, 1)
    left.relu_()
    return second(y) + right


class Doubled(nn.Module):
    def forward(self, x):
        return F.interpolate(x, scale_factor=2.0, mode="nearest")


FOLLOWED = {
    "chain": (1, lambda: nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 8), nn.LeakyReLU(), conv(8, 3))),
    "skip": (1, lambda: Made(lambda x, a, b: x - b(torch.sigmoid(a(x)) + a(x)), conv(), conv())),
    "dilated and grouped": (1, lambda: nn.Sequential(conv(3, 6, dilation=3, padding=3), conv(6, 3, groups=3))),
    "wide and flat": (1, lambda: nn.Sequential(conv(3, 4, (5, 1), padding=(2, 0)), conv(4, 3, (1, 3), padding=(0, 1)))),
    "strides": (1, lambda: nn.Sequential(conv(3, 12, stride=2), nn.PReLU(12), nn.PixelShuffle(2), conv())),
    "folded": (1, lambda: nn.Sequential(nn.PixelUnshuffle(2), conv(12, 12), nn.PixelShuffle(2))),
    "enlarged by shuffling": (4, lambda: nn.Sequential(conv(3, 48), nn.ReLU(), nn.PixelShuffle(4), conv())),
    "enlarged by repetition": (4, lambda: nn.Sequential(conv(), Doubled(), conv(), Doubled(), nn.SiLU(), conv())),
    "normalised": (1, lambda: nn.Sequential(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 3))),
    "recurrent": (1, lambda: Made(recurrent, conv(6, 3), conv())),
    "noise map": (1, lambda: Made(noise_map, conv(4, 3))),
    "halves": (1, lambda: Made(halves, conv(3, 6))),
    "in place": (1, lambda: Made(in_place, conv(), conv())),
    "its input in place": (1, lambda: Made(input_in_place, conv())),
    "constants": (1, lambda: Made(constants, conv())),
    "no padding inside": (1, lambda: Made(lambda x, a, b: b(a(x)), conv(padding=2), conv(padding=0))),
    "SRVGGNetCompact": (2, lambda: SRVGGNetCompact(num_feat=8, num_conv=2, upscale=2)),
}  # fmt: skip


def built(name):
    torch.manual_seed(0)
    scale, make = FOLLOWED[name]
    return scale, make().eval().requires_grad_(False)


@pytest.mark.parametrize("name", FOLLOWED)
def test_the_region_is_that_of_the_whole_network(name):
    scale, net = built(name)
    img, region = torch.rand(1, 3, SIDE, SIDE), Box(9 * scale, 8 * scale, 15 * scale, 14 * scale)
    cone = Cone(net, img, region)
    boxes = [
        (0, 0, 4, 4),
        (20, 20, 24, 24),
        (5, 9, 9, 12),
        (14, 0, 15, 24),
        (8, 13, 12, 16),
        (0, 0, 24, 24),
        (23, 5, 24, 6),
    ]
    with torch.no_grad():
        assert torch.equal(cone(img), net(img.clone())[..., region.top : region.bottom, region.left : region.right])
        for top, left, bottom, right in boxes:
            changed = img.clone()
            changed[..., top:bottom, left:right] = torch.rand(1, 3, bottom - top, right - left)
            whole = net(changed.clone())[..., region.top : region.bottom, region.left : region.right]
            torch.testing.assert_close(cone(changed), whole, rtol=0, atol=1e-5)
        assert torch.equal(cone(img), net(img.clone())[..., region.top : region.bottom, region.left : region.right])


REFUSED = {
    "pooling": lambda x, a: x * a(x).mean((2, 3), keepdim=True),
    "pooling of windows": lambda x, a: F.interpolate(F.max_pool2d(a(x), 2), scale_factor=2.0),
    "interpolation": lambda x, a: F.interpolate(a(x)[..., ::2, ::2], scale_factor=2.0, mode="bilinear"),
    "reflection": lambda x, a: a(F.pad(x, (2, 2, 2, 2), mode="reflect"))[..., 2:-2, 2:-2],
    "a map that is a constant": lambda x, a: a(x) * torch.linspace(0, 1, SIDE),
    "attention": lambda x, a: (a(x).flatten(2).softmax(-1)).view(x.shape),
    "another axis": lambda x, a: torch.cat([a(x), x], 2)[..., :SIDE, :],
    "dynamic kernels": lambda x, a: F.conv2d(x, a(x)[:, :, :3, :3].expand(3, 3, 3, 3), padding=1),
    "a constant output": lambda x, a: torch.ones(1, 3, SIDE, SIDE),
    "values": lambda x, a: a(x) if x.max() > 2 else x,
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_operations_are_refused(name):
    net = Made(REFUSED[name], conv()).eval()
    img = torch.rand(1, 3, SIDE, SIDE)
    with pytest.raises(ValueError, match="expected convolutions"):
        Cone(net, img, Box(8, 8, 12, 12))
    assert BlackBox(net, 1).cone(img[0], Box(8, 8, 12, 12)) is None


def test_results_that_share_memory_are_not_mixed_up():
    # Half of y changes in place after y was made: followed wrongly, which a sample shows, or not at all.
    net = Made(halves_in_place, conv(3, 6), conv(6, 3)).eval()
    img, region = torch.rand(1, 3, SIDE, SIDE), Box(8, 8, 12, 12)
    with torch.no_grad():
        cone = Cone(net, img, region)
        assert torch.equal(cone(img), net(img)[..., 8:12, 8:12])


def test_large_networks_run_as_a_whole(monkeypatch):
    net = nn.Sequential(conv(), conv()).eval()
    monkeypatch.setattr("causaliqa.effects.cone.MOST", 2 * 3 * SIDE**2 * 4 - 1)
    assert BlackBox(net, 1).cone(torch.rand(3, SIDE, SIDE), Box(8, 8, 12, 12)) is None
    monkeypatch.setattr("causaliqa.effects.cone.MOST", 2 * 3 * SIDE**2 * 4)
    assert BlackBox(net, 1).cone(torch.rand(3, SIDE, SIDE), Box(8, 8, 12, 12)) is not None


def test_a_cone_that_fails_is_given_up(monkeypatch):
    def fails(self, x):
        raise RuntimeError("no kernel for this size")

    monkeypatch.setattr(Cone, "__call__", fails)
    net, img = create_restorer("tiny_dncnn_50", device="cpu"), torch.rand(3, 96, 96)
    assert not prepare(BlackBox(net, 1), psnr, img, ROI(40, 40, 16, 16), settings()).runner.is_incremental


def test_multiplications_by_hand():
    # 20 x 20 pixels, two convolutions of 3 x 3; the region of 4 x 4 needs 6 x 6 pixels of the first.
    net = nn.Sequential(conv(3, 5), conv(5, 3)).requires_grad_(False)
    cone = Cone(net, torch.rand(1, 3, 20, 20), Box(8, 8, 12, 12))
    assert cone.steps == 2
    # A pixel of the input beside the region: 3 x 3 pixels of the first, of which 3 x 2 are needed (columns 7 to 12) ...
    plan = cone.plan(Box(9, 13, 10, 14))
    assert plan[1:] == [Box(8, 12, 11, 13), Box(8, 11, 12, 12)]
    whole = 400 * (3 * 5 * 9 + 5 * 3 * 9)
    part = 3 * 1 * (3 * 5 * 9) + 4 * 1 * (5 * 3 * 9)
    assert cone.share([Box(9, 13, 10, 14)]) == pytest.approx(part / whole)
    assert cone.saved([Box(9, 13, 10, 14)]) == pytest.approx(whole - part)
    # ... and one that is too far away changes nothing.
    assert cone.plan(Box(9, 15, 10, 16))[2] is None


def settings(**options):
    given = {"degradation": create_degradation("denoise", sigma=50), "sampler": create_sampler("noise")}
    return CemSettings(**given, **options)


def test_effects_are_those_of_the_whole_network():
    net, img = create_restorer("tiny_dncnn_50", device="cpu"), torch.rand(3, 96, 96)
    made = [
        CausalEffectMap(net, device="cpu").attribute(
            img, (40, 40, 16, 16), degradation="denoise", sampler="noise", fine=2, coarse=1, prune=prune, progress=False
        )
        for prune in (True, False)
    ]
    assert "computes what a patch changes" in made[0].facts["reach"]
    assert "computes" not in made[1].facts["reach"]
    # Where a change of 1e-6 crosses the border between two gray levels, PSNR jumps.
    np.testing.assert_allclose(made[0].effect, made[1].effect, rtol=0, atol=5e-4)


def test_small_networks_run_as_a_whole():
    runner = prepare(BlackBox(conv().eval(), 1), psnr, torch.rand(3, 32, 32), ROI(12, 12, 8, 8), settings()).runner
    assert not runner.is_incremental


def test_a_wrong_cone_is_given_up(monkeypatch):
    net, img = create_restorer("tiny_dncnn_50", device="cpu"), torch.rand(3, 96, 96)
    real = Cone.__call__
    monkeypatch.setattr(Cone, "__call__", lambda self, x: real(self, x) + 2e-5)
    assert not prepare(BlackBox(net, 1), psnr, img, ROI(40, 40, 16, 16), settings()).runner.is_incremental
    monkeypatch.setattr(Cone, "__call__", real)
    assert prepare(BlackBox(net, 1), psnr, img, ROI(40, 40, 16, 16), settings()).runner.is_incremental


def test_the_network_is_left_as_it_was():
    net = nn.Sequential(conv(3, 8), nn.BatchNorm2d(8), conv(8, 3)).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    assert BlackBox(net, 1).cone(torch.rand(3, SIDE, SIDE), Box(8, 8, 12, 12)) is not None
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
