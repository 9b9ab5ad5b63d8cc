"""pyiqa's maps pooled over a mask: full masks, values outside, and what other implementations give."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from causaliqa.api.errors import CausaliqaError
from causaliqa.catalog.create import create_metric
from causaliqa.functional.masking import fill_outside
from causaliqa.interop.hooks import causaliqa_metrics
from causaliqa.interop.masked_pooling import MASKED, MaskedPooling


def _pair(*size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth images, and noise on the first."""
    generator = torch.Generator().manual_seed(1)
    small = torch.rand(1, 3, 12, 12, generator=generator)
    ref = torch.nn.functional.interpolate(small, size=size, mode="bicubic").clamp(0, 1)
    return (ref + 0.05 * torch.randn(ref.shape, generator=generator)).clamp(0, 1), ref


def _disc(*size: int) -> torch.Tensor:
    y, x = torch.meshgrid(*(torch.arange(side) for side in size), indexing="ij")
    return (y - size[0] / 2) ** 2 + (x - size[1] / 3) ** 2 < (min(size) / 4) ** 2


def test_the_records_say_which() -> None:
    assert {spec.name for spec in causaliqa_metrics() if spec.masked} == set(MASKED)


@pytest.mark.parametrize("size", [(60, 70), (389, 400)], ids=["as it is", "averaged by 2"])
@pytest.mark.parametrize("name", MASKED)
def test_a_full_mask_is_none_and_outside_does_not_matter(name: str, size: tuple[int, int]) -> None:
    metric, (img, ref), mask = create_metric(name, device="cpu"), _pair(*size), _disc(*size)
    whole = metric(img, ref)
    assert metric(img, ref, mask=torch.ones(size, dtype=torch.bool)).item() == pytest.approx(whole.item(), abs=1e-6)
    part = metric(img, ref, mask=mask)
    assert abs(part.item() - whole.item()) > 1e-5
    noise = torch.rand(img.shape, generator=torch.Generator().manual_seed(2))
    assert torch.equal(metric(fill_outside(img, noise, mask), ref, mask=mask), part)
    changed = img.clone()
    changed[..., size[0] // 2, size[1] // 3] = 0.9
    assert not torch.equal(metric(changed, ref, mask=mask), part)


def test_psnr_by_hand() -> None:
    (img, ref), mask = _pair(60, 70), _disc(60, 70)
    error = (img - ref)[..., mask].double().square().mean().item()
    got = create_metric("psnr", device="cpu")(img, ref, mask=mask).item()
    assert got == pytest.approx(10 * np.log10(1 / (error + 1e-8)), abs=1e-4)


def test_ssim_is_the_mean_of_another_implementations_map() -> None:
    from skimage.metrics import structural_similarity

    (img, ref), mask = _pair(60, 70), _disc(60, 70)
    gray = [(x[0, 0] * 255).round().double() for x in (fill_outside(img, ref, mask), ref)]
    settings = {"data_range": 255, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    _, ssim_map = structural_similarity(*(x.numpy() for x in gray), full=True, **settings)
    equal = [x[:, :1].expand(-1, 3, -1, -1) for x in (img, ref)]
    got = create_metric("ssimc", device="cpu")(*equal, mask=mask).item()
    assert got == pytest.approx(ssim_map[mask.numpy()].mean(), abs=1e-3)  # negative parts are cut off, and rounding


def test_gmsd_is_the_deviation_of_the_map_by_hand() -> None:
    """Xue et al., 2014: gradients by Prewitt's filter of luma averaged by two, deviation of their similarity."""
    from scipy import ndimage

    (img, ref), mask = _pair(60, 70), _disc(60, 70)
    weights = np.array([0.299, 0.587, 0.114])
    lumas = [
        (x[0].double().permute(1, 2, 0).numpy() @ weights * 255).round().reshape(30, 2, 35, 2).mean((1, 3))
        for x in (fill_outside(img, ref, mask), ref)
    ]
    first, second = (np.hypot(*(ndimage.prewitt(x, axis=axis, mode="constant") / 3 for axis in (0, 1))) for x in lumas)
    similarity = (2 * first * second + 170) / (first**2 + second**2 + 170)
    inside = mask.float().reshape(30, 2, 35, 2).mean((1, 3)).numpy() >= 0.5
    got = create_metric("gmsd", device="cpu")(img, ref, mask=mask).item()
    assert got == pytest.approx(similarity[inside].std(ddof=1), abs=2e-3)  # pyiqa rounds luma of another matrix


def test_options_without_a_known_map_are_refused() -> None:
    (img, ref), mask = _pair(60, 70), _disc(60, 70)
    with pytest.raises(CausaliqaError, match="no mask is known for"):
        create_metric("psnr", device="cpu", crop_border=4)(img, ref, mask=mask)
    with pytest.raises(CausaliqaError, match="takes no mask"):
        create_metric("nlpd", device="cpu")(img, ref, mask=mask)


def test_a_mask_on_the_border_of_ssim_is_refused() -> None:
    img, ref = _pair(60, 70)
    mask = torch.zeros(60, 70, dtype=torch.bool)
    mask[:5] = True
    with pytest.raises(CausaliqaError, match="it lies at the border"):
        create_metric("ssim", device="cpu")(img, ref, mask=mask)


def test_other_sums_are_left_alone() -> None:
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    inside = torch.zeros(3, 4, dtype=torch.bool)
    inside[0, 1] = True
    with MaskedPooling(inside) as mode:
        alone = [x.sum(), x.sum(dim=1), x.sum(dim=(-1, -2), keepdim=True), x[..., :2].mean(dim=[1, 2, 3])]
        assert mode.pools == 0
        pooled = [x.sum(dim=(-1, -2)), torch.mean(x, dim=[1, 2, 3]), x.view(1, -1).sum(dim=1)]
        assert mode.pools == 3
    assert [v.sum().item() for v in alone] == [66, 66, 66, 4.5]
    assert [v.item() for v in pooled] == [1, 1, 1]


@pytest.mark.parametrize(
    "mask",
    [torch.ones(60, 70), torch.ones(60, 60, dtype=torch.bool), torch.zeros(60, 70, dtype=torch.bool), "mask.png"],
    ids=["floats", "size", "empty", "path"],
)
def test_a_metric_refuses_what_is_no_mask(mask: object) -> None:
    with pytest.raises(CausaliqaError, match=r"expected booleans of shape \(60, 70\)"):
        create_metric("psnr", device="cpu")(*_pair(60, 70), mask=mask)
