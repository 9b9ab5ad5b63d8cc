"""What incremental inference would save a causal effect map: multiplications, and for chains the time of a prototype.

    python benchmarks/cem_cone.py

A patch changes a cone of every layer, and only the cone that reaches the region matters. Counted are multiplications of
convolutions, summed over the patches that reach a region of 32 x 32 in the middle of 256 x 256 pixels of output: of the
crop that the region depends on, as ``cem`` computes it, and of the intersection of both cones in every layer. The
prototype runs ten interventions at once, on every fourth of these patches, in turns with the crop.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from research_networks import DnCNN
from torch import nn

import causaliqa
from causaliqa.api.data import ROI
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.grid import Box
from causaliqa.effects.prepare import prepare
from causaliqa.effects.settings import CemSettings
from causaliqa.functional.fidelity import psnr
from causaliqa.io.photographs import photograph

RESULT = Path(__file__).parent / "results" / "cem_cone.csv"
Span = tuple[float, float]
"""First pixel and the one after the last, in pixels of the input."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution as it ran; networks here are chains, with or without skips, so one follows the other."""

    weights: int
    """Multiplications of an output pixel."""
    radius: float
    """How far its kernel reaches, in pixels of the input."""
    density: float
    """Output pixels in one pixel of the input, along one axis."""


def layers_of(network: nn.Module, img: torch.Tensor) -> list[Layer]:
    found: list[Layer] = []

    def note(layer: nn.Conv2d, _: object, out: torch.Tensor) -> None:
        density = out.shape[-1] / img.shape[-1]
        found.append(Layer(weights=layer.weight.numel(), radius=layer.kernel_size[0] // 2 / density, density=density))

    hooks = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        network(img[None])
    for hook in hooks:
        hook.remove()
    return found


def cone(layers: list[Layer], patch: tuple[Span, Span], region: tuple[Span, Span], size: tuple[int, int]) -> float:
    """Return the multiplications of the pixels that the patch changes and the region needs."""
    total, changed, needed = 0.0, 0.0, sum(layer.radius for layer in layers)
    for layer in layers:
        changed, needed = changed + layer.radius, needed - layer.radius
        area = layer.density**2
        for (low, high), (first, last), side in zip(patch, region, size, strict=True):
            area *= max(0.0, min(high + changed, last + needed, side) - max(low - changed, first - needed, 0))
        total += layer.weights * area
    return total


def spans(box: Box, scale: float = 1) -> tuple[Span, Span]:
    return (box.top / scale, box.bottom / scale), (box.left / scale, box.right / scale)


def cases() -> Iterator[tuple[str, nn.Module, nn.Sequential | None, int, object]]:
    """Yield name, network, its chain of convolutions if it is one, scale and degradation."""
    edsr, tiny = (causaliqa.create_restorer(name) for name in ("tiny_edsr_x4", "tiny_dncnn_50"))
    large = DnCNN().eval().requires_grad_(False)
    denoise = causaliqa.create_degradation("denoise", sigma=50)
    yield "tiny_edsr_x4", edsr, None, 4, causaliqa.create_degradation("sr", scale=4)
    yield "tiny_dncnn_50", tiny, tiny.body, 1, denoise
    yield "DnCNN, 20 layers of 64", large, large.model, 1, denoise


def rectangle(layers: list[Layer], k: int, patch: Box, region: Box, limit: Box) -> Box:
    """Return the output pixels of layer k of a chain that the patch changes and the region needs."""
    needed = region.grow(len(layers) - 1 - k, limit)
    return patch.grow(k + 1, limit).meet(needed)


def incremental(
    chain: nn.Sequential, layers: list[Layer], base: list[torch.Tensor], img: torch.Tensor, patch: Box, region: Box
) -> tuple[torch.Tensor, Box]:
    """Return the output of a chain of 3 x 3 convolutions where the patch of ``img`` changes what the region sees.

    ``base`` are the inputs of the convolutions without intervention, padded with a border of zeros.
    """
    limit = Box(0, 0, img.shape[-2], img.shape[-1])
    new, place, k = img[..., patch.top : patch.bottom, patch.left : patch.right], patch, 0
    for module in chain:
        if not isinstance(module, nn.Conv2d):
            new = module(new)
            continue
        out = rectangle(layers, k, patch, region, limit)
        if out.height <= 0 or out.width <= 0:
            return new[..., :0, :0], out
        # In coordinates of the padded input: one pixel further down and right, one more on every side.
        around = base[k][..., out.top : out.bottom + 2, out.left : out.right + 2]
        window = around.expand(len(img), -1, -1, -1).clone()
        seen = place.meet(Box(out.top - 1, out.left - 1, out.bottom + 1, out.right + 1))
        top, left = seen.top - out.top + 1, seen.left - out.left + 1
        part = new[
            ..., seen.top - place.top : seen.bottom - place.top, seen.left - place.left : seen.right - place.left
        ]
        window[..., top : top + seen.height, left : left + seen.width] = part
        new, place, k = nn.functional.conv2d(window, module.weight, module.bias), out, k + 1
    return new, place


@torch.inference_mode()
def prototype(
    chain: nn.Sequential, layers: list[Layer], img: torch.Tensor, patches: list[Box], region: Box
) -> tuple[float, float]:
    """Return how many times faster the prototype is than the chain on all of ``img``, and the largest difference."""
    base, x = [], img[None]
    for module in chain:
        if isinstance(module, nn.Conv2d):
            base.append(nn.functional.pad(x, (1, 1, 1, 1)))
        x = module(x)
    generator, slow, fast, worst = torch.Generator().manual_seed(0), 0.0, 0.0, 0.0
    for patch in patches:
        batch = img.expand(10, -1, -1, -1).clone()
        area = batch[..., patch.top : patch.bottom, patch.left : patch.right]
        area.copy_(torch.rand(area.shape, generator=generator))
        start = time.process_time()
        whole = chain(batch)
        middle = time.process_time()
        part, place = incremental(chain, layers, base, batch, patch, region)
        slow, fast = slow + middle - start, fast + time.process_time() - middle
        if part.numel():
            seen = place.meet(region)
            there = whole[..., seen.top : seen.bottom, seen.left : seen.right]
            rows, cols = seen.top - place.top, seen.left - place.left
            here = part[..., rows : rows + seen.height, cols : cols + seen.width]
            worst = max(worst, float((here - there).abs().max()))
    return slow / fast, worst


def on_crop(box: Box, crop: Box) -> Box:
    return Box(box.top - crop.top, box.left - crop.left, box.bottom - crop.top, box.right - crop.left).meet(
        Box(0, 0, crop.height, crop.width)
    )


def main() -> None:
    torch.set_num_threads(1)
    image = torch.from_numpy(photograph("chelsea")[20:276, 100:356]).permute(2, 0, 1).float() / 255
    lines = []
    for name, network, chain, scale, degradation in cases():
        settings = CemSettings(degradation=degradation, sampler=causaliqa.create_sampler("natural"))
        runner = prepare(BlackBox(network, scale), psnr, image, ROI(112, 112, 32, 32), settings).runner
        scene, crop = runner.scene, runner.reach.crop
        layers = layers_of(network, scene.degraded)
        boxes = [scene.grid.box(p) for p in runner.reached]
        size = tuple(scene.degraded.shape[-2:])
        needed = spans(scene.grid.region, scale)
        cones = [cone(layers, spans(box, scale), needed, size) for box in boxes]
        whole = sum(layer.weights * layer.density**2 for layer in layers) * crop.width * crop.height
        line = [name, len(cones), f"{crop.width} x {crop.height}", f"{whole / 1e6:.0f}"]
        line.append(f"{whole * len(cones) / sum(cones):.1f}")
        if chain is not None:
            cut = scene.degraded[:, crop.top : crop.bottom, crop.left : crop.right]
            patches = [on_crop(box, crop) for box in boxes[::4]]
            faster, difference = prototype(chain, layers, cut, patches, on_crop(scene.grid.region, crop))
            line += [f"{faster:.1f}", f"{difference:.1e}"]
        lines.append(line)
        print(*line, sep=", ", flush=True)
    head = ("network", "patches_reached", "crop", "million_multiplications_of_the_crop", "times_fewer_in_the_cone")
    head = (*head, "times_faster_prototype", "largest_difference")
    with RESULT.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *lines])


if __name__ == "__main__":
    main()
