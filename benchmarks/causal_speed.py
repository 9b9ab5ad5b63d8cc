"""What the causal metric costs beside its backbone, its peers, the published code, and the toolkit before it was tuned.

    python benchmarks/causal_speed.py --out RESULT.csv [--rounds 7] [--base FOLDER] [--published FOLDER]

Networks have random weights (VGG16 those of ``--vgg-weights FILE``, if given) and see 256 x 256 images; every call gets
a pair that nobody has seen. Subjects take turns, round by round; ``seconds`` are medians, ``ratio`` is the median of
the ratios of each round. ``--base`` is a checkout of this project to compare with: d962a52, without shared backbones.
``--published`` is one of Land5cape/DeepCausalQuality (322cb56), with a module tools/utils.py beside it that has any
``downsample``, never called; it runs in this process, once, with POT 0.9.4 (with 0.9.7 it fails). Commands run in
processes of their own (speed_commands.py), and so does every subject whose peak memory is taken.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from speed_commands import commands, effect_map
from speed_results import Results

BACKBONES = ("vgg", "resnet", "effnet", "effnet_lite0")
ROWS = ("causal_vgg", "causal_vgg:terms=md", "causal_vgg:terms=l2", "deepwsd")
SIDE = 256
Call = Callable[[torch.Tensor, torch.Tensor], object]


def images(side: int = SIDE) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, side // 8, side // 8, generator=generator)
    ref = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    return (ref + 0.05 * torch.randn(ref.shape, generator=generator)).clamp(0, 1), ref


def weights_of(file: Path | None) -> dict[str, object]:
    return {"pretrained": False} if file is None else {"weights": file}


def subjects(weights: Path | None) -> dict[str, Call]:
    """Return what is timed, by name; each call compares a pair, or passes two images through a backbone."""
    import causaliqa

    made: dict[str, Call] = {}
    for name in BACKBONES:
        options = weights_of(weights if name == "vgg" else None)
        # Two of them, because a metric remembers the levels of its last reference.
        metric, known = (causaliqa.create_metric(f"causal_{name}", device="cpu", **options) for _ in range(2))
        net = metric.feature_levels.backbone
        made[f"{name}: two backbone passes"] = lambda img, ref, net=net: (net(img), net(ref))
        made[f"{name}: one pair"] = metric
        made[f"{name}: one pair, reference known"] = known
    made["vgg: four rows of one backbone"] = rows_of_one_backbone(weights)
    return made | peers()


def rows_of_one_backbone(weights: Path | None) -> Call:
    """Return what a leaderboard computes of a pair for :data:`ROWS`, which share a backbone."""
    from causaliqa.catalog.create import default_catalog
    from causaliqa.catalog.workers import build_metric

    shared: dict = {}
    option = "pretrained=false" if weights is None else f"weights={weights}"
    requests = [f"{row}{',' if ':' in row else ':'}{option}" for row in ROWS]
    metrics = [build_metric(default_catalog(), request, "cpu", 0, shared) for request in requests]
    return lambda img, ref: [metric(img, ref) for metric in metrics]


@contextlib.contextmanager
def local_vgg16(weights: Path | None = None) -> Iterator[None]:
    """Let torchvision's VGG16 load a local file, or nothing, instead of downloading."""
    import torchvision

    real = torchvision.models.vgg16

    def build(**_: object) -> torch.nn.Module:
        net = real(weights=None)
        if weights is not None:
            net.load_state_dict(torch.load(weights, weights_only=True), strict=False)
        return net

    torchvision.models.vgg16 = build
    try:
        yield
    finally:
        torchvision.models.vgg16 = real


def peers() -> dict[str, Call]:
    from pyiqa.archs import dists_arch, lpips_arch

    with local_vgg16():
        dists = dists_arch.DISTS(pretrained=False).eval()
        lpips = lpips_arch.LPIPS(pretrained=False, net="vgg", pnet_rand=True).eval()
    return {"pyiqa DISTS: one pair": dists, "pyiqa LPIPS (VGG): one pair": lpips}


def published_metric(folder: Path, weights: Path | None, img: torch.Tensor, ref: torch.Tensor) -> Callable[[], object]:
    """Build the published metric."""
    sys.path.insert(0, str(folder))
    with local_vgg16(weights):
        from modules.IQAModel import DeepCausalQualityVGG

        metric = DeepCausalQualityVGG()
    return lambda: metric(img, ref, as_loss=False, resize=False)


@torch.no_grad()
def measure(calls: dict[str, Call], rounds: int, *, again: bool = True) -> dict[str, list[float]]:
    """Return the seconds of every call in every round, of the second of two calls; the subjects take turns."""
    img, ref = images()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for k in range(-1, rounds):  # the first round compiles
        for name, call in calls.items():
            # Twice, because the first call after another subject finds its memory returned and the caches cold.
            for turn in range(1 if k < 0 or not again else 2):
                # Other values each time: nothing may come from memory but a reference that is to be known.
                factor = 1 - 1e-4 * (2 * k + turn + 3)
                pair = img * factor, ref if name.endswith("known") else ref * factor
                start = time.perf_counter()
                call(*pair)
                seconds = time.perf_counter() - start
            if k >= 0:
                times[name].append(seconds)
        print(f"round {k + 1} of {rounds}", file=sys.stderr)
    return times


def compare(results: Results, times: dict[str, list[float]]) -> None:
    for name in BACKBONES:
        passes = times[f"{name}: two backbone passes"]
        goals = (1.2, 1.3) if name == "vgg" else (None, None)
        results.add(f"{name}: two backbone passes", passes)
        results.add(f"{name}: one pair", times[f"{name}: one pair"], passes, "two backbone passes", most=goals[0])
        known = f"{name}: one pair, reference known"
        results.add(known, times[known], [v / 2 for v in passes], "one backbone pass", most=goals[1])
    pair = times["vgg: one pair"]
    results.add(
        "vgg: four rows of one backbone", times["vgg: four rows of one backbone"], pair, "vgg: one pair", most=1.4
    )
    for name in ("pyiqa DISTS: one pair", "pyiqa LPIPS (VGG): one pair"):
        results.add(name, times[name], pair, "vgg: one pair")


@torch.no_grad()
def published(results: Results, folder: Path, weights: Path | None) -> None:
    """Time the published code in turns with ours."""
    import causaliqa

    img, ref = images()
    ours = causaliqa.create_metric("causal_vgg", device="cpu", **weights_of(weights))
    theirs = published_metric(folder, weights, img, ref)
    times = measure({"ours": ours, "theirs": lambda *_: theirs()}, 1, again=False)
    results.add("published code: one pair", times["theirs"], times["ours"], "vgg: one pair")


def peak(code: str, argv: list[str]) -> float:
    """Return the peak memory in MB of a fresh process that runs this module's subject ``code``."""
    done = subprocess.run([sys.executable, __file__, "--peak", code, *argv], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def run_for_peak(code: str, folder: Path | None, weights: Path | None) -> None:
    """Print the peak memory of this process after one run of a subject (``backbone:SIDE``, ``pair:SIDE``, ...)."""
    what, _, side = code.partition(":")
    img, ref = images(int(side))
    with torch.no_grad():
        if what == "published":
            if folder is None:
                raise SystemExit("--peak published needs --published")
            published_metric(folder, weights, img, ref)()
        else:
            import causaliqa

            metric = causaliqa.create_metric("causal_vgg", pretrained=False, device="cpu", resize=False)
            small = images(64)
            metric(*small)  # compiling is no part of it
            net = metric.feature_levels.backbone
            _kept = (net(img), net(ref)) if what == "backbone" else metric(img, ref)
    # Not getrusage: its peak outlives exec, so a child would begin with that of its parent.
    (line,) = (v for v in Path("/proc/self/status").read_text().splitlines() if v.startswith("VmHWM"))
    print(int(line.split()[1]) / 1024)


def memory(results: Results, folder: Path | None) -> None:
    for side in (256, 512, 1024):
        base, pair = (peak(f"{what}:{side}", []) for what in ("backbone", "pair"))
        results.note(f"vgg, {side} x {side}: peak memory (MB)", pair, pair / base, "two backbone passes")
    if folder is not None:
        ours, theirs = peak("pair:256", []), peak("published:256", ["--published", str(folder)])
        results.note("published code, 256 x 256: peak memory (MB)", theirs, theirs / ours, "vgg: one pair")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--published", type=Path)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--vgg-weights", type=Path)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak:
        run_for_peak(args.peak, args.published, args.vgg_weights)
        return
    pot = importlib.metadata.version("POT") if args.published else "none"
    results = Results(args.out, f"{torch.get_num_threads()} threads, torch {torch.__version__}, POT {pot}")
    compare(results, measure(subjects(args.vgg_weights), args.rounds))
    effect_map(results)
    commands(results, args.base, rounds=min(2, args.rounds))
    if args.published:
        published(results, args.published, args.vgg_weights)
    memory(results, args.published)


if __name__ == "__main__":
    main()
