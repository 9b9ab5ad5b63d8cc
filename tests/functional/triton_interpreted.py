"""The GPU kernels, run by Triton's interpreter on the CPU; test_triton.py starts this file in a process of its own.

Triton decides when it is imported whether it interprets: TRITON_INTERPRET=1 must be set before. The interpreter takes
a hundredth of a second for each step of a kernel, so what is compared goes through few launches.
"""

import pytest
import torch

from causaliqa.functional import _triton_level as gpu
from causaliqa.functional.intervention import STRENGTHS, noise_field
from causaliqa.functional.transport import level_response, transport_response, window_cost

KINDS = ("random", "sparse", "empty", "one bin", "equal mass", "unequal mass", "identical")


@pytest.fixture(autouse=True)
def _few_programs(monkeypatch):
    """More windows per program: what the interpreter takes does not depend on their number."""
    monkeypatch.setattr(gpu, "_BLOCK", 1024)


def _masses(bins):
    """Return masses of every kind, one per channel, ``(7, 5, bins)``."""
    generator = torch.Generator().manual_seed(3)
    x, y = (torch.rand(len(KINDS), 5, bins, generator=generator) for _ in range(2))
    for k, kind in enumerate(KINDS):
        if kind == "sparse":
            x[k] *= x[k] > 0.8
            y[k] *= y[k] > 0.8
        elif kind == "empty":
            x[k] = 0
            y[k, ::2] = 0
        elif kind == "one bin":
            x[k, :, 1:] = 0
            y[k, :, :-1] = 0
        elif kind == "equal mass":
            y[k] *= (x[k].sum(-1) / y[k].sum(-1))[:, None]
        elif kind == "unequal mass":
            y[k] *= 1e4
        elif kind == "identical":
            y[k] = x[k]
    return x, y


def _maps(height=11, width=14):
    """Return features of every kind, one per pair, ``(5, 2, height, width)``."""
    generator = torch.Generator().manual_seed(6)
    x, y = (torch.rand(5, 2, height, width, generator=generator) for _ in range(2))
    x[1] *= x[1] > 0.8
    y[1] *= y[1] > 0.8
    x[2] = 0
    y[3] *= 30
    y[4] = x[4]
    return x, y


def _noise(places, bins):
    return torch.randn(places, bins, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize(
    ("x", "y", "cost"),
    [
        ([1, 0, 0, 0], [0, 0, 1, 0], 4.0),  # one unit moves two bins
        ([2, 0, 0, 0], [0, 1, 1, 0], 1.0 + 4.0),  # half moves one bin, half two
        ([1, 0, 0, 0], [0, 0, 0, 0], 9.0),  # nothing to meet: the empty side is in the last bin
        ([0, 0, 0, 0], [0, 0, 0, 0], 0.0),
        ([1, 0, 0, 0], [2, 0, 0, 0], 9.0),  # the second unit meets the last bin
    ],
)
def test_hand_computed(x, y, cost):
    x, y = (torch.tensor([[v]], dtype=torch.float32) for v in (x, y))
    for a, b in ((x, y), (y, x)):
        assert gpu.transport_response(a, b, torch.zeros(1, 4), torch.zeros(0))[0].item() == cost


@pytest.mark.parametrize(("bins", "scales"), [(1, [0.5]), (2, [0.5]), (16, [0.01, 0.5]), (64, [0.5])])
def test_masses_agree_with_the_plain_version(bins, scales):
    x, y = _masses(bins)
    noise = _noise(5, bins)
    cost, shift = gpu.transport_response(x, y, noise, torch.tensor(scales))
    expected, moved = transport_response(x, y, noise, scales, kernel="torch")
    torch.testing.assert_close(cost, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(shift, moved, rtol=1e-5, atol=1e-5 * float(expected.abs().max()) + 1e-7)
    same = KINDS.index("identical")
    assert not cost[same].any()
    assert not shift[:, same].any()


@pytest.mark.parametrize(
    ("how", "window", "strengths"),
    [
        ("share", 4, STRENGTHS),
        ("share", 8, (0.05,)),
        ("share", 5, (0.05,)),
        ("softmax", 4, (0.05,)),
        ("softmax", 8, (0.05,)),
    ],
)
def test_levels_agree_with_the_plain_version(how, window, strengths):
    x, y = _maps()
    if how == "softmax":
        x, y = 20 * (x - 0.5), 20 * (y - 0.5)
    noise = noise_field(0, 1, -(-11 // window) * -(-14 // window), window**2)
    made = gpu.level(x, y, window=window, rule=how, noise=noise, strengths=strengths, threshold=1e-4)
    ot, md, l2, shift, tolerance = made
    assert shift.shape == ((len(strengths) if how == "share" else 0), len(x), x.shape[1])
    for k in range(len(x)):
        plain = level_response(x[k], y[k], window=window, mode=how, noise=noise, strengths=strengths, kernel="torch")
        for name, found, expected in (("ot", ot[k], plain.ot), ("md", md[k], plain.md), ("l2", l2[k], plain.l2)):
            scale = float(expected.abs().max())
            torch.testing.assert_close(
                found, expected, rtol=1e-5, atol=1e-6 * scale, msg=lambda m, name=name, k=k: f"{name}, pair {k}: {m}"
            )
        torch.testing.assert_close(shift[:, k], plain.shift, rtol=1e-5, atol=1e-5 * float(plain.ot.abs().max()))
        torch.testing.assert_close(tolerance[k, 0], plain.tolerance, rtol=1e-4, atol=1e-9)
    assert not any(v[4].any() for v in (ot, md, l2, tolerance))
    assert not shift[:, 4].any()


def test_a_pair_costs_the_same_in_any_batch(monkeypatch):
    monkeypatch.setattr(gpu, "_BLOCK", 128)
    x, y = _maps(19, 26)  # their 350 windows fill more than one program
    options = {"window": 4, "rule": "share", "noise": _noise(35, 16), "strengths": (), "threshold": 1e-4}
    together = gpu.level(x, y, **options)
    alone = gpu.level(x[1:2], y[1:2], **options)
    for name, many, one in zip(("ot", "md", "l2", "shift", "tolerance"), together, alone, strict=True):
        assert torch.equal(many[:, 1:2] if name == "shift" else many[1:2], one), name


def _gradients(x, y, run):
    x, y = (v.clone().requires_grad_() for v in (x, y))
    weights = torch.Generator().manual_seed(8)
    total = sum((v * torch.rand(v.shape, generator=weights)).sum() for v in run(x, y))
    return torch.autograd.grad(total, (x, y))


@pytest.mark.parametrize(("how", "window"), [("share", 5), ("softmax", 4)])
def test_gradients_agree_with_autograd(how, window):
    x, y = _maps()
    noise = torch.zeros(-(-11 // window) * -(-14 // window), window**2)

    def fast(x, y):
        return gpu.level(x, y, window=window, rule=how, noise=noise, strengths=(), threshold=1e-4)[:3]

    def plain(x, y):
        made = [
            level_response(a, b, window=window, mode=how, noise=noise, strengths=(), kernel="torch")
            for a, b in zip(x, y, strict=True)
        ]
        return [torch.stack([getattr(pair, name) for pair in made]) for name in ("ot", "md", "l2")]

    for found, expected in zip(_gradients(x, y, fast), _gradients(x, y, plain), strict=True):
        assert float(expected.abs().max()) > 0
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max()))


def test_gradient_of_masses_agrees_with_the_plain_version():
    x, y = _masses(16)
    zero = torch.zeros(5, 16)
    fast = _gradients(x, y, lambda a, b: [gpu.transport_response(a, b, zero, torch.zeros(0))[0]])
    plain = _gradients(x, y, lambda a, b: [window_cost(a, b)])
    for found, expected in zip(fast, plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        assert not found[KINDS.index("identical")].any()


def test_gradient_agrees_with_finite_differences():
    x, y = _maps(8, 8)
    x, y = x[:1], y[:1]
    noise = torch.zeros(4, 16)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(9))

    def total(x):
        made = gpu.level(x, y, window=4, rule="share", noise=noise, strengths=(), threshold=1e-4)
        return made[0].double().sum() + made[1].double().sum()

    leaf = x.clone().requires_grad_()
    total(leaf).backward()
    step = 1e-3
    slope = (total(x + step * direction) - total(x - step * direction)) / (2 * step)
    torch.testing.assert_close((leaf.grad * direction).sum().double(), slope, rtol=2e-2, atol=0)


def test_only_the_pair_with_nan_is_nan():
    x, y = _maps(8, 8)
    x[1, 0, 3, 3] = float("nan")
    ot, *_ = gpu.level(x, y, window=4, rule="share", noise=_noise(4, 16), strengths=(0.1,), threshold=1e-4)
    assert not ot[1].isfinite().all()
    assert ot[[0, 2, 3, 4]].isfinite().all()


def test_takes_half_precision_and_other_memory_formats():
    x, y = (v.half() for v in _maps(8, 8))
    options = {"window": 4, "rule": "share", "noise": _noise(4, 16), "strengths": (0.1,), "threshold": 1e-4}
    strided = gpu.level(*(v.contiguous(memory_format=torch.channels_last) for v in (x, y)), **options)
    for half, whole in zip(strided, gpu.level(x.float(), y.float(), **options), strict=True):
        torch.testing.assert_close(half, whole, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("how", ["share", "softmax"])
def test_the_metric_scores_a_batch_as_it_does_on_the_cpu(how, monkeypatch):
    import causaliqa.builtin.metrics.causal
    import causaliqa.functional.transport
    from causaliqa.api.specs import BackboneSpec
    from causaliqa.builtin.backbones._stages import StagedBackbone, freeze

    torch.manual_seed(0)
    stage = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, stride=2), torch.nn.ReLU())
    net = freeze(StagedBackbone([stage], channels=[4], reduction=[2]))
    spec = BackboneSpec(name="tiny", factory=lambda: net, summary="", licence="", mass=how, window=4)
    metric = causaliqa.builtin.metrics.causal.CausalMetric(net, spec, strengths=(0.05,), threshold=1e-2)
    ref = torch.rand(2, 3, 32, 36)
    img = (ref + 0.1 * torch.randn(ref.shape)).clamp(0, 1)
    expected = metric(img, ref)
    monkeypatch.setattr(causaliqa.functional.transport, "implementation", lambda device: "triton")
    torch.testing.assert_close(metric(img, ref), expected, rtol=1e-5, atol=0)
    if how == "softmax":  # has no strengths, so it is quick
        one = metric.levels(img, ref)[1]
        torch.testing.assert_close(causaliqa.builtin.metrics.causal.combine(one, ("ot", "md"), "causal"), expected[1])


def test_every_element_of_the_results_is_written():
    x, y = (v.requires_grad_() for v in _maps())
    torch.use_deterministic_algorithms(True)  # fills what is not initialised with NaN
    try:
        assert x.new_empty(1000).isnan().all()
        made = gpu.level(x, y, window=8, rule="softmax", noise=_noise(4, 64), strengths=(), threshold=1e-4)
        grads = torch.autograd.grad(sum(v.sum() for v in made[:3]), (x, y))
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(v.isfinite().all() for v in (*made, *grads))
