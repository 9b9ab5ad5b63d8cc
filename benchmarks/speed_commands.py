"""Commands as they are run, in processes of their own: ``ssim``, a table of 14 metrics, a map; for causal_speed.py.

Processor time is compared where whole commands are, because other programs disturb it less than the clock.
"""

from __future__ import annotations

import csv
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from scale_rates import photographs
from speed_results import Results

PACKAGE = Path(__file__).parent.parent
TABLE = (
    "psnr", "ssim", "ms_ssim", "cw_ssim", "fsim", "vif", "vsi", "gmsd", "nlpd", "causal_effnet_lite0",
    "causal_vgg:pretrained=false", "causal_vgg:pretrained=false,terms=md", "causal_vgg:pretrained=false,terms=l2",
    "deepwsd:pretrained=false",
)  # fmt: skip
ROUNDED = {"ssim": 1e-9, "ms_ssim": 1e-9, "vif": 1e-5}
"""Relative differences of scores that other windows may make (separable.py); all other metrics must give the same."""
TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**30)}
"""What a user sets who has read glibc's manual."""
UNTOUCHED = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=7"}
"""A default value, which tells the package that the user tunes the allocator."""


def leaderboard(
    manifest: Path, metrics: tuple[str, ...], source: Path, folder: Path, environment: dict[str, str]
) -> tuple[float, list[dict[str, str]]]:
    """Run a leaderboard with one thread; return its processor time and its scores."""
    rows = folder / "rows.csv"
    command: list[object] = [sys.executable, "-m", "causaliqa", "leaderboard", "--data", manifest, "--rows", rows]
    for metric in metrics:
        command += ["--metric", metric]
    # The base of a comparison may not stand what other packages on this machine register with torch.
    quiet = {"PYTHONPATH": str(source / "toolkit"), "TORCH_DEVICE_BACKEND_AUTOLOAD": "0", "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, cwd=folder, env={**os.environ, **quiet, **environment})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    with rows.open(encoding="utf-8") as file:
        scores = list(csv.DictReader(file))
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, scores


def seconds_of(rows: list[dict[str, str]]) -> float:
    """Return what a pair costs: the sum over metrics of the median of a pair's seconds."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["metric"], []).append(float(row["seconds"]))
    return sum(statistics.median(values) for values in found.values())


def commands(results: Results, base: Path | None, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "large").mkdir()
        structural_similarity(results, large(folder / "large"), folder, rounds)
        if base is not None:
            table(results, photographs(folder, 2, 4), folder, base, rounds)


def large(folder: Path) -> Path:
    """Write pairs of 528 x 528, where pyiqa's ``ssim`` does not downsample much."""
    from torchvision.utils import save_image

    generator = torch.Generator().manual_seed(0)
    lines = ["ref,dist,dmos"]
    for k in range(10):
        ref = torch.rand(1, 3, 528, 528, generator=generator)
        noisy = ref + 0.02 * (k + 1) * torch.randn(ref.shape, generator=generator)
        save_image(ref, folder / f"ref{k}.png")
        save_image(noisy.clamp(0, 1), folder / f"dist{k}.png")
        lines.append(f"ref{k}.png,dist{k}.png,{k}")
    (folder / "set.csv").write_text("\n".join(lines) + "\n")
    return folder / "set.csv"


def structural_similarity(results: Results, manifest: Path, folder: Path, rounds: int) -> None:
    """Compare ``ssim`` in the command with the same in processes whose allocator the user has tuned, or not."""
    ways = {"as the command runs": {}, "allocator tuned by the user": TUNED, "allocator of glibc": UNTOUCHED}
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, environment in ways.items():
            found[way].append(seconds_of(leaderboard(manifest, ("ssim",), PACKAGE, folder, environment)[1]))
    tuned = "allocator tuned by the user"
    for way, seconds in found.items():
        most = 1.3 if way == "as the command runs" else None
        results.add(f"ssim, 528 x 528: {way}", seconds, found[tuned], tuned, most=most)


def equal(expected: dict[tuple[str, str], str], found: dict[tuple[str, str], str]) -> bool:
    """Say whether scores by metric and image agree, to the last digit but for :data:`ROUNDED`."""
    return expected.keys() == found.keys() and all(
        math.isclose(float(score), float(found[key]), rel_tol=ROUNDED.get(key[0], 0.0))
        for key, score in expected.items()
    )


def table(results: Results, manifest: Path, folder: Path, base: Path, rounds: int) -> None:
    """Compare a table of 14 metrics on eight pairs with the same command of another checkout; scores must be equal."""
    whole: dict[str, list[float]] = {"base": [], "ours": []}
    pair: dict[str, list[float]] = {"base": [], "ours": []}
    for _ in range(rounds):
        scores = {}
        for name, source in (("base", base), ("ours", PACKAGE)):
            seconds, rows = leaderboard(manifest, TABLE, source, folder, {})
            whole[name].append(seconds)
            pair[name].append(seconds_of(rows))
            scores[name] = {(row["metric"], row["dist"]): row["score"] for row in rows}
        if not equal(scores["base"], scores["ours"]):
            raise SystemExit("the table of 14 metrics: scores differ from those of --base")
    what = f"14 metrics, {len(scores['ours']) // 14} pairs of 512 x 384, equal scores"
    results.add(f"{what}: a pair, base", pair["base"])
    results.add(f"{what}: a pair", pair["ours"], pair["base"], "base", most=0.333)
    results.add(f"{what}: whole command, processor, base", whole["base"])
    results.add(f"{what}: whole command, processor", whole["ours"], whole["base"], "base")


def effect_map(results: Results) -> None:
    """Compare a map with the loop of the published demo: the whole image through the network for every intervention."""
    import causaliqa
    from causaliqa.io.photographs import photograph

    image = torch.from_numpy(photograph("chelsea")[20:276, 100:356]).permute(2, 0, 1).float() / 255
    network, interventions = causaliqa.create_restorer("tiny_dncnn_50"), 3
    attributor = causaliqa.CausalEffectMap(network, device="cpu")
    start = time.perf_counter()
    attributor.attribute(
        image,
        (96, 152, 32, 32),
        degradation=causaliqa.create_degradation("denoise", sigma=50),
        sampler=causaliqa.create_sampler("natural"),
        strategy="plain",
        interventions=interventions,
        progress=False,
    )
    ours = time.perf_counter() - start
    count = interventions * ((256 // 8) ** 2 - (32 // 8) ** 2)  # patches of 8 x 8 outside the region
    batch = image.expand(10, -1, -1, -1).contiguous()
    with torch.inference_mode():
        network(batch)
        start = time.perf_counter()
        for _ in range(3):
            network(batch)
        each = (time.perf_counter() - start) / (3 * len(batch))
    subject = f"map of tiny_dncnn_50, 256 x 256, {count} interventions"
    results.note(f"{subject}: published loop, from 30 inferences", each * count)
    results.note(subject, ours, ours / (each * count), "published loop")
