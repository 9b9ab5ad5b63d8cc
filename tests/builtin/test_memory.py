"""What is kept with a backbone is what would be computed anew, and it is bounded."""

import gc
import threading
import weakref

import pytest
import torch
from torch import nn

from causaliqa.builtin.metrics._memory import Memory, memory_of

ONE = 4 * 3 * 8 * 8
"""Bytes of an image."""


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)).eval().requires_grad_(False)


class Made:
    """Counts how often something is made."""

    def __init__(self, net):
        self.net, self.calls = net, 0

    def __call__(self, *images):
        self.calls += 1
        return [self.net(v) for v in images]


def image(seed=0, side=8):
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed))


def equal(made, net, *images):
    return all(torch.equal(a, net(b)) for a, b in zip(made, images, strict=True))


@torch.no_grad()
def test_equal_values_are_computed_once(net):
    memory, make = Memory(), Made(net)
    for _ in range(3):
        assert equal(memory.recall(net, "maps", (image(0), image(1)), make), net, image(0), image(1))
    assert make.calls == 1


@torch.no_grad()
@pytest.mark.parametrize(
    ("what", "images"),
    [
        ("others", (image(),)),
        ("maps", (image(1),)),
        ("maps", (image(side=9),)),
        ("maps", (image().to(memory_format=torch.channels_last),)),
        ("maps", (image(), image())),
    ],
    ids=["settings", "values", "size", "layout", "number"],
)
def test_anything_else_is_computed_anew(net, what, images):
    memory, make = Memory(), Made(net)
    memory.recall(net, "maps", (image(),), make)
    assert equal(memory.recall(net, what, images, make), net, *images)
    assert make.calls == 2


def _weight(net):
    net[0].weight.mul_(2)


def _buffer(net):
    net[1].running_mean.add_(1)


def _loaded(net):
    net.load_state_dict({name: value + 1 for name, value in net.state_dict().items()})


def _replaced(net):
    net[0] = nn.Conv2d(3, 3, 1).requires_grad_(False)


def _type(net):
    net.to(torch.bfloat16).to(torch.float32)


@torch.no_grad()
@pytest.mark.parametrize("change", [_weight, _buffer, _loaded, _replaced, _type])
def test_a_backbone_that_was_changed_in_place_is_noticed(net, change):
    memory, make = Memory(), Made(net)
    before = memory.recall(net, "maps", (image(),), make)
    change(net)
    after = memory.recall(net, "maps", (image(),), make)
    assert equal(after, net, image())
    assert make.calls == 2
    assert not torch.equal(before[0], after[0])
    assert len(memory._kept) == 1  # nothing of the old weights stays


@torch.no_grad()
def test_threads_and_inference_mode_do_not_mix(net):
    memory, make, count = Memory(), Made(net), torch.get_num_threads()
    memory.recall(net, "maps", (image(),), make)
    with torch.inference_mode():
        memory.recall(net, "maps", (image(),), make)
    assert make.calls == 2
    try:
        torch.set_num_threads(count + 1)
        memory.recall(net, "maps", (image(),), make)
    finally:
        torch.set_num_threads(count)
    assert make.calls == 3


def test_nothing_is_kept_while_gradients_are_recorded(net):
    memory, make, img = Memory(), Made(net), image().requires_grad_()
    for _ in range(2):
        memory.recall(net, "maps", (img,), make)[0].sum().backward()
    assert make.calls == 2
    assert float(img.grad.abs().sum()) > 0


@torch.no_grad()
def test_no_more_is_kept_than_the_limit(net):
    memory, make = Memory(limit=4 * ONE), Made(net)  # two images with their maps
    for seed in (0, 1, 0, 2):  # 0 is used again before 2 needs room, so 1 goes
        memory.recall(net, "maps", (image(seed),), make)
    assert (make.calls, memory._size()) == (3, 4 * ONE)
    memory.recall(net, "maps", (image(0),), make)
    assert make.calls == 3
    memory.recall(net, "maps", (image(1),), make)
    assert make.calls == 4


@torch.no_grad()
def test_the_number_of_results_is_bounded(net):
    memory, make = Memory(count=3), Made(net)
    for seed in range(10):
        memory.recall(net, "maps", (image(seed),), make)
    assert len(memory._kept) == 3


@torch.no_grad()
def test_large_images_do_not_displace_a_large_reference(net):
    memory, make = Memory(limit=ONE), Made(net)
    for seed in range(1, 4):
        memory.recall(net, "maps", (image(seed),), make)
        memory.recall(net, "maps", (image(0),), make, reference=True)
    assert make.calls == 4
    assert memory._size() == 2 * ONE


@torch.no_grad()
def test_maps_that_two_results_hold_count_once(net):
    memory, maps = Memory(), Made(net)(image())
    for what in range(3):
        memory.recall(net, what, (), lambda: maps)
    assert memory._size() == ONE


@torch.no_grad()
def test_a_part_of_a_larger_tensor_counts_whole(net):
    memory = Memory()
    memory.recall(net, "maps", (), lambda: [torch.zeros(100, 10)[:1]])
    assert memory._size() == 4 * 1000


@torch.no_grad()
def test_what_is_kept_does_not_follow_the_callers_tensor(net):
    memory, img = Memory(), image()
    memory.recall(net, "itself", (img,), lambda x: [x])
    img.zero_()
    assert torch.equal(memory.recall(net, "itself", (image(),), lambda x: [x])[0], image())


@torch.no_grad()
def test_memory_is_released_with_the_backbone(net):
    memory = memory_of(net)
    assert memory_of(net) is memory
    made = weakref.ref(memory.recall(net, "maps", (image(),), Made(net))[0])
    memory = weakref.ref(memory)
    assert made() is not None
    del net
    gc.collect()
    # The fixture holds the network until the test ends.
    other = nn.Conv2d(3, 3, 1).requires_grad_(False)
    made = weakref.ref(memory_of(other).recall(other, "maps", (image(),), Made(other))[0])
    del other
    gc.collect()
    assert made() is None


def test_threads_get_their_own_results(net):
    memory, wrong = Memory(count=2), []

    def work(seed):
        with torch.no_grad():
            for k in range(30):
                img = image((seed + k) % 4)
                if not equal(memory.recall(net, "maps", (img,), Made(net)), net, img):
                    wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(memory._kept) <= 2
