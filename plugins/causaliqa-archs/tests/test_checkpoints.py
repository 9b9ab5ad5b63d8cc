"""Real checkpoints: identified by the file alone, and better than their input on a small crop."""

import numpy as np
import pytest
import torch
from causaliqa_archs.restorer import build
from causaliqa_archs.value_range import likely_range
from PIL import Image

import causaliqa

pytestmark = pytest.mark.data

SUPER = {
    "imdn_x4/IMDN_x4.pth": ("imdn", 4),
    "srmdnf_x4/SRMDNF_x4_nc128_nb12.pth": ("srmd", 4),
    "restoration/PANx4_DF2K.pth": ("pan", 4),
    "restoration/carn_m.pth": ("carn_m", 4),
    "restoration/fuyongXu_srcnn_x3.pth": ("srcnn", 3),
    "restoration/ntire2022_imdn_baseline.pth": ("imdn_plain", 4),
    "restoration/ntire2022_rfdn_baseline.pth": ("rfdn", 4),
    "restoration/ntire2024_team34_craft.pth": ("craft", 4),
    "restoration/ntire2025_team54_HITSR.pth": ("hit_sr", 4),
    "restoration/rlfn_x4.pth": ("rlfn", 4),
}
SAME_SIZE = {
    "dncnn_color_blind/dncnn_color_blind.pth": ("dncnn", "noise", 10),
    "dncnn_color_zhang/dncnn_color_sigma50.pth": ("dncnn", "noise", 10),
    "restoration/ffdnet_color.pth": ("ffdnet", "noise", 10),
    "restoration/adnet_color50.pth": ("adnet", "noise", 10),
    "prenet/PReNet6_Rain100L.pth": ("prenet", "rain", 3),
    "prenet/PReNet6_Rain100H.pth": ("prenet", "rain", 3),
    "restoration/wacv_gcanet_dehaze.pth": ("gcanet", "haze", 5),
}


@pytest.fixture(scope="module")
def clean(data):
    """A crop of Set5's butterfly, ``(1, 3, 96, 96)``."""
    img = Image.open(data / "restoration" / "Set5" / "butterfly_GT.webp").convert("RGB").crop((80, 80, 176, 176))
    return torch.from_numpy(np.array(img)).permute(2, 0, 1)[None].float() / 255


def psnr(img, ref):
    return float(-10 * (img.clamp(0, 1) - ref).double().square().mean().log10())


def spoil(clean, how):
    if how == "noise":
        return clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)) * 50 / 255
    if how == "haze":
        return 0.5 * clean + 0.45
    return causaliqa.create_degradation("derain").degrade(clean, 0)


@pytest.mark.parametrize("file", SUPER)
def test_super_resolution(file, data, clean):
    arch, scale = SUPER[file]
    restorer = causaliqa.create_restorer(f"archs:{data / 'weights' / file}", device="cpu")
    small = torch.nn.functional.interpolate(clean, scale_factor=1 / scale, mode="bicubic", antialias=True)
    large = torch.nn.functional.interpolate(small, scale_factor=float(scale), mode="bicubic", antialias=True)
    with torch.no_grad():
        out = restorer(small)
    assert (restorer.arch, restorer.scale) == (arch, scale)
    assert psnr(out, clean) > psnr(large, clean) + 2


@pytest.mark.parametrize("file", SAME_SIZE)
def test_same_size(file, data, clean):
    arch, how, gain = SAME_SIZE[file]
    restorer = causaliqa.create_restorer(f"archs:{data / 'weights' / file}", device="cpu")
    spoilt = spoil(clean, how)
    with torch.no_grad():
        out = restorer(spoilt)
    assert (restorer.arch, restorer.scale) == (arch, 1)
    assert psnr(out, clean) > psnr(spoilt, clean) + gain


@pytest.mark.parametrize(
    ("file", "white"),
    [
        ("restoration/rlfn_x4.pth", 255.0),
        ("restoration/ntire2022_rfdn_baseline.pth", 255.0),
        ("restoration/PANx4_DF2K.pth", 1.0),
        ("restoration/ntire2022_imdn_baseline.pth", 1.0),
        ("imdn_x4/IMDN_x4.pth", 1.0),
        ("restoration/ntire2024_team34_craft.pth", 1.0),
    ],
)
def test_the_range_that_a_network_was_trained_for_is_seen(file, white, data):
    assert likely_range(lambda tried: build(file=data / "weights" / file, input_range=tried)) == white


def test_every_scale_of_a_file_with_several(data, clean):
    file = data / "weights" / "restoration" / "carn_m.pth"
    with torch.no_grad():
        for scale in (2, 3, 4):
            restorer = causaliqa.create_restorer(f"archs:{file}", device="cpu", scale=scale)
            small = torch.nn.functional.interpolate(clean, scale_factor=1 / scale, mode="bicubic", antialias=True)
            large = torch.nn.functional.interpolate(small, scale_factor=float(scale), mode="bicubic", antialias=True)
            assert psnr(restorer(small), clean) > psnr(large, clean) + 2


@pytest.mark.parametrize(
    "file", ["realesr_animevideov3_x4/SRVGGNetCompact_x4_nf64_nc16_prelu.pth", "vgg16_features_rgb_imagenet_norm.pth"]
)
def test_other_networks_are_refused(file, data):
    with pytest.raises(causaliqa.InputError, match="of no architecture known here"):
        causaliqa.create_restorer(f"archs:{data / 'weights' / file}", device="cpu")
