"""DeepWSD: identity, batches, the published layout of the histograms."""

import pytest
import torch

from causaliqa.builtin.metrics.deepwsd import DeepWSD


@pytest.mark.parametrize("layout", ["strided", "spatial"])
def test_identity_and_batches(tiny, layout):
    net, spec = tiny
    metric = DeepWSD(net, spec(), layout=layout)
    ref = torch.rand(2, 3, 40, 40)
    img = (ref + 0.2 * torch.rand_like(ref)).clamp(0, 1)
    assert metric(ref, ref).tolist() == [0, 0]
    together = metric(img, ref)
    assert torch.equal(together, torch.cat([metric(img[k : k + 1], ref[k : k + 1]) for k in range(2)]))
    assert all(together > 0)


def test_strided_layout_is_the_published_reshape(tiny):
    net, spec = tiny
    x = torch.arange(2 * 8 * 8.0).view(2, 8, 8)
    published = x.reshape(4, 4, 2, -1).reshape(16, -1)  # bins x (channels * windows)
    ours = DeepWSD(net, spec())._histograms(x, 4)
    assert torch.equal(ours.flatten(0, 1).T, published)


def test_log_is_squared_where_the_image_was_downsampled(tiny):
    net, spec = tiny
    for side, power in ((64, 1), (512, 2)):
        ref = torch.rand(1, 3, side, side)
        img = 1 - ref
        raw = DeepWSD(net, spec(), log=False)(img, ref)
        torch.testing.assert_close(DeepWSD(net, spec())(img, ref), torch.log1p(raw) ** power)


def test_bad_layout(tiny):
    net, spec = tiny
    with pytest.raises(ValueError, match="strided or spatial"):
        DeepWSD(net, spec(), layout="round")


@pytest.mark.data
def test_ranks_like_the_authors(data, vgg_weights):
    """Other weights than theirs, so ranks and not values; 13 CSIQ pairs of one reference."""
    import csv

    from scipy.stats import spearmanr

    from causaliqa.catalog.create import create_metric
    from causaliqa.io.images import load_image

    with (data / "deepwsd_scores" / "csiq.csv").open() as file:
        authors = {row["dist"].lower(): float(row["deepwsd"]) for row in csv.DictReader(file)}
    metric = create_metric("deepwsd", device="cpu", weights=vgg_weights)
    folder = data / "mini_real" / "csiq"
    ref = load_image(folder / "1600.png")
    images = sorted(p for p in folder.glob("1600.*.png") if p.name.lower() in authors)
    assert len(images) >= 10
    with torch.no_grad():
        ours = [metric(load_image(p), ref).item() for p in images]
    assert spearmanr(ours, [authors[p.name.lower()] for p in images]).statistic > 0.9
