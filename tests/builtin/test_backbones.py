"""Every backbone keeps timm's features_only contract."""

import pytest
import torch
from torch import nn
from torchvision.models import vgg16

from causaliqa.api.errors import WeightsInputError
from causaliqa.api.specs import BackboneSpec
from causaliqa.builtin.backbones.vgg import L2Pool
from causaliqa.catalog.create import create_backbone, default_catalog, list_backbones
from causaliqa.io.weights import load_state, resolve

BUILTIN = list_backbones()


@pytest.fixture(scope="module", params=BUILTIN)
def backbone(request):
    return request.param, create_backbone(request.param, pretrained=False)


def test_maps_are_as_announced(backbone):
    _, net = backbone
    with torch.no_grad():
        maps = net(torch.rand(2, 3, 64, 96))
    assert [m.shape[1] for m in maps] == net.feature_info.channels()
    for m, stride in zip(maps, net.feature_info.reduction(), strict=True):
        assert m.shape == (2, m.shape[1], 64 // stride, 96 // stride)
        assert torch.isfinite(m).all()


def test_smallest_image(backbone):
    name, net = backbone
    side = default_catalog().registrations(BackboneSpec)[name].spec.min_size
    with torch.no_grad():
        assert all(min(m.shape) >= 1 for m in net(torch.rand(1, 3, side, side)))


def test_frozen(backbone):
    _, net = backbone
    assert not net.training
    assert not any(p.requires_grad for p in net.parameters())


def test_share_needs_features_that_are_never_negative(backbone):
    name, net = backbone
    if default_catalog().registrations(BackboneSpec)[name].spec.mass == "share":
        with torch.no_grad():
            assert all(float(m.min()) >= 0 for m in net(torch.rand(1, 3, 64, 64)))


def test_vgg_taps_are_those_of_the_paper():
    assert create_backbone("vgg", pretrained=False).feature_info.channels() == [64, 128, 256, 512, 512]
    assert create_backbone("resnet", pretrained=False).feature_info.channels() == [256, 512, 1024, 2048]
    assert len(create_backbone("effnet", pretrained=False).feature_info.channels()) == 7


def test_taps_keep_their_values():
    """An in-place layer behind a tap would change what was handed out."""
    net = create_backbone("resnet", pretrained=False)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        maps = net(x)
        again = net.stages[0](x)
    assert torch.equal(maps[0], again)


def test_l2_pool_by_hand():
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 4.0
    out = L2Pool(1)(x)
    assert out.shape == (1, 1, 3, 3)
    # The Hann kernel of hanning(5)[1:-1] is [.5, 1, .5] x itself / 4: its centre weighs 1/4.
    assert out[0, 0, 1, 1].item() == pytest.approx((16 / 4) ** 0.5)
    assert out[0, 0, 0, 0].item() == pytest.approx(1e-6)


def test_lite0_has_its_trained_weights():
    trained, untrained = create_backbone("effnet_lite0"), create_backbone("effnet_lite0", pretrained=False)
    first = next(m for m in trained.modules() if isinstance(m, nn.Conv2d)).weight
    other = next(m for m in untrained.modules() if isinstance(m, nn.Conv2d)).weight
    assert not torch.equal(first, other)
    assert float(trained.network.stages[0][2].running_var.std()) > 0


@pytest.mark.parametrize("size", [(64, 64), (65, 95), (33, 32)])
def test_lite0_is_timms_network(size):
    """The weights file has other names than timm, in the same order."""
    timm = pytest.importorskip("timm")
    ours, theirs = create_backbone("effnet_lite0"), timm.create_model("tf_efficientnet_lite0").eval()
    (entry,) = [w for w in default_catalog().registry.weights.values() if w.file.startswith("efficientnet-lite0")]
    state = dict(zip(theirs.state_dict(), load_state(resolve(entry, None)).values(), strict=True))
    features = timm.create_model("tf_efficientnet_lite0", features_only=True).eval()
    features.load_state_dict(state, strict=False)
    assert ours.feature_info.channels() == features.feature_info.channels()
    assert ours.feature_info.reduction() == features.feature_info.reduction()
    x = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(ours(x), features(x), strict=True))


def test_lite0_refuses_other_weights(tmp_path):
    torch.save({"conv.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsInputError, match="do not fit EfficientNet-Lite0"):
        create_backbone("effnet_lite0", weights=tmp_path / "other.pth")


def test_vgg_with_weights_is_torchvisions(tmp_path):
    features = vgg16(weights=None).features.eval()
    torch.save({f"features.{name}": value for name, value in features.state_dict().items()}, tmp_path / "vgg.pth")
    ours, x = create_backbone("vgg", weights=tmp_path / "vgg.pth"), torch.rand(1, 3, 32, 40)
    with torch.no_grad():
        assert torch.equal(ours(x)[0], features[:4](x))
    convolutions = [m for m in ours.modules() if isinstance(m, nn.Conv2d)]
    for ours, theirs in zip(convolutions, [m for m in features if isinstance(m, nn.Conv2d)], strict=True):
        assert torch.equal(ours.weight, theirs.weight)
        assert torch.equal(ours.bias, theirs.bias)
        assert (ours.stride, ours.padding) == (theirs.stride, theirs.padding)


@pytest.mark.data
def test_trained_vgg_sees_what_the_index_says(vgg_weights):
    net = create_backbone("vgg", weights=vgg_weights)
    assert float(net.stages[0][0].weight.abs().sum()) > 0
