"""Foreign networks are evaluated as they are meant, looked at before anything is measured, and never changed."""

import functools

import pytest
import torch
from torch import nn

from causaliqa import CausalEffectMap, InputError
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.lam import integrated_gradients
from causaliqa.functional.untouched import modules_in, untouched

ROI = (12, 12, 8, 8)


@pytest.fixture
def img():
    return torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))


def batch_norm():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 3, 3, padding=1)
    )
    net[2].eval()
    net[0].weight.requires_grad_(False)
    return net


class Counting(nn.Module):
    """Changes its state in evaluation mode, too."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.calls, self.cache = 0, {}

    def forward(self, x):
        self.calls += 1
        self.mean.mul_(0.9).add_(x.detach().mean((0, 2, 3))[:, None, None] * 0.1)
        self.cache[x.shape] = self.mean.clone()
        return x * 0.9


class Rewriting(nn.Module):
    """Writes its weights when it is evaluated, as networks that fuse their branches do."""

    def __init__(self):
        super().__init__()
        self.conv, self.fused = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x):
        self.fused.weight.data = self.conv.weight.data * 2
        self.register_buffer("seen", torch.ones(1), persistent=False)
        return x + 0.01 * self.fused(x)


def state(net):
    modes = [m.training for m in net.modules()]
    tensors = {k: v.clone() for k, v in (*net.named_parameters(), *net.named_buffers())}
    return modes, tensors, [p.requires_grad for p in net.parameters()], [p.grad for p in net.parameters()]


def assert_same(before, after):
    assert before[0] == after[0]
    assert before[1].keys() == after[1].keys()
    assert all(torch.equal(value, after[1][key]) for key, value in before[1].items())
    assert before[2:] == after[2:]


def run_cem(net, img):
    return CausalEffectMap(net).attribute(
        img, ROI, degradation="denoise", sampler="noise", fine=2, coarse=1, progress=False
    )


def run_lam(net, img):
    return integrated_gradients(net, img, ROI, steps=2)


@pytest.mark.parametrize("run", [run_cem, run_lam])
@pytest.mark.parametrize("make", [batch_norm, Counting, Rewriting])
@pytest.mark.parametrize("training", [True, False])
def test_nothing_of_the_network_changes(run, make, training, img):
    torch.manual_seed(1)
    net = make().train(training)
    if make is batch_norm:
        net[2].eval()
    before = state(net)
    run(net, img)
    assert_same(before, state(net))
    assert getattr(net, "calls", 0) == 0
    assert getattr(net, "cache", {}) == {}


@pytest.mark.parametrize("run", [run_cem, run_lam])
def test_nothing_changes_after_an_exception(run, img):
    net = nn.Sequential(batch_norm(), nn.Conv2d(3, 3, 99)).train()
    before = state(net)
    with pytest.raises(InputError, match=r"network fails on an input of \(1, 3, 32, 32\)"):
        run(net, img)
    assert_same(before, state(net))


def test_training_mode_gives_the_map_of_evaluation_mode(img):
    net = batch_norm()
    expected = run_cem(net.eval(), img).samples.tobytes()
    assert run_cem(net.train(), img).samples.tobytes() == expected


NET = nn.Sequential(nn.Dropout(0.5))


def names_a_global(x):
    return NET(x)


class Holder:
    def __init__(self, net):
        self.net = {"g": [net]}

    def __call__(self, x):
        return self.net["g"][0](x)


@pytest.mark.parametrize(
    "hide",
    [
        lambda net: lambda x: net(x) * 1,
        lambda net: functools.partial(lambda model, x: model(x), net),
        lambda net: functools.partial(lambda x, model: model(x), model=net),
        Holder,
        lambda net: net.forward,
        lambda net: torch.no_grad()(lambda x: net(x) * 1),
        lambda net: torch.jit.trace(net.eval(), torch.rand(1, 3, 8, 8)).train(),
        nn.DataParallel,
        lambda net: Holder(net).__call__,
    ],
)
def test_modules_inside_callables_are_found(hide, img):
    net = hide(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Dropout(0.5)).train())
    with untouched(net):
        assert torch.equal(net(img[None]), net(img[None]))
        assert not any(m.training for m in modules_in(net))
    assert all(m.training for m in modules_in(net))


def test_globals_that_a_function_names_are_found(img):
    assert NET in modules_in(names_a_global)
    run_cem(names_a_global, img)
    assert NET.training


class Viewing(nn.Module):
    def forward(self, x):
        return x + 0.01 * x.view(len(x), -1).mean(1).view(-1, 1, 1, 1)


class Differentiating(nn.Module):
    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(x.tanh().square().sum(), x)
        return x - 0.01 * slope


def functional(x):
    return x - 0.01 * torch.func.grad(lambda y: y.tanh().square().sum())(x)


def strided(x):
    """Gives another output for another memory layout."""
    return x.as_strided(x.shape, (x[0].numel(), x[0, 0].numel(), x.shape[-1], 1)).contiguous()


def in_place(x):
    return x.mul_(0.5)


REUSED = torch.empty(1, 3, 32, 32)


def same_tensor_again(x):
    out = REUSED[..., : x.shape[-2], : x.shape[-1]]
    return out.copy_(x * 0.9)


@pytest.mark.parametrize("net", [Viewing(), Differentiating(), functional, strided, in_place, same_tensor_again])
def test_networks_that_do_not_take_the_fast_path(net, img):
    inputs = torch.stack([img, img.flip(1)])
    kept, box = inputs.clone(), BlackBox(net, 1)
    box.look(img)
    with torch.no_grad():
        expected = torch.cat([net(one[None].clone()).detach().clone() for one in inputs])
    assert torch.allclose(box(inputs), expected, atol=1e-5)
    assert torch.equal(inputs, kept)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_networks_of_another_type(dtype, img):
    torch.manual_seed(0)
    box = BlackBox(nn.Conv2d(3, 3, 1).to(dtype), 1)
    box.look(img)
    assert box(img[None]).dtype == torch.float32


def test_surroundings_of_the_caller_do_not_matter(img):
    torch.manual_seed(0)
    net = nn.Conv2d(3, 3, 3, padding=1)
    expected = run_lam(net, img).attribution.tobytes()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert run_lam(net, img).attribution.tobytes() == expected


def multiple_of_8(x):
    if x.shape[-1] % 8:
        raise RuntimeError("shape '[1, 3]' is invalid")
    return x


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (lambda x: x * 255, "values from .* to 25.*expected about"),
        (lambda x: x * 2 - 1, "values from -.* expected about"),
        (lambda x: nn.functional.dropout(x, 0.1), "two outputs for one input"),
        (lambda x: x + 0.01 * torch.randn_like(x), "two outputs for one input"),
        (lambda x: (x, x), r"returned tuple of \(1, 3, 32, 32\).*net\(x\)\[0\]"),
        (lambda x: [x[..., ::2, ::2], x], r"list of \(1, 3, 16, 16\)"),
        (lambda x: {"out": x}, r"dict of out: \(1, 3, 32, 32\)"),
        (lambda x: None, "returned NoneType"),
        (lambda x: x.numpy(), "numpy.ndarray"),
        (lambda x: x[0], "keep the batch dimension"),
        (lambda x: x.permute(0, 2, 3, 1), "channels are last"),
        (lambda x: x[:, :1], "return 3 channels, not 1"),
        (lambda x: nn.functional.interpolate(x, scale_factor=2), "enlarges by 2.*check the scale"),
        (lambda x: x[..., 2:-2, 2:-2], "cut the output|check the scale"),
        (lambda x: (x * 255).byte(), "torch.uint8, expected floats"),
        (lambda x: x * float("nan"), "NaN"),
        (lambda x: {}["key"], "KeyError"),
    ],
)
def test_what_comes_back_is_looked_at(net, message, img):
    with pytest.raises(InputError, match=message) as caught:
        run_cem(net, img)
    assert "\n" not in str(caught.value)


def test_a_network_that_needs_a_multiple_says_which(img):
    with pytest.raises(InputError, match=r"\(1, 3, 32, 30\).*it takes 32 x 24.*multiple of 8"):
        run_cem(multiple_of_8, img[..., :30])
