"""What the causal metric and causal effect maps cost on a CUDA device, beside their peers in the same run.

Usage: python benchmarks/gpu.py [--out RESULT.csv] [--rounds 20] [--batch 32] [--tf32] [--published FOLDER]

Exit code 0 if all goals hold, 1 if one does not, 2 where there is no CUDA device. Networks have random weights and see
256 x 256 images. Subjects take turns, round by round, over several sets of inputs; medians of device time (events) are
compared. Convolutions run in float32 unless --tf32 is given; equality with the CPU is only a goal without it. FOLDER is
a checkout of the published code, see causal_speed.py.
"""

from __future__ import annotations

import argparse
import csv
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from causal_speed import SIDE, local_vgg16, published_metric
from gpu_leaderboard import leaderboard

BACKBONES = ("vgg", "resnet", "effnet", "effnet_lite0")
SETS = 4
"""Sets of inputs that take turns, so that none of them stays in the cache."""
CPU_TOLERANCE = 1e-4
"""Largest relative difference of a score from the CPU's."""
Pair = tuple[torch.Tensor, torch.Tensor]
Call = Callable[[torch.Tensor, torch.Tensor], object]


class Results:
    """Lines of the result, and whether every goal holds."""

    def __init__(self, facts: str) -> None:
        self.facts, self.lines, self.holds = facts, [], True

    def add(self, subject: str, value: float, unit: str, *, most: float | None = None, least: float | None = None):
        holds = (most is None or value <= most) and (least is None or value >= least)
        goal = f"at most {most}" if most is not None else f"at least {least}" if least is not None else ""
        self.holds &= holds
        line = {"subject": subject, "value": f"{value:.5g}", "unit": unit, "goal": goal}
        self.lines.append({**line, "holds": ("yes" if holds else "no") if goal else "", "machine": self.facts})
        print(f"{subject}: {value:.5g} {unit}{f' ({goal}: {holds})' if goal else ''}", file=sys.stderr)


def machine(tf32: bool) -> str:
    import triton

    card = torch.cuda.get_device_properties(0)
    return (
        f"{card.name}, {card.multi_processor_count} multiprocessors, {card.total_memory / 2**30:.0f} GiB, compute "
        f"capability {card.major}.{card.minor}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}, "
        f"torch {torch.__version__}, triton {triton.__version__}, TF32 {'on' if tf32 else 'off'}, {platform.machine()}"
    )


def inputs(batch: int, device: str) -> list[Pair]:
    """Return SETS batches of distorted images and their references; every pair has noise of its own strength."""
    made = []
    for k in range(SETS):
        generator = torch.Generator().manual_seed(k)
        coarse = torch.rand(batch, 3, SIDE // 8, SIDE // 8, generator=generator)
        ref = torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic").clamp(0, 1)
        strength = 0.01 * (1 + torch.arange(batch) % 10).view(-1, 1, 1, 1)
        img = (ref + strength * torch.randn(ref.shape, generator=generator)).clamp(0, 1)
        made.append((img.to(device), ref.to(device)))
    return made


@torch.no_grad()
def seconds(calls: dict[str, Call], pairs: Sequence[Pair], rounds: int) -> dict[str, float]:
    """Return the median device time of every call, which take turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for k in range(-3, rounds):  # the first rounds compile, choose algorithms and fill the memory pool
        for name, call in calls.items():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call(*pairs[k % SETS])
            end.record()
            end.synchronize()
            if k >= 0:
                times[name].append(start.elapsed_time(end) / 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def metric_of(backbone: str, device: str) -> torch.nn.Module:
    import causaliqa

    torch.manual_seed(0)  # the same random weights on every device
    return causaliqa.create_metric(f"causal_{backbone}", device=device, pretrained=False)


def peers() -> dict[str, torch.nn.Module]:
    from pyiqa.archs import dists_arch, lpips_arch

    with local_vgg16():
        lpips = lpips_arch.LPIPS(pretrained=False, net="vgg", pnet_rand=True)
        dists = dists_arch.DISTS(pretrained=False)
    return {"pyiqa LPIPS (VGG)": lpips.eval().cuda(), "pyiqa DISTS": dists.eval().cuda()}


def metrics(results: Results, rounds: int, batch: int) -> None:
    """Compare the metric with its backbone passes and with pyiqa's metrics, for one pair and for a batch."""
    for size in (1, batch):
        pairs = inputs(size, "cuda")
        calls: dict[str, Call] = dict(peers())
        for name in BACKBONES:
            metric = metric_of(name, "cuda")
            net = metric.feature_levels.backbone
            calls[f"two passes of {name}"] = lambda img, ref, net=net: (net(img), net(ref))
            # A fresh reference each time: nothing may come from memory.
            calls[f"causal_{name}"] = lambda img, ref, metric=metric: metric(img, ref.clone())
        times = seconds(calls, pairs, rounds)
        for name, value in times.items():
            results.add(f"{name}, batch {size}", size / value, "pairs per second")
        for name in BACKBONES:
            ratio = times[f"causal_{name}"] / times[f"two passes of {name}"]
            goal = 1.3 if name == "vgg" else None
            results.add(f"causal_{name}, batch {size}, beside its two passes", ratio, "times", most=goal)
        rate = times["pyiqa LPIPS (VGG)"] / times["causal_vgg"]
        results.add(
            f"rate of causal_vgg, batch {size}, beside LPIPS", rate, "times", least=1.0 if size == batch else None
        )


@torch.no_grad()
def equality(results: Results, *, is_goal: bool) -> None:
    """Compare scores with the CPU's, and scores of a batch with those of single pairs."""
    for name in BACKBONES:
        (img, ref), *_ = inputs(8, "cpu")
        here, there = metric_of(name, "cpu"), metric_of(name, "cuda")
        expected, found = here(img, ref), there(img.cuda(), ref.cuda()).cpu()
        single = torch.cat([there(img[k : k + 1].cuda(), ref[k : k + 1].cuda()).cpu() for k in range(len(img))])
        limit = CPU_TOLERANCE if is_goal else None
        worst, batch = (float(((v - w).abs() / w).max()) for v, w in ((found, expected), (found, single)))
        results.add(f"causal_{name}: largest relative difference to the CPU", worst, "", most=limit)
        results.add(f"causal_{name}: largest relative difference of a batch to single pairs", batch, "", most=limit)


@torch.no_grad()
def waiting(results: Results) -> None:
    """Count how often the host waits for the device while it scores, and how long the device waits for the host."""
    pairs = inputs(8, "cuda")
    metric = metric_of("vgg", "cuda")
    for pair in pairs:
        metric(*pair)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            metric(pairs[0][0], pairs[0][1].clone())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = [str(entry.message) for entry in caught if "synchroniz" in str(entry.message)]
    results.add("causal_vgg: times the host waits for the device in a batch", len(waits), "times", most=0)
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        metric(pairs[1][0], pairs[1][1].clone())
        torch.cuda.synchronize()
    on_device = [e.time_range for e in profile.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    spans = sorted((span.start, span.end) for span in on_device)
    gap, busy, end = 0.0, 0.0, spans[0][0]
    for begin, until in spans:
        gap = max(gap, begin - end)
        busy += max(0.0, until - max(begin, end))
        end = max(end, until)
    results.add("causal_vgg, batch 8: share of the time in which the device is busy", busy / (end - spans[0][0]), "")
    results.add("causal_vgg, batch 8: longest gap between kernels", gap, "microseconds")


@torch.no_grad()
def kernel(results: Results, rounds: int, batch: int) -> None:
    """Time the transport of the largest level beside the copy of as many bytes."""
    from causaliqa.functional.intervention import STRENGTHS, noise_on
    from causaliqa.functional.transport import level_responses

    shape = (batch, 64, SIDE, SIDE)
    pairs = [tuple(torch.rand(shape, device="cuda").mul_(3).sub_(1).clamp_(min=0) for _ in "xy") for _ in range(SETS)]
    noise = noise_on(torch.device("cuda"), 0, 1, (SIDE // 8) ** 2, 64)
    copy = torch.empty(2, *shape, device="cuda")

    def transport(x: torch.Tensor, y: torch.Tensor) -> object:
        return level_responses(x, y, window=8, mode="share", noise=noise, strengths=STRENGTHS)

    calls = {"transport": transport, "copy": lambda x, y: (copy[0].copy_(x), copy[1].copy_(y))}
    times = seconds(calls, pairs, rounds)
    moved = 2 * copy.numel() * copy.element_size()
    results.add("copy of the features of the first VGG level", moved / times["copy"] / 1e9, "GB per second")
    results.add("transport of the first VGG level, per pair", times["transport"] / batch * 1e6, "microseconds")
    results.add("transport of the first VGG level, beside that copy", times["transport"] / times["copy"], "times")


class Denoiser(torch.nn.Module):
    """Convolutions of DnCNN's size."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = [torch.nn.Conv2d(3, 64, 3, padding=1), torch.nn.ReLU()]
        for _ in range(15):
            layers += [torch.nn.Conv2d(64, 64, 3, padding=1), torch.nn.ReLU()]
        self.layers = torch.nn.Sequential(*layers, torch.nn.Conv2d(64, 3, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.layers(x)


def effect_maps(results: Results, batch: int) -> None:
    """Compare the inferences per second of a causal effect map with those of the bare network at the same batch."""
    import causaliqa

    torch.manual_seed(0)
    net = Denoiser().eval().cuda()
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3, SIDE, SIDE, generator=generator)
    roi = (SIDE * 3 // 8, SIDE * 3 // 8, SIDE // 4, SIDE // 4)
    options = {
        "degradation": causaliqa.create_degradation("denoise", sigma=25),
        "sampler": causaliqa.create_sampler("noise"),
        "strategy": "plain",
        "batch_size": batch,
        "prune": False,
    }
    cem = causaliqa.CausalEffectMap(net, device="cuda")
    cem.attribute(image, roi, interventions=1, **options)
    rates: dict[str, list[float]] = {"map": [], "network": []}
    inputs = torch.rand(batch, 3, SIDE, SIDE, device="cuda").contiguous(memory_format=torch.channels_last)
    for _ in range(3):
        before, start = cem.network.inferences, time.perf_counter()
        cem.attribute(image, roi, interventions=2, **options)
        rates["map"].append((cem.network.inferences - before) / (time.perf_counter() - start))
        with torch.inference_mode():
            start = time.perf_counter()
            for _ in range(40):
                net(inputs)
            torch.cuda.synchronize()
            rates["network"].append(40 * batch / (time.perf_counter() - start))
    for name, values in rates.items():
        results.add(f"{name} of 17 convolutions, batch {batch}", statistics.median(values), "inferences per second")
        results.add(f"{name}: pixels", statistics.median(values) * SIDE**2 / 1e6, "million per second")
    share = statistics.median(a / b for a, b in zip(rates["map"], rates["network"], strict=True))
    results.add("rate of the map beside that of the network", share, "times", least=0.9)


def published(results: Results, folder: Path, rounds: int) -> None:
    """Compare one pair with the published code on the same card."""
    pairs = inputs(1, "cuda")
    torch.set_default_device("cuda")
    try:
        (img, ref), *_ = pairs
        theirs = published_metric(folder, None, img, ref)
        start = time.perf_counter()
        theirs()
        torch.cuda.synchronize()
        slow = time.perf_counter() - start
    finally:
        torch.set_default_device(None)
    metric = metric_of("vgg", "cuda")
    fast = seconds({"ours": lambda img, ref: metric(img, ref.clone())}, pairs, rounds)["ours"]
    results.add("published code: one pair, beside causal_vgg", slow / fast, "times", least=200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--tf32", action="store_true")
    parser.add_argument("--published", type=Path)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("benchmarks/gpu.py needs a CUDA device; torch finds none here.", file=sys.stderr)
        raise SystemExit(2)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = args.tf32
    results = Results(machine(args.tf32))
    equality(results, is_goal=not args.tf32)
    waiting(results)
    kernel(results, args.rounds, args.batch)
    metrics(results, args.rounds, args.batch)
    effect_maps(results, args.batch)
    for subject, value, unit in leaderboard("cuda", 128):
        results.add(subject, value, unit, most=CPU_TOLERANCE if "against cpu" in subject and not args.tf32 else None)
    if args.published:
        published(results, args.published, args.rounds)
    file = args.out.open("w", newline="", encoding="utf-8") if args.out else sys.stdout
    writer = csv.DictWriter(file, fieldnames=list(results.lines[0]))
    writer.writeheader()
    writer.writerows(results.lines)
    raise SystemExit(0 if results.holds else 1)


if __name__ == "__main__":
    main()
