"""The mathematics inside: against PIL, numpy and definitions."""

import numpy as np
import pytest
import torch
from causaliqa_archs.networks.colour import enlarge, from_ycbcr, to_ycbcr
from causaliqa_archs.networks.gcanet import _edges
from causaliqa_archs.networks.hit import _Correlation
from causaliqa_archs.networks.san import matrix_root
from causaliqa_archs.networks.windows import cut, distance_index, distances, join
from causaliqa_archs.restorer import build_named
from PIL import Image


def test_colours_go_there_and_back():
    img = torch.rand(2, 3, 5, 6, dtype=torch.float64)
    assert torch.allclose(from_ycbcr(to_ycbcr(img)), img, atol=1e-6)
    luma = (img * torch.tensor([65.481, 128.553, 24.966], dtype=img.dtype).view(3, 1, 1)).sum(1) + 16
    assert torch.allclose(to_ycbcr(img)[:, 0] * 255, luma, atol=1e-4)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_enlargement_is_that_of_pil(scale):
    img = np.random.default_rng(0).random((9, 7), dtype=np.float32)
    expected = Image.fromarray(img).resize((7 * scale, 9 * scale), Image.Resampling.BICUBIC)
    out = enlarge(torch.from_numpy(img)[None, None], scale)[0, 0]
    assert np.allclose(out, np.asarray(expected), atol=1e-5)


def test_matrix_root():
    x = torch.randn(3, 4, 50, dtype=torch.float64)
    covariance = x @ x.mT / 50
    root = matrix_root(covariance, steps=30)
    assert torch.allclose(root @ root, covariance, atol=1e-8)
    assert not matrix_root(torch.zeros(1, 4, 4)).isnan().any()


def test_windows_go_there_and_back():
    x = torch.rand(2, 8, 12, 3)
    parts = cut(x, (4, 2))
    assert torch.equal(parts[0].view(4, 2, 3), x[0, :4, :2])
    assert torch.equal(join(parts, (4, 2), (8, 12)), x)


def test_distances_of_places():
    window = (2, 3)
    table, index = distances(window), distance_index(window)
    places = torch.cartesian_prod(*map(torch.arange, window))
    assert torch.equal(table[index], (places[:, None] - places[None]).float())


@pytest.mark.parametrize(("window", "base"), [(2, 4), (4, 4), (8, 4), (12, 4)])
def test_the_bias_of_a_cell_is_the_mean_over_its_places(window, base):
    torch.manual_seed(0)
    layer = _Correlation(32, 2, window, base, context=False)
    every = layer.pos(layer.places)[distance_index((window, window))].permute(2, 0, 1)
    with torch.no_grad():
        assert torch.allclose(layer._bias(), layer._gather(every).mean(-1), atol=1e-5)


def test_edges_by_hand():
    img = torch.zeros(1, 3, 3, 3)
    img[..., 1, 1] = 4
    expected = torch.tensor([[0.0, 1, 0], [1, 4, 1], [0, 1, 0]])
    assert torch.equal(_edges(img)[0, 0], expected)


def test_sigma_reaches_ffdnet():
    x = torch.rand(1, 3, 9, 9)
    outs = [build_named(name="ffdnet", width=8, depth=4, sigma=sigma)(x) for sigma in (15, 50)]
    assert not torch.equal(*outs)


def test_random_weights_have_a_seed():
    x = torch.rand(1, 3, 8, 8)
    before = torch.get_rng_state()
    first, again, other = (build_named(name="edsr", width=8, blocks=1, seed=seed)(x) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", ["sadnet", "mprnet", "rnan"])
def test_sizes_that_fit_are_not_padded(name):
    from tiny import TINY

    restorer = build_named(name=name, **TINY[name])
    x = torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        assert torch.equal(restorer(x), restorer.network.restore(x))
