import pytest
import torch
from torch import nn

from causaliqa.builtin.restorers.padding import Adapted
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.grid import Box
from causaliqa.effects.receptive_field import probe

EVERYTHING = Box(0, 0, 48, 56)
REGION = Box(16, 24, 24, 32)


@pytest.fixture
def img():
    torch.manual_seed(0)
    return torch.rand(3, 48, 56)


def convolutions(depth, width=4):
    torch.manual_seed(1)
    layers = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU()]
    layers += [m for _ in range(depth - 2) for m in (nn.Conv2d(width, width, 3, padding=1), nn.ReLU())]
    return nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1)).eval()


def test_identity_reaches_nothing_but_the_region(img):
    reach = probe(BlackBox(nn.Identity(), 1), img, REGION)
    assert reach.support == reach.crop == REGION


@pytest.mark.parametrize("depth", [2, 5])
def test_convolutions_reach_as_far_as_they_are_deep(img, depth):
    reach = probe(BlackBox(convolutions(depth), 1), img, REGION)
    assert reach.support == reach.crop == REGION.grow(depth, EVERYTHING)


def test_reach_ends_at_the_border(img):
    region = Box(0, 48, 8, 56)
    reach = probe(BlackBox(convolutions(3), 1), img, region)
    assert reach.support == Box(0, 45, 11, 56)


def test_a_shift_reaches_to_one_side(img):
    def shifted(x):
        return x.roll(5, dims=3)

    reach = probe(BlackBox(shifted, 1), img, REGION)
    assert reach.support == Box(16, 19, 24, 32)


def test_upscaling_counts_in_input_pixels(img):
    net = nn.Sequential(nn.Conv2d(3, 48, 3, padding=1), nn.PixelShuffle(4)).eval()
    reach = probe(BlackBox(net, 4), img, Box(66, 96, 78, 128))
    assert reach.support == Box(15, 23, 21, 33)


def test_global_pooling_reaches_everything_and_is_told_at_once(img):
    reach = probe(BlackBox(lambda x: x + x.mean((2, 3), keepdim=True), 1), img, REGION)
    assert reach.support == reach.crop == EVERYTHING
    assert reach.probes <= 6


def test_an_operator_that_swallows_nan_is_found_out(img):
    def sly(x):
        return x + torch.nan_to_num(x, nan=0.0).mean((2, 3), keepdim=True)

    reach = probe(BlackBox(sly, 1), img, REGION)
    assert reach.support == EVERYTHING
    assert "random content" in reach.note


def test_a_network_that_refuses_nan_gets_the_full_grid(img):
    def strict(x):
        if x.isnan().any():
            raise RuntimeError("NaN")
        return x

    reach = probe(BlackBox(strict, 1), img, REGION)
    assert reach.support == EVERYTHING
    assert "does not take NaN" in reach.note


def test_windows_make_the_crop_align(img):
    # Means over 8 x 8 windows that start at the image's corner: a crop must start at one, too.
    def windowed(x):
        means = nn.functional.avg_pool2d(x, 8)
        return x + nn.functional.interpolate(means, scale_factor=8.0, mode="nearest")

    region = Box(18, 26, 22, 30)
    reach = probe(BlackBox(windowed, 1), img, region)
    assert reach.support == reach.crop == Box(16, 24, 24, 32)
    padded = probe(BlackBox(Adapted(nn.Sequential(Windowed()), multiple=8), 1), img[:, :45, :50], region)
    assert padded.crop == Box(16, 24, 24, 32)


class Windowed(nn.Module):
    def forward(self, x):
        means = nn.functional.avg_pool2d(x, 8)
        return x + nn.functional.interpolate(means, scale_factor=8.0, mode="nearest")


def test_what_depends_on_its_position_runs_on_the_whole_image(img):
    def placed(x):
        rows = torch.arange(x.shape[-2]).view(1, 1, -1, 1) / x.shape[-2]
        return x * rows

    reach = probe(BlackBox(placed, 1), img, REGION)
    assert reach.support == REGION
    assert reach.crop == EVERYTHING
    assert "full image" in reach.note
