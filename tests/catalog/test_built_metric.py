"""Metrics as the catalogue hands them out: frozen, and particular about what they are given."""

import copy
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from causaliqa import InputError, create_metric


@pytest.fixture(scope="module")
def metric():
    return create_metric("causal_effnet_lite0", terms="md", device="cpu")


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    ref = torch.rand(2, 3, 64, 64)
    return (ref + 0.05 * torch.randn(ref.shape)).clamp(0, 1), ref


def test_training_around_it_changes_nothing(metric, pair):
    before, state = metric(*pair), {k: v.clone() for k, v in metric.state_dict().items()}
    model = nn.ModuleList([metric]).train()
    assert torch.equal(metric(pair[0], pair[1].clone()), before)
    model.eval()
    assert torch.equal(metric(pair[0], pair[1].clone()), before)
    assert all(torch.equal(v, state[k]) for k, v in metric.state_dict().items())
    for made in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        assert torch.equal(made.train()(*pair), before)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-6), (torch.float16, 0.1), (torch.bfloat16, 0.5)])
def test_any_floating_type_is_scored_in_the_type_of_the_metric(metric, pair, dtype, close):
    img, ref = (x.to(dtype) for x in pair)
    assert metric(img, ref).dtype == torch.float32
    assert torch.equal(metric(img, ref), metric(img.float(), ref.float()))
    assert torch.allclose(metric(img, ref), metric(*pair), rtol=close)


def test_autocast_changes_nothing(metric, pair):
    before = metric(*pair)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(metric(pair[0], pair[1].clone()), before)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x * 255,
        lambda x: (x * 255).byte(),
        lambda x: x.int(),
        lambda x: x > 0.5,
        lambda x: x * 4 - 2,
        lambda x: x * float("nan"),
        lambda x: None,
        lambda x: [x],
        lambda x: x[0],
        lambda x: x[..., 1:],
        lambda x: x[:0],
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_other_ranges_and_types_are_refused(metric, pair, change, which):
    given = list(pair)
    given[which] = change(given[which])
    with pytest.raises(InputError) as caught:
        metric(*given)
    assert "\n" not in str(caught.value)


def test_values_that_are_no_numbers_are_not_taken_for_eight_bits(metric, pair):
    with pytest.raises(InputError, match="NaN or infinite") as caught:
        metric(pair[0] * float("inf"), pair[1])
    assert "255" not in str(caught.value)


def test_files_and_arrays_are_taken(metric, tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (64, 72, 3), np.uint8)
    Image.fromarray(array).save(tmp_path / "a.png")
    tensor = torch.from_numpy(array).permute(2, 0, 1)[None] / 255
    scores = [float(metric(x, 1 - tensor)) for x in (tensor, array, tmp_path / "a.png", str(tmp_path / "a.png"))]
    assert len(set(scores)) == 1


def test_gradients_reach_outputs_beyond_the_range(metric, pair):
    img = (pair[0] * 4 - 1).requires_grad_()
    metric(img, pair[1]).sum().backward()
    assert img.grad.isfinite().all()
    assert all(p.grad is None for p in metric.parameters())


def test_repr_is_short(metric):
    assert repr(metric) == "causal_effnet_lite0 (full reference, lower is better)"
