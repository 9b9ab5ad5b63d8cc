"""The levels of a reference are those of its values, whatever tensor holds them."""

import numpy as np
import pytest
import torch

from causaliqa.builtin.metrics._features import FeatureLevels


@pytest.fixture
def levels(tiny):
    net, _ = tiny
    return FeatureLevels(net, "none")


def _calls(levels, monkeypatch):
    seen = []
    real = levels.of_small
    monkeypatch.setattr(levels, "of_small", lambda small: seen.append(1) or real(small))
    return seen


def _equal(ours, other):
    return all(torch.equal(a, b) for one, two in zip(ours, other, strict=True) for a, b in zip(one, two, strict=True))


def _by_numpy(ref, values):
    np.copyto(ref.numpy(), values.numpy())


def _by_data(ref, values):
    ref.data.copy_(values)


def _by_shared_memory(ref, values):
    ref.share_memory_()
    ref.untyped_storage().copy_(values.clone().untyped_storage())


def _by_view(ref, values):
    torch.from_numpy(ref.detach().numpy())[:] = values


def _by_set(ref, values):
    ref.data = values.clone()


@pytest.mark.parametrize("change", [_by_numpy, _by_data, _by_shared_memory, _by_view, _by_set])
@pytest.mark.parametrize("side", [32, 768])
def test_a_buffer_that_is_filled_again(levels, change, side):
    ref = torch.rand(1, 3, side, side)
    for seed in range(3):
        values = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed))
        change(ref, values)
        assert _equal(levels.of_reference(ref), levels(values))


def test_kept_levels_do_not_follow_the_buffer(levels, monkeypatch):
    first = torch.rand(1, 3, 32, 32)
    buffer = first.clone()
    levels.of_reference(buffer)
    buffer.numpy()[:] = 0
    seen = _calls(levels, monkeypatch)
    assert _equal(levels.of_reference(first), levels.of_small(first))
    assert len(seen) == 1  # the second call only: equal values are not computed again


def test_one_pixel_and_one_bit_matter(levels, monkeypatch):
    ref = torch.rand(2, 3, 32, 32)
    levels.of_reference(ref)
    seen = _calls(levels, monkeypatch)
    levels.of_reference(ref.clone())
    assert not seen
    ref.numpy()[1, 2, 31, 31] = np.nextafter(ref.numpy()[1, 2, 31, 31], np.float32(2))
    levels.of_reference(ref)
    assert seen


@pytest.mark.parametrize("mode", ["weights", "inference", "dtype"])
def test_other_weights_and_modes_are_not_mixed(levels, monkeypatch, mode):
    ref = torch.rand(1, 3, 32, 32)
    levels.of_reference(ref)
    seen = _calls(levels, monkeypatch)
    if mode == "weights":
        levels.load_state_dict({name: value + 1 for name, value in levels.state_dict().items()})
        levels.of_reference(ref)
    elif mode == "inference":
        with torch.inference_mode():
            levels.of_reference(ref)
    else:
        levels.double().of_reference(ref.double())
    assert seen
