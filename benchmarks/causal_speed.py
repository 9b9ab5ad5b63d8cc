"""What the causal metric costs beside its backbone, beside DISTS and LPIPS, and beside the published code.

Usage: python benchmarks/causal_speed.py --out RESULT.csv [--rounds 7] [--published FOLDER --vgg-weights FILE]

Networks have random weights unless FILE gives those of VGG16, and see 256 x 256 images. Everything is timed in turn,
round by round in one process, and medians are reported. FOLDER is a checkout of the published code with a module
tools/utils.py beside it that has DeepWSD's `downsample`; it runs in this process as well, once or twice, with POT.
Peak memory is that of a process of its own for each subject, less that of the two backbone passes.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib.metadata
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

BACKBONES = ("vgg", "resnet", "effnet", "effnet_lite0")
SIDE = 256


def images(side: int = SIDE) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, side // 8, side // 8, generator=generator)
    ref = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    return (ref + 0.05 * torch.randn(ref.shape, generator=generator)).clamp(0, 1), ref


def subjects(published: Path | None, weights: Path | None) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name; each call compares one pair, or passes two images through a backbone."""
    import causaliqa

    img, ref = images()
    made: dict[str, Callable[[], object]] = {}
    for name in BACKBONES:
        options = {"weights": weights} if weights is not None and name == "vgg" else {"pretrained": False}
        # Two of them, because a metric remembers the levels of its last reference.
        metric, known = (causaliqa.create_metric(f"causal_{name}", device="cpu", **options) for _ in range(2))
        net = metric.feature_levels.backbone
        made[f"{name}: two backbone passes"] = lambda net=net: (net(img), net(ref))
        # A fresh reference each time: nothing may come from memory.
        made[f"{name}: one pair"] = lambda metric=metric: metric(img, ref.clone())
        made[f"{name}: one pair, reference known"] = lambda known=known: known(img, ref)
    made |= peers(img, ref)
    if published is not None:
        made["published code: one pair"] = published_metric(published, weights, img, ref)
    return made


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


def peers(img: torch.Tensor, ref: torch.Tensor) -> dict[str, Callable[[], object]]:
    from pyiqa.archs import dists_arch, lpips_arch

    with local_vgg16():
        dists = dists_arch.DISTS(pretrained=False).eval()
        lpips = lpips_arch.LPIPS(pretrained=False, net="vgg", pnet_rand=True).eval()
    return {"pyiqa DISTS: one pair": lambda: dists(img, ref), "pyiqa LPIPS (VGG): one pair": lambda: lpips(img, ref)}


def published_metric(folder: Path, weights: Path | None, img: torch.Tensor, ref: torch.Tensor) -> Callable[[], object]:
    """Build the published metric."""
    sys.path.insert(0, str(folder))
    with local_vgg16(weights):
        from modules.IQAModel import DeepCausalQualityVGG

        metric = DeepCausalQualityVGG()
    return lambda: metric(img, ref, as_loss=False, resize=False)


def data_set_run(weights: Path | None, rounds: int) -> dict[str, list[float]]:
    """Time a data set of one reference and 40 distorted images, files and all, beside one backbone pass each time."""
    from torchvision.utils import save_image

    import causaliqa

    options = {"weights": weights} if weights is not None else {"pretrained": False}
    metric = causaliqa.create_metric("causal_vgg", device="cpu", **options)
    _, ref = images()
    generator = torch.Generator().manual_seed(1)
    times: dict[str, list[float]] = {"vgg: one backbone pass": [], "vgg: per pair of a data set run": []}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        save_image(ref, root / "ref.png")
        lines = ["ref,dist,dmos"]
        for k in range(40):
            save_image(
                (ref + 0.004 * (k + 1) * torch.randn(ref.shape, generator=generator)).clamp(0, 1), root / f"{k}.png"
            )
            lines.append(f"ref.png,{k}.png,{k}")
        (root / "set.csv").write_text("\n".join(lines) + "\n")
        dataset = causaliqa.read_manifest(root / "set.csv")
        net = metric.feature_levels.backbone
        for _ in range(rounds):
            with torch.no_grad():
                passes = []
                for _ in range(10):
                    start = time.perf_counter()
                    net(ref)
                    passes.append(time.perf_counter() - start)
            times["vgg: one backbone pass"].append(statistics.median(passes))
            start = time.perf_counter()
            causaliqa.evaluate([metric], dataset)
            times["vgg: per pair of a data set run"].append((time.perf_counter() - start) / 40)
    return times


def measure(made: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in made}
    with torch.no_grad():
        for name, call in made.items():
            if "published" not in name:
                call()
        for k in range(rounds):
            for name, call in made.items():
                if "published" in name and k > 1:
                    continue
                start = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - start)
            print(f"round {k + 1} of {rounds}", file=sys.stderr)
    return times


def peak(code: str, argv: list[str]) -> float:
    """Return the peak memory in MB of a fresh process that runs this module's subject ``code``."""
    done = subprocess.run([sys.executable, __file__, "--peak", code, *argv], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def run_for_peak(code: str, published: Path | None, weights: Path | None) -> None:
    """Print the peak memory of this process after one run of a subject (``backbone:SIDE``, ``pair:SIDE``, ...)."""
    what, _, side = code.partition(":")
    img, ref = images(int(side))
    with torch.no_grad():
        if what == "published":
            if published is None:
                raise SystemExit("--peak published needs --published")
            published_metric(published, weights, img, ref)()
        else:
            import causaliqa

            metric = causaliqa.create_metric("causal_vgg", pretrained=False, device="cpu", resize=False)
            small = images(64)
            metric(*small)  # compiling is no part of it
            net = metric.feature_levels.backbone
            _kept = (net(img), net(ref)) if what == "backbone" else metric(img, ref)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--published", type=Path)
    parser.add_argument("--vgg-weights", type=Path)
    parser.add_argument("--peak")
    args = parser.parse_args()
    if args.peak:
        run_for_peak(args.peak, args.published, args.vgg_weights)
        return
    more = ["--published", str(args.published)] if args.published else []
    times = measure(subjects(args.published, args.vgg_weights), args.rounds)
    times |= data_set_run(args.vgg_weights, 3)
    medians = {name: statistics.median(values) for name, values in times.items()}
    lines = [
        {"subject": name, "seconds": round(medians[name], 4), "runs": len(values), "ratio": "", "against": ""}
        for name, values in times.items()
    ]
    for name in BACKBONES:
        passes = medians[f"{name}: two backbone passes"]
        for what, against, base in (
            ("one pair", "two backbone passes", passes),
            ("one pair, reference known", "one backbone pass", passes / 2),
        ):
            line = next(entry for entry in lines if entry["subject"] == f"{name}: {what}")
            line["ratio"], line["against"] = round(medians[f"{name}: {what}"] / base, 2), against
    run = next(line for line in lines if line["subject"] == "vgg: per pair of a data set run")
    run["ratio"] = round(medians["vgg: per pair of a data set run"] / medians["vgg: one backbone pass"], 2)
    run["against"] = "one backbone pass"
    for line in lines:
        if "published" in str(line["subject"]):
            line["ratio"] = round(medians[str(line["subject"])] / medians["vgg: one pair"], 1)
            line["against"] = "vgg: one pair"
    for side in (256, 512, 1024, 2048):
        base, pair = (peak(f"{what}:{side}", []) for what in ("backbone", "pair"))
        lines.append(memory(f"vgg, {side} x {side}: memory above two backbone passes (MB)", pair - base, pair, base))
    if args.published:
        ours, theirs = peak("pair:256", []), peak("published:256", more)
        lines.append(memory("published code, 256 x 256: peak memory (MB)", theirs, theirs, ours))
    facts = (
        f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"POT {importlib.metadata.version('POT')}"
    )
    write(args.out, lines, facts)


def memory(subject: str, value: float, high: float, low: float) -> dict[str, object]:
    return {"subject": subject, "seconds": round(value, 1), "runs": 1, "ratio": round(high / low, 2), "against": "peak"}


def write(out: Path | None, lines: list[dict[str, object]], facts: str) -> None:
    file = sys.stdout
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        file = out.open("w", newline="", encoding="utf-8")
    writer = csv.DictWriter(file, fieldnames=["subject", "seconds", "runs", "ratio", "against", "machine"])
    writer.writeheader()
    writer.writerows({**line, "machine": facts} for line in lines)


if __name__ == "__main__":
    main()
