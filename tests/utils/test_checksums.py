import hashlib

import pytest
import torch
from torch import nn

from causaliqa.utils.checksums import state_dict_checksum


def test_names_bytes_and_prefix_by_hand():
    state = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([[3]], dtype=torch.int8)}
    content = b"net" + b"a" + state["a"].numpy().tobytes() + b"b\x03"
    assert state_dict_checksum(state, prefix="net") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("shapes", [False, True])
def test_every_value_counts(shapes):
    net = nn.BatchNorm2d(3)
    before = state_dict_checksum(net.state_dict(), shapes=shapes)
    with torch.no_grad():
        net.running_mean[1] += 1e-7
    assert state_dict_checksum(net.state_dict(), shapes=shapes) != before


def test_shapes_count_if_asked_for():
    flat, square = {"w": torch.zeros(4)}, {"w": torch.zeros(2, 2)}
    assert state_dict_checksum(flat) == state_dict_checksum(square)
    assert state_dict_checksum(flat, shapes=True) != state_dict_checksum(square, shapes=True)
