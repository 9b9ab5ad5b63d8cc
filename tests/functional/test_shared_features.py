"""Shared features are those of the network, bit for bit, and are computed once."""

import pytest
import torch
from torch import nn

from causaliqa.functional.shared_features import SharedFeatures


class Info:
    """Settings in an object whose text is its address."""

    def __init__(self, value):
        self.value = value


class Net(nn.Module):
    def __init__(self, seed=0, stride=1, extra=None):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.first = nn.Conv2d(3, 4, 3)
            self.second = nn.Conv2d(4, 4, 3)
        self.stride = stride
        self.extra = extra
        self.requires_grad_(False).eval()

    def forward(self, x):
        Net.calls += 1
        first = self.first(x)[..., :: self.stride, :: self.stride]
        return first, self.second(first).relu()


@pytest.fixture(autouse=True)
def _count():
    Net.calls = 0


def _image(seed=0, side=12):
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_two_equal_networks_share_what_is_bit_equal():
    features, x = SharedFeatures(), _image()
    expected = Net()(x)
    found = [features(Net(), x), features(Net(), x.clone())]
    assert Net.calls == 2
    assert features.hits == 1
    for maps in found:
        assert all(torch.equal(a, b) for a, b in zip(maps, expected, strict=True))


def test_settings_in_plain_objects_are_compared():
    features, x = SharedFeatures(), _image()
    for value in (1, 2, 1):
        features(Net(extra=Info(value)), x)
    assert features.hits == 1


@pytest.mark.parametrize(
    "other",
    [
        Net(seed=1),
        Net(stride=2),
        Net(extra=lambda x: x),
        Net(extra=torch.ones(3)),
        Net().double(),
    ],
    ids=["weights", "setting", "function", "tensor", "type"],
)
def test_networks_that_may_differ_do_not_share(other):
    features, x = SharedFeatures(), _image()
    features(Net(extra=lambda x: 2 * x if other.extra is not None else None), x)
    features(Net(), x)
    features(other, x.to(other.first.weight.dtype))
    assert features.hits == 0


@pytest.mark.parametrize("other", [_image(seed=1), _image().double(), _image(side=13)], ids=["bytes", "type", "size"])
def test_other_images_have_other_features(other):
    features = SharedFeatures()
    features(Net(), _image())
    net = Net().to(other.dtype)
    assert all(torch.equal(a, b) for a, b in zip(features(net, other), net(other), strict=True))
    assert features.hits == 0


def test_weights_and_images_that_are_changed_in_place_are_noticed():
    features, net, x = SharedFeatures(), Net(), _image()
    features(net, x)
    x += 0.1
    features(net, x)
    net.first.weight.mul_(2)
    changed = features(net, x)
    assert features.hits == 0
    assert torch.equal(changed[0], net(x)[0])


def test_nothing_is_shared_where_a_gradient_is_wanted_or_in_training():
    features, x = SharedFeatures(), _image()
    for _ in range(2):
        img = x.clone().requires_grad_()
        features(Net(), img)[1].sum().backward()
        assert img.grad.abs().sum() > 0
        features(Net().train(), x)
        features(Net().requires_grad_(), x)
    assert features.hits == 0
    with torch.no_grad():
        features(Net(), img)
        features(Net(), img)
    assert features.hits == 1


def test_features_of_inference_mode_stay_there():
    features, x = SharedFeatures(), _image()
    with torch.inference_mode():
        features(Net(), x)
    weight = torch.ones(1, requires_grad=True)
    (features(Net(), x)[0] * weight).sum().backward()
    assert features.hits == 0


def test_no_more_is_kept_than_the_limit():
    one = sum(v.numel() * v.element_size() for v in Net()(_image()))
    features, net = SharedFeatures(limit=2 * one), Net()
    for seed in (0, 1, 0, 2):  # 0 is used again before 2 needs room, so 1 goes
        features(net, _image(seed))
    assert features.hits == 1
    features(net, _image(0))
    assert features.hits == 2
    features(net, _image(1))
    assert features.hits == 2


def test_features_larger_than_the_limit_are_returned_and_not_kept():
    features, x = SharedFeatures(limit=10), _image()
    assert torch.equal(features(Net(), x)[0], Net()(x)[0])
    features(Net(), x)
    assert features.hits == 0


def test_a_caller_cannot_change_the_list():
    features, x = SharedFeatures(), _image()
    features(Net(), x).clear()
    assert len(features(Net(), x)) == 2
