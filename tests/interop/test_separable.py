"""Windows as two convolutions: pyiqa's scores up to rounding, and no other convolution touched."""

import pyiqa
import pytest
import torch
import torch.nn.functional as F

from causaliqa.interop.metric import PyiqaMetric
from causaliqa.interop.separable import SEPARABLE, SeparableWindows, outer_product
from causaliqa.io.images import as_image
from causaliqa.io.photographs import photograph

TOLERANCE = {"vif": 1e-5}
"""VIF computes in single precision; the others round to 1e-9."""


def _pairs():
    for seed, name in enumerate(("chelsea", "coffee")):
        ref = as_image(photograph(name))[..., :192, :224]
        noise = torch.randn(ref.shape, generator=torch.Generator().manual_seed(seed))
        yield (ref + 0.01 * noise).clamp(0, 1), ref
        yield F.avg_pool2d(ref, 5, 1, 2), ref


@pytest.mark.parametrize("name", sorted(SEPARABLE))
def test_scores_are_those_of_pyiqa(name):
    ours, theirs = PyiqaMetric(name), pyiqa.create_metric(name, device="cpu")
    for img, ref in _pairs():
        with torch.no_grad():
            score, expected = float(ours(img, ref)), float(theirs(img, ref))
            with SeparableWindows() as mode:
                theirs(img, ref)
        assert score == pytest.approx(expected, rel=TOLERANCE.get(name, 1e-9))
        assert mode.split > 0


@pytest.mark.parametrize("name", sorted(SEPARABLE))
def test_identical_images_keep_their_score(name):
    ref = as_image(photograph("coffee"))[..., :192, :224]
    with torch.no_grad():
        assert float(PyiqaMetric(name)(ref, ref)) == pytest.approx(1, rel=TOLERANCE.get(name, 1e-9))


def test_a_batch_is_scored_image_by_image():
    images, refs = (torch.cat(v) for v in zip(*_pairs(), strict=True))
    metric = PyiqaMetric("ssim")
    with torch.no_grad():
        singly = torch.cat([metric(img[None], ref[None]) for img, ref in zip(images, refs, strict=True)])
        torch.testing.assert_close(metric(images, refs), singly, rtol=1e-12, atol=0)


def test_gradients_pass_through_the_whole_window():
    (img, ref), *_ = _pairs()
    img = img.clone().requires_grad_()
    loss = pyiqa.create_metric("ssim", device="cpu", as_loss=True)
    (expected,) = torch.autograd.grad(loss(img, ref).sum(), img)
    with SeparableWindows() as mode:
        (found,) = torch.autograd.grad(loss(img, ref).sum(), img)
    assert mode.split == 0
    assert torch.equal(found, expected)


WINDOW = torch.outer(torch.arange(1.0, 12), torch.arange(11.0, 0, -1))[None, None] / 4356


@pytest.mark.parametrize(
    ("channels", "weight", "options", "split"),
    [
        (1, WINDOW, {}, 1),
        (3, WINDOW.repeat(3, 1, 1, 1), {"groups": 3}, 1),
        (3, WINDOW.repeat(3, 1, 1, 1) * torch.tensor([1.0, 2, 3])[:, None, None, None], {"groups": 3}, 0),
        (1, WINDOW, {"stride": 2}, 0),
        (1, WINDOW, {"padding": 5}, 0),
        (1, WINDOW, {"dilation": 2}, 0),
        (1, WINDOW, {"bias": torch.ones(1)}, 0),
        (1, WINDOW[..., :7, :7], {}, 0),
        (1, WINDOW + 1e-3 * torch.eye(11), {}, 0),
        (1, WINDOW - WINDOW.mean(), {}, 0),
        (1, torch.zeros(1, 1, 11, 11), {}, 0),
        (2, WINDOW.repeat(1, 2, 1, 1), {}, 0),
        (1, WINDOW.repeat(2, 1, 1, 1), {}, 0),
    ],
)
def test_only_windows_are_split(channels, weight, options, split):
    img = torch.rand(2, channels, 40, 33, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = F.conv2d(img, weight, **options)
        with SeparableWindows() as mode:
            fast = F.conv2d(img, weight, **options)
    assert mode.split == split
    if split:
        torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-6)
    else:
        assert torch.equal(fast, plain)


def test_the_product_has_the_total_of_the_window():
    window = torch.exp(-0.5 * (torch.arange(-5.0, 6) / 1.5) ** 2)
    window = torch.outer(window, window)
    window = (window / window.sum()).double()
    column, row = outer_product(window)
    assert float(column.sum() * row.sum()) == pytest.approx(float(window.sum()), abs=1e-15)
    assert outer_product(window + 1e-6 * torch.eye(11)) is None
