"""pyiqa's own metrics under their own names."""

import pyiqa
import pytest
import torch

from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.create import create_metric, default_catalog
from causaliqa.interop.hooks import default_configs


def test_every_single_image_metric_of_pyiqa_is_there():
    ours = {n for n, r in default_catalog().registrations(MetricSpec).items() if r.provider == "pyiqa"}
    sets = {"fid", "sfid", "fid_dinov2", "inception_score"}
    assert ours == set(default_configs()) - sets
    assert "psnr" in ours


@pytest.mark.parametrize("name", ["psnr", "cw_ssim", "gmsd", "nlpd"])
def test_scores_are_pyiqas(name):
    img, ref = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    metric = create_metric(name, device="cpu")
    expected = pyiqa.create_metric(name, device="cpu")
    assert metric.lower_better == bool(expected.lower_better)
    assert torch.equal(metric(img, ref), expected(img, ref).flatten())
    assert torch.equal(create_metric(f"pyiqa:{name}", device="cpu")(img, ref), metric(img, ref))


def test_no_reference_metric_ignores_the_reference():
    metric = create_metric("entropy", device="cpu")
    assert metric.metric_mode == "NR"
    img = torch.rand(1, 3, 64, 64)
    assert torch.equal(metric(img, torch.zeros_like(img)), metric(img, img))
