"""Tiles: their geometry, seams of local networks against the whole image, and what global networks lose."""

import pytest
import torch
from torch import nn

from causaliqa import InputError
from causaliqa.builtin.restorers.padding import Adapted
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.tiles import (
    Tiling,
    choose_tiling,
    fitting_side,
    middle,
    pixel_memory,
    receptive_radius,
    restored,
)


def rand(height, width):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))


def convolutions(depth, scale=1):
    torch.manual_seed(depth)
    layers = [nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()]
    layers += [m for _ in range(depth - 2) for m in (nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())]
    return nn.Sequential(*layers, nn.Conv2d(6, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))


def strided():
    """A small U: the output depends on where a tile begins."""
    torch.manual_seed(0)
    down, up = nn.Conv2d(3, 6, 8, stride=8), nn.ConvTranspose2d(6, 3, 8, stride=8)
    return Adapted(nn.Sequential(down, nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(), up), multiple=8)


def pooled(x):
    return 0.9 * x + 0.1 * x.mean((2, 3), keepdim=True)


def gap(network, img, tiling):
    return float((restored(network, img, tiling) - restored(network, img)).abs().max())


@pytest.mark.parametrize(("height", "width"), [(1, 1), (30, 31), (100, 64), (65, 257), (200, 48)])
@pytest.mark.parametrize(("side", "overlap", "multiple"), [(32, 0, 1), (33, 7, 1), (64, 16, 16), (40, 8, 8)])
def test_tiles_cover_every_pixel_once(height, width, side, overlap, multiple):
    count = torch.zeros(height, width)
    for tile, core in Tiling(side=side, overlap=overlap, multiple=multiple).tiles(height, width):
        count[core.top : core.bottom, core.left : core.right] += 1
        assert tile.top % multiple == tile.left % multiple == 0
        assert tile.height <= side and tile.width <= side
        for inner, outer, end in ((core.top, tile.top, 0), (core.left, tile.left, 0)):
            assert outer == max(end, inner - overlap)
        for inner, outer, end in ((core.bottom, tile.bottom, height), (core.right, tile.right, width)):
            assert outer == min(end, inner + overlap)
    assert (count == 1).all()


def test_a_tile_that_is_all_overlap_is_refused():
    with pytest.raises(InputError, match="more than twice the overlap"):
        Tiling(side=16, overlap=8)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("depth", [3, 7])
def test_overlap_of_the_radius_leaves_no_seam_and_less_does(depth, scale):
    network, img = BlackBox(convolutions(depth, scale), scale), rand(70, 91)
    assert receptive_radius(network, img) == depth
    assert gap(network, img, Tiling(side=40, overlap=depth)) <= 1e-6
    assert gap(network, img, Tiling(side=40, overlap=1)) > 1e-6
    tiling, change = choose_tiling(network, img, 40, whole=True)
    assert tiling == Tiling(side=40, overlap=depth)
    assert change <= 1e-6


@pytest.mark.parametrize("whole", [True, False])
def test_strides_are_met_by_where_tiles_begin(whole):
    network, img = BlackBox(strided(), 1), rand(150, 171)
    tiling, change = choose_tiling(network, img, 72, whole=whole)
    assert tiling.multiple == 8
    assert change <= 1e-5
    assert gap(network, img, tiling) <= 1e-5
    assert gap(network, img, Tiling(side=72, overlap=tiling.overlap + 3)) > 1e-4


@pytest.mark.parametrize("whole", [True, False])
def test_global_pooling_is_measured(whole):
    network, img = BlackBox(pooled, 1), rand(80, 80)
    img[:, :, 40:] *= 0.2  # the halves differ, so do means over tiles
    assert receptive_radius(network, img) is None
    tiling, change = choose_tiling(network, img, 48, whole=whole)
    assert change > 1e-4
    if whole:
        assert change <= gap(network, img, tiling) + 1e-7


def test_the_network_is_left_as_it_was():
    net = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Dropout(0.5)).train()
    net[0].eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    made = restored(BlackBox(net, 1), rand(40, 40), Tiling(side=24, overlap=4))
    assert [m.training for m in net] == [False, True, True]
    assert all(torch.equal(v, net.state_dict()[k]) for k, v in before.items())
    assert torch.allclose(made, restored(BlackBox(net, 1), rand(40, 40)), atol=1e-6)


def test_memory_decides_about_tiles():
    network = BlackBox(convolutions(3), 1)
    each = pixel_memory(network, rand(200, 200))
    assert each >= 48  # input and output, here and on the device
    assert fitting_side(1e12, 100.0, 4000, 4000) is None
    # 60 % of 10 MB at 100 bytes are 60,000 pixels: 244 x 244, in multiples of 64.
    assert fitting_side(1e7, 100.0, 1000, 1000) == 192
    assert fitting_side(1e3, 100.0, 1000, 1000) == 64


def test_the_middle_is_taken_in_multiples():
    img = torch.arange(300.0).expand(3, 40, 300)
    assert middle(img, 256).shape == (3, 40, 256)
    assert float(middle(img, 256)[0, 0, 0]) == 22
