"""Which metrics round to 8 bits, measured on gray images that differ by less than a step of them."""

import pytest
import torch

import causaliqa
from causaliqa.api.errors import CausaliqaError
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.create import default_catalog
from causaliqa.io.photographs import photograph

SPECS = {
    name: default_catalog().get(MetricSpec, name).spec
    for name in default_catalog().names(MetricSpec)
    if default_catalog().get(MetricSpec, name).spec.metric_mode == "FR"
}
OFFLINE = (
    *("calibrated_effnet_lite0", "causal_effnet_lite0", "cw_ssim", "fsim", "gmsd", "mad", "ms_ssim", "nlpd", "psnr"),
    *("psnry", "ssim", "ssimc", "vif", "vsi"),
)


@pytest.fixture(scope="module")
def images():
    """A reference, a distorted image of whole steps, and one that differs from it by up to 0.3 of a step."""
    gray = torch.from_numpy(photograph("astronaut")[:176, :176].copy()).float().mean(2)
    generator = torch.Generator().manual_seed(0)
    ref = gray.round() / 255
    img = (gray + 8 * torch.randn(gray.shape, generator=generator)).clamp(1, 254).round() / 255
    fine = img + (torch.rand(gray.shape, generator=generator) - 0.5) * 0.6 / 255
    return [x.expand(1, 3, -1, -1).contiguous() for x in (ref, img, fine)]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "mad" else []) for name in OFFLINE]
)
def test_the_record_says_who_rounds(name, images):
    ref, img, fine = images
    metric = causaliqa.create_metric(name)
    with torch.no_grad():
        same = float(metric(img, ref)) == float(metric(fine, ref))
    assert same == SPECS[name].rounds_to_8_bits


def test_no_other_metric_claims_anything():
    assert {name for name, spec in SPECS.items() if spec.rounds_to_8_bits or spec.takes_hdr} <= set(OFFLINE)


def test_only_metrics_of_light_take_values_above_one(images):
    ref, img, _ = images
    with pytest.raises((CausaliqaError, AssertionError)):
        causaliqa.create_metric("gmsd")(img * 2, ref * 2)
    metric = causaliqa.create_metric("psnr")
    # The difference doubles: 6.02 dB.
    assert float(metric(img, ref)) - float(metric(img * 2, ref * 2)) == pytest.approx(6.02, abs=0.01)
    with pytest.raises(CausaliqaError, match="divide 8-bit values by 255"):
        metric(img * 255, ref * 255)
