"""Real basicsr; skipped where the extra is not installed."""

import importlib
import importlib.util
import sys

import pytest
import torch

from causaliqa.api.errors import InputError
from causaliqa.builtin.restorers import tiny
from causaliqa.builtin.restorers.basicsr import architectures, build

pytestmark = pytest.mark.skipif(importlib.util.find_spec("basicsr") is None, reason="needs the extra [basicsr]")

SMALL = {
    "EDSR": ({"num_feat": 8, "num_block": 1}, 4),
    "MSRResNet": ({"num_feat": 8, "num_block": 1}, 4),
    "RCAN": ({"num_feat": 16, "num_group": 1, "num_block": 1, "squeeze_factor": 4}, 4),
    "RRDBNet": ({"num_feat": 8, "num_block": 1, "num_grow_ch": 4, "scale": 2}, 2),
    "SwinIR": (
        {"upscale": 2, "embed_dim": 12, "depths": [2], "num_heads": [2], "window_size": 8, "mlp_ratio": 2,
         "upsampler": "pixelshuffledirect", "img_size": 16},
        2,
    ),
    "SRVGGNetCompact": ({"num_feat": 8, "num_conv": 1}, 4),
    "RIDNet": ({"mid_channels": 16, "num_block": 1, "img_range": 1.0}, 1),
    "ECBSR": ({"num_block": 1, "num_channel": 8, "with_idt": False, "act_type": "prelu", "scale": 2}, 2),
}  # fmt: skip


@pytest.mark.parametrize("arch", SMALL)
def test_architectures_take_any_size_and_more_than_one_image(arch):
    torch.manual_seed(0)
    options, scale = SMALL[arch]
    net = build(arch=arch, **options)
    img = torch.rand(2, 3, 17, 19)
    out = net(img)
    assert out.shape == (2, 3, 17 * scale, 19 * scale)
    torch.testing.assert_close(out[1:], net(img[1:]), atol=1e-5, rtol=1e-4)


def test_removed_module_is_there_during_the_import_only():
    architectures()
    assert "torchvision.transforms.functional_tensor" not in sys.modules


@pytest.mark.parametrize("name", [name for name, (arch, _) in tiny.ARCHS.items() if arch != "FoldedNAFNet"])
def test_small_networks_load_into_the_class_of_basicsr(name):
    arch, options = tiny.ARCHS[name]
    theirs = build(arch=arch, checkpoint=tiny.WEIGHTS / f"{name}.safetensors", **options)
    img = torch.rand(1, 3, 20, 24)
    torch.testing.assert_close(theirs(img), tiny.build(name=name)(img), atol=2e-6, rtol=0)


def test_unknown_names_and_arguments_are_explained():
    with pytest.raises(InputError, match=r"Did you mean .*'EDSR'"):
        build(arch="EDRS")
    with pytest.raises(InputError, match="mid_channels"):
        build(arch="RIDNet")
    with pytest.raises(InputError, match="num_feats"):
        build(arch="EDSR", num_feats=3)
    with pytest.raises(InputError, match="cannot be imported"):
        build(arch="EDSR", package="no_such_package")


def test_third_party_architectures_work(tmp_path, monkeypatch):
    (tmp_path / "third_party_archs.py").write_text(
        "from torch import nn\n"
        "from basicsr.utils.registry import ARCH_REGISTRY\n"
        "@ARCH_REGISTRY.register()\n"
        "class ThirdPartyNet(nn.Module):\n"
        "    def forward(self, x):\n"
        "        return x\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert build(arch="ThirdPartyNet", package="third_party_archs")(torch.ones(1, 3, 4, 4)).shape == (1, 3, 4, 4)


def test_wrong_checkpoint_lists_keys():
    with pytest.raises(InputError, match=r"missing: .*unexpected: "):
        build(arch="RCAN", checkpoint=tiny.WEIGHTS / "tiny_edsr_x4.safetensors", num_feat=32, num_group=1, num_block=1)
