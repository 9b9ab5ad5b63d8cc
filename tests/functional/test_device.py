"""Which implementation runs where, and what is kept on a device."""

import pytest
import torch

from causaliqa.functional.device import constants_on
from causaliqa.functional.implementation import implementation
from causaliqa.functional.intervention import noise_field, noise_on


@pytest.mark.parametrize(("device", "expected"), [("cpu", "compiled"), ("mps", "torch"), ("xpu", "torch")])
def test_implementation_of_a_device(device, expected):
    assert implementation(torch.device(device)) == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device would work")
def test_where_triton_fails_plain_operations_replace_it_and_the_log_says_why_once(caplog):
    implementation.cache_clear()
    for _ in range(2):
        assert implementation(torch.device("cuda", 0)) == "torch"
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "cuda:0" in record.getMessage()
    assert "Error" in record.getMessage()


def test_noise_is_that_of_the_intervention_and_is_kept():
    made = noise_on(torch.device("cpu"), 3, 1, 4, 16)
    assert torch.equal(made, noise_field(3, 1, 4, 16))
    assert noise_on(torch.device("cpu"), 3, 1, 4, 16) is made
    assert not torch.equal(noise_on(torch.device("cpu"), 3, 2, 4, 16), made)


def test_what_is_kept_can_be_used_outside_of_inference_mode():
    with torch.inference_mode():
        noise = noise_on(torch.device("cpu"), 4, 1, 4, 16)
        constants = constants_on(torch.device("cpu"), (0.5, 0.25))
    weight = torch.ones(4, 16, requires_grad=True)
    (weight * noise).sum().backward()
    assert torch.equal(weight.grad, noise)
    assert constants.tolist() == [0.5, 0.25]
    assert not noise.is_inference()
