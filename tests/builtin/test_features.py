"""The levels of a reference are those of its values, whatever tensor holds them."""

import copy
import pickle

import numpy as np
import pytest
import torch

from causaliqa.builtin.metrics._features import FeatureLevels


@pytest.fixture
def levels(tiny):
    net, _ = tiny
    return FeatureLevels(net, "none")


def _calls(levels):
    seen = []
    levels.backbone.register_forward_hook(lambda *_: seen.append(1))
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


def test_kept_levels_do_not_follow_the_buffer(levels):
    first = torch.rand(1, 3, 32, 32)
    buffer = first.clone()
    levels.of_reference(buffer)
    buffer.numpy()[:] = 0
    seen = _calls(levels)
    assert _equal(levels.of_reference(first), levels.of_small(first, remember=False))
    assert len(seen) == 1  # the second call only: equal values are not computed again


def test_one_pixel_and_one_bit_matter(levels):
    ref = torch.rand(2, 3, 32, 32)
    levels.of_reference(ref)
    seen = _calls(levels)
    levels.of_reference(ref.clone())
    assert not seen
    ref.numpy()[1, 2, 31, 31] = np.nextafter(ref.numpy()[1, 2, 31, 31], np.float32(2))
    levels.of_reference(ref)
    assert seen


@pytest.mark.parametrize("mode", ["weights", "inference", "dtype"])
def test_other_weights_and_modes_are_not_mixed(levels, mode):
    ref = torch.rand(1, 3, 32, 32)
    levels.of_reference(ref)
    seen = _calls(levels)
    if mode == "weights":
        levels.load_state_dict({name: value + 1 for name, value in levels.state_dict().items()})
        levels.of_reference(ref)
    elif mode == "inference":
        with torch.inference_mode():
            levels.of_reference(ref)
    else:
        levels.double().of_reference(ref.double())
    assert seen


def test_levels_are_those_of_the_network(levels):
    img = torch.rand(2, 3, 40, 32)
    with torch.no_grad():
        expected = [[one[0], *(level[0] for level in levels.backbone(one))] for one in img[:, None]]
        for _ in range(2):
            assert _equal(levels(img), [[a[0] if a.dim() == 4 else a for a in one] for one in expected])
            assert _equal(levels.of_reference(img), levels.of_small(img, remember=False))


def test_images_and_references_share_a_pass(levels, tiny):
    net, _ = tiny
    other, img, seen = FeatureLevels(net, "none", resize=False), torch.rand(1, 3, 32, 32), _calls(levels)
    with torch.no_grad():
        levels(img), other.of_reference(img.clone()), other(img)
    assert len(seen) == 1
    with torch.no_grad():
        FeatureLevels(net, "imagenet")(img)
    assert len(seen) == 2


def test_training_remembers_references_only(levels):
    img, seen = torch.rand(1, 3, 32, 32), _calls(levels)
    for _ in range(2):
        levels.of_reference(img)
    assert len(seen) == 1
    for wants in (False, True, True):
        levels(img.clone().requires_grad_(wants))
    assert len(seen) == 4
    ref = img.clone().requires_grad_()
    levels.of_reference(ref)[0][-1].sum().backward()
    assert float(ref.grad.abs().sum()) > 0


def test_a_module_with_a_memory_can_be_copied(levels):
    img = torch.rand(1, 3, 32, 32)
    before = levels.of_reference(img)
    for other in (copy.deepcopy(levels), pickle.loads(pickle.dumps(levels))):
        seen = _calls(other)
        assert _equal(other.of_reference(img), before)
        assert seen == [1]  # computed by its own network
        assert len(pickle.dumps(other.state_dict())) == len(pickle.dumps(levels.state_dict()))


def test_a_backbone_that_is_no_module_is_asked_every_time(tiny):
    net, _ = tiny
    seen = []
    levels = FeatureLevels(lambda x: seen.append(1) or net(x), "none")
    img = torch.rand(1, 3, 32, 32)
    assert _equal(levels.of_reference(img), levels.of_reference(img))
    assert seen == [1, 1]
