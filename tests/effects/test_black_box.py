import hashlib

import pytest
import torch
from torch import nn

from causaliqa.api.errors import InputError
from causaliqa.builtin.restorers.tiny import network
from causaliqa.effects.black_box import BlackBox


class Batched(BlackBox):
    """A network as it is off the CPU."""

    @property
    def effective_batch_size(self):
        return self.batch_size


def test_on_the_cpu_images_go_one_by_one():
    sizes = []
    net = BlackBox(lambda x: sizes.append(len(x)) or x, 1)
    net.fit(8, torch.rand(3, 4, 4))
    assert torch.equal(net(torch.ones(5, 3, 4, 4)), torch.ones(5, 3, 4, 4))
    assert sizes == [1] * 5
    assert net.inferences == 5


def test_batches_have_one_size_and_are_filled_up():
    sizes = []
    net = Batched(lambda x: sizes.append(len(x)) or x, 1)
    net.fit(4, torch.rand(3, 4, 4))
    inputs = torch.rand(6, 3, 4, 4)
    assert torch.equal(net(inputs), inputs)
    assert sizes == [4, 4]
    assert net.inferences == 6


def test_batches_are_halved_when_memory_runs_out():
    sizes = []

    def hungry(x):
        sizes.append(len(x))
        if len(x) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return x

    net = Batched(hungry, 1)
    net.fit(8, torch.rand(3, 4, 4))
    inputs = torch.rand(5, 3, 4, 4)
    assert torch.equal(net(inputs), inputs)
    assert sizes == [8, 4, 2, 2, 2]
    with pytest.raises(torch.OutOfMemoryError):
        Batched(lambda x: (_ for _ in ()).throw(torch.OutOfMemoryError()), 1)(inputs)


@pytest.mark.parametrize("net", [lambda x: x[:, :1], lambda x: x[..., 1:]])
def test_another_size_is_refused(net):
    with pytest.raises(InputError, match="another size"):
        BlackBox(net, 1)(torch.rand(1, 3, 8, 8))


def test_fingerprint_follows_the_weights():
    torch.manual_seed(0)
    net = nn.Conv2d(3, 3, 1)
    before = BlackBox(net, 1).fingerprint
    assert BlackBox(net, 1).fingerprint == before
    with torch.no_grad():
        net.weight[0, 0] += 1e-6
    assert BlackBox(net, 1).fingerprint != before
    assert BlackBox(torch.relu, 1).fingerprint != BlackBox(torch.tanh, 1).fingerprint


@pytest.mark.parametrize("size", [0, -1, "many", 2.5])
def test_batch_size_is_checked(size):
    with pytest.raises(InputError, match="batch size"):
        BlackBox(nn.Identity(), 1).fit(size, torch.rand(3, 4, 4))


@pytest.mark.parametrize(
    ("name", "former"), [("tiny_edsr_x4", "archs.EDSR"), ("tiny_dncnn_50", "archs.SRVGGNetCompact")]
)
def test_fingerprints_of_the_first_journals_stay_valid(name, former):
    """Classes have moved since; a journal written before must still name its network."""
    net = network(name)
    expected = hashlib.sha256(f"causaliqa.restorers.{former}".encode() + str(net).encode())
    for key, value in net.state_dict().items():
        expected.update(key.encode() + value.numpy().tobytes())
    assert BlackBox(net, 1).fingerprint == expected.hexdigest()
