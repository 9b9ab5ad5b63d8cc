"""Pretrained networks stay as they are, whatever is called around them."""

import copy
import pickle

import pytest
import torch
from torch import nn

from causaliqa.api.errors import PluginError
from causaliqa.builtin.backbones._stages import StagedBackbone
from causaliqa.functional.frozen import FrozenBackbone


def backbone(stage=None, channels=(4,), reduction=(1,)):
    torch.manual_seed(0)
    stage = stage or nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5))
    return FrozenBackbone(StagedBackbone([stage], channels=channels, reduction=reduction), name="tiny", provider="mine")


def test_it_is_frozen_from_the_start():
    assert not any(m.training for m in backbone().modules())
    assert not any(p.requires_grad for p in backbone().parameters())


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.train(),
        lambda net: nn.Sequential(net).train()[0],
        copy.deepcopy,
        lambda net: pickle.loads(pickle.dumps(net)),
        lambda net: net.to("cpu").train(),
        lambda net: backbone().train().load_state_dict(net.state_dict()) and net,
    ],
)
def test_maps_stay_the_same(change):
    x, net = torch.rand(2, 3, 8, 8), backbone()
    before, state = net(x)[0], {k: v.clone() for k, v in net.state_dict().items()}
    changed = change(net)
    assert torch.equal(changed.train()(x)[0], before)
    assert all(torch.equal(v, state[k]) for k, v in changed.state_dict().items())


class Last(nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (lambda: backbone(Last(), channels=(3,)), "channels last"),
        (lambda: backbone(nn.Identity(), channels=(4,)), r"map 0 is \(1, 3, 8, 8\)"),
        (lambda: backbone(nn.AvgPool2d(2), channels=(3,)), "stride 1"),
        (lambda: backbone(nn.Conv2d(3, 4, 99)), "does not take images of 8 x 8 pixels"),
        (lambda: FrozenBackbone(nn.Identity(), name="a", provider="b"), "feature_info"),
    ],
)
def test_maps_are_checked(net, message):
    with pytest.raises(PluginError, match=message) as caught:
        net()(torch.rand(1, 3, 8, 8))
    assert "\n" not in str(caught.value)
