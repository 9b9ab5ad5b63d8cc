"""The transport cost: hand-computed, against POT, both kernels, and its gradient."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from causaliqa.functional.transport import level_response, transport_response
from causaliqa.functional.wasserstein import window_cost


@pytest.mark.parametrize(
    ("x", "y", "cost"),
    [
        ([1, 0, 0, 0], [0, 0, 1, 0], 4.0),  # one unit moves two bins
        ([2, 0, 0, 0], [0, 1, 1, 0], 1.0 + 4.0),  # half moves one bin, half two
        ([0, 1, 0, 0], [0, 1, 0, 0], 0.0),
        ([1, 0, 0, 0], [0, 0, 0, 0], 0.0 + 9.0),  # nothing to meet: the empty side is in the last bin
        ([0, 0, 0, 0], [0, 0, 0, 0], 0.0),
        ([1, 0, 0, 0], [2, 0, 0, 0], 9.0),  # the second unit meets the last bin
    ],
)
def test_hand_computed(x, y, cost):
    x, y = (torch.tensor(v, dtype=torch.float32) for v in (x, y))
    assert window_cost(x, y).item() == cost
    assert window_cost(y, x).item() == cost
    compiled, _ = transport_response(x.view(1, 1, -1), y.view(1, 1, -1), torch.zeros(1, 4), [], kernel="compiled")
    assert compiled.item() == cost


def _inputs(kind: str, bins: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    x, y = (torch.rand(5, 7, bins, generator=generator) for _ in range(2))
    if kind == "sparse":
        x, y = x * (x > 0.9), y * (y > 0.9)
    elif kind == "empty":
        x, y = torch.zeros_like(x), y * (torch.arange(7)[:, None] % 2)
    elif kind == "equal mass":
        y = y * (x.sum(-1) / y.sum(-1))[..., None]
    elif kind == "unequal mass":
        y = y * 1e4
    elif kind == "identical":
        y = x.clone()
    return x, y


@pytest.mark.parametrize("bins", [1, 2, 9, 16, 25, 64, 100, 256, 400])
@pytest.mark.parametrize("kind", ["random", "sparse", "empty", "equal mass", "unequal mass", "identical"])
def test_kernels_agree(kind, bins):
    x, y = _inputs(kind, bins)
    noise = torch.randn(7, bins, generator=torch.Generator().manual_seed(4))
    plain = transport_response(x, y, noise, [0.01, 0.5], kernel="torch")
    compiled = transport_response(x, y, noise, [0.01, 0.5], kernel="compiled")
    for a, b in zip(plain, compiled, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * float(a.abs().max()))
    if kind == "identical":
        assert not compiled[0].any()
        assert not compiled[1].any()


@pytest.mark.parametrize("kind", ["random", "sparse", "equal mass"])
def test_agrees_with_pot(kind):
    ot = pytest.importorskip("ot")
    x, y = _inputs(kind)
    grid = np.tile(np.arange(64.0)[:, None], (1, 35))
    expected = ot.wasserstein_1d(grid, grid, x.flatten(0, 1).T.double().numpy(), y.flatten(0, 1).T.double().numpy(), 2)
    np.testing.assert_allclose(window_cost(x, y).flatten().numpy(), expected, rtol=1e-5, atol=1e-4)


def test_gradcheck():
    generator = torch.Generator().manual_seed(5)
    x, y = (torch.rand(4, 6, dtype=torch.double, generator=generator).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(window_cost, (x, y))


@pytest.mark.parametrize("kernel", ["torch", "compiled"])
def test_gradient_of_both_kernels(kernel):
    x, y = _inputs("sparse")
    grads = []
    for way in (kernel, "torch"):
        a = x.clone().requires_grad_()
        transport_response(a, y, torch.zeros(7, 64), [], kernel=way)[0].sum().backward()
        grads.append(a.grad)
    assert float(grads[0].abs().sum()) > 0
    torch.testing.assert_close(*grads)


def test_gradient_is_zero_where_both_agree():
    x = torch.rand(3, 8).requires_grad_()
    window_cost(x, x.detach().clone()).sum().backward()
    assert not x.grad.any()


def test_unclamped_noise_needs_the_plain_kernel():
    x, y = _inputs("random")
    with pytest.raises(ValueError, match="kernel='torch'"):
        transport_response(x, y, torch.zeros(7, 64), [0.1], clamp=False, kernel="compiled")


def _maps(kind):
    generator = torch.Generator().manual_seed(6)
    x, y = (torch.rand(3, 19, 26, generator=generator) for _ in range(2))
    if kind == "close":
        y = x + 1e-4 * y
    elif kind == "sparse":
        x, y = x * (x > 0.9), y * (y > 0.9)
    elif kind == "empty":
        x = torch.zeros_like(x)
    elif kind == "signed":
        x, y = 40 * (x - 0.5), 40 * (y - 0.5)
    return x, y


@pytest.mark.parametrize("how", ["share", "softmax"])
@pytest.mark.parametrize("window", [4, 5, 8])
@pytest.mark.parametrize("kind", ["random", "close", "sparse", "empty", "signed"])
def test_level_kernels_agree(kind, window, how):
    if (kind, how) == ("signed", "share"):
        pytest.skip("shares are for features that are never negative")
    x, y = _maps(kind)
    places = -(-19 // window) * -(-26 // window)
    noise = torch.randn(places, window**2, generator=torch.Generator().manual_seed(7))
    plain, compiled = (
        level_response(x, y, window=window, mode=how, noise=noise, strengths=[0.01, 0.5], kernel=k)
        for k in ("torch", "compiled")
    )
    for name in ("ot", "md", "l2", "shift", "tolerance"):
        a, b = getattr(plain, name), getattr(compiled, name)
        assert a.shape == b.shape
        scale = float(plain.ot.abs().max()) if name == "shift" else float(a.abs().max()) if a.numel() else 0.0
        # Masses are float32: where both sides are close, their difference holds fewer digits.
        digits = 1e-2 if kind == "close" else 1e-4 if name == "tolerance" else 1e-5
        torch.testing.assert_close(a, b, rtol=digits, atol=digits * scale, msg=lambda m, name=name: f"{name}: {m}")
    assert (len(compiled.shift) == 0) == (how == "softmax")


def test_level_kernel_gives_the_same_whoever_takes_a_block():
    x, y = (torch.rand(7, 128, 100, generator=torch.Generator().manual_seed(k)) for k in (1, 2))
    noise = torch.randn(16 * 13, 64, generator=torch.Generator().manual_seed(3))
    before, made = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            made.append(level_response(x, y, window=8, mode="share", noise=noise, strengths=[0.1], kernel="compiled"))
    finally:
        torch.set_num_threads(before)
    for name in ("ot", "md", "l2", "shift", "tolerance"):
        assert torch.equal(getattr(made[0], name), getattr(made[1], name)), name


@pytest.mark.parametrize("how", ["share", "softmax"])
@pytest.mark.parametrize("width", [64, 72, 87, 300])
def test_windows_that_are_cut_eight_at_once(how, width):
    generator = torch.Generator().manual_seed(8)
    x, y = (torch.rand(5, 21, width, generator=generator) for _ in range(2))
    noise = torch.randn(3 * -(-width // 8), 64, generator=generator)
    plain, compiled = (
        level_response(x, y, window=8, mode=how, noise=noise, strengths=[0.05], kernel=k) for k in ("torch", "compiled")
    )
    for name in ("ot", "md", "l2"):
        torch.testing.assert_close(getattr(plain, name), getattr(compiled, name), rtol=1e-4, atol=1e-7, msg=name)


def test_one_identical_window_among_others_costs_nothing():
    x, y = (torch.rand(2, 40, 49, generator=torch.Generator().manual_seed(k)) for k in (1, 2))
    y[:, ::3] = x[:, ::3]
    cost, _ = transport_response(x, y, torch.zeros(40, 49), [], kernel="compiled")
    assert torch.equal(cost == 0, (torch.arange(40) % 3 == 0).expand(2, 40))


def test_level_kernel_of_identical_maps_is_zero():
    x, _ = _maps("random")
    made = level_response(x, x.clone(), window=8, mode="share", noise=torch.zeros(12, 64), strengths=[0.1])
    assert not any(v.any() for v in (made.ot, made.md, made.l2, made.shift, made.tolerance))


@pytest.mark.parametrize("kernel", ["torch", "compiled"])
@pytest.mark.parametrize("how", ["share", "softmax"])
def test_nan_in_a_feature_is_nan_in_every_cost_of_its_window(how, kernel):
    x, y = _maps("random")
    x[1, 2, 3] = float("nan")
    made = level_response(x, y, window=8, mode=how, noise=torch.zeros(12, 64), strengths=[], kernel=kernel)
    for name in ("ot", "md", "l2"):
        assert getattr(made, name)[1, 0].isnan(), name


def test_level_kernel_passes_no_gradient():
    x, y = _maps("random")
    with pytest.raises(ValueError, match="no gradient"):
        level_response(
            x.requires_grad_(), y, window=8, mode="share", noise=torch.zeros(12, 64), strengths=[], kernel="compiled"
        )


@pytest.mark.parametrize("threads", [1, 2])
def test_the_kernel_leaves_torch_its_number_of_threads(threads):
    code = (
        "import torch\n"
        "from causaliqa.functional.transport import level_response\n"
        "x = torch.rand(2, 8, 8)\n"
        "level_response(x, x + 1, window=4, mode='share', noise=torch.zeros(4, 16), strengths=[0.1])\n"
        "print(torch.get_num_threads())\n"
    )
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split() == [str(threads)]
