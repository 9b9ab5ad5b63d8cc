"""Choose one setting of the calibrated metric: every setting on every set, leaving one set out at a time.

Usage: python benchmarks/calibration_explore.py --cache FOLDER --data FOLDER --out RESULT.csv

FOLDER holds what calibration_extract.py wrote. One line per setting and backbone: SRCC over images on the sets of
opinions (on recon2afc agreement with the votes), for the setting that ships and for those without calibration with
95 % intervals of a bootstrap over references (over images where a set has fewer than five), and the mean of the three
sets that count: tid2013_real, srij16 and mini_real, which is the mean of its two parts. Lines ``left out`` tell which
setting the other sets choose, for both backbones together, and what it reaches on the one left out.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
from calibration_extract import COSTS, INTERVENTIONS
from numpy.typing import NDArray
from scipy.stats import spearmanr

Array = NDArray[np.float64]

MANIFESTS = {
    "tid2013_real": "tid2013_real/manifest.csv",
    "srij16": "srij16/manifest.csv",
    "csiq": "mini_real/csiq_manifest.csv",
    "mini_tid": "mini_real/tid2013_manifest.csv",
    "recon2afc": "recon2afc/manifest.csv",
}
COLOUR = ("brightness", "contrast", "colour")
UNITS = {
    "none": (),
    "all five": (*COLOUR, "noise", "shift"),
    "all five, noise10": (*COLOUR, "noise10", "shift"),
    "without shift": (*COLOUR, "noise"),
    "noise + shift": ("noise", "shift"),
    "noise": ("noise",),
    "shift": ("shift",),
}
TERMS = {
    "mean+structure+contrast": ("mean", "structure", "contrast"),
    "mean+structure": ("mean", "structure"),
    "mean+structure_rms+contrast": ("mean", "structure_rms", "contrast"),
    "mean": ("mean",),
    "structure": ("structure",),
}
FLOORS = ("energy", "var")
"""Tried where the terms and the pooling are those shipped; everything else with ``tenth``."""
POOLS = ("arithmetic", "geometric in levels", "geometric over levels", "geometric")
LEVELS = {"image + stages": 0, "stages": 1}
SHIPPED = ("mean+structure+contrast", "all five", "tenth", "arithmetic", "image + stages")


def settings() -> list[tuple[str, ...]]:
    return [
        *itertools.product(TERMS, UNITS, ["tenth"], POOLS, LEVELS),
        *itertools.product([SHIPPED[0]], UNITS, FLOORS, [SHIPPED[3]], LEVELS),
    ]


def load(cache: Path, data: Path, backbone: str) -> dict[str, dict[str, Array]]:
    sets = {}
    for name, manifest in MANIFESTS.items():
        file = cache / f"{name}_{backbone}.npz"
        if not file.is_file():
            continue
        with np.load(file) as content:
            found = {key: content[key] for key in content.files}
        table = pd.read_csv(data / manifest).iloc[found["row"]]
        votes = "votes_a" in table
        found["label"] = table[["votes_a", "votes_b"]].to_numpy() if votes else _quality(table)
        sets[name] = found
    return sets


def _quality(table: pd.DataFrame) -> Array:
    return (-table.dmos if "dmos" in table else table.mos).to_numpy(dtype=float)


def score(found: dict[str, Array], side: str, setting: tuple[str, ...]) -> Array:
    """Score of every image with one setting, up to a monotone map."""
    terms, unit, floor, pool, levels = setting
    costs = [COSTS.index(f"{term}_{floor}") for term in TERMS[terms]]
    kinds = [INTERVENTIONS.index(kind) for kind in UNITS[unit]]
    per_level = []
    for level in range(LEVELS[levels], int(found["level"].max()) + 1):
        here = found["level"] == level
        ratio = found[side][:, costs][:, :, here]
        if kinds:
            answer = found["answers"][:, kinds][:, :, costs][:, :, :, here].mean(axis=1)
            whole = answer + 0.3 * answer.mean(axis=-1, keepdims=True)
            whole = whole * (answer / np.maximum(whole, 1e-12)).mean(axis=-1, keepdims=True) + 1e-4
            ratio = ratio / whole[found["ref"]]
        geometric = pool in ("geometric in levels", "geometric")
        per_level.append(np.expm1(np.log1p(ratio).mean((1, 2))) if geometric else ratio.mean((1, 2)))
    means = np.stack(per_level)
    return np.log1p(means).mean(0) if pool in ("geometric over levels", "geometric") else means.mean(0)


def figure(found: dict[str, Array], scores: dict[str, Array], pick: NDArray[np.int64]) -> float:
    label = found["label"][pick]
    if "a" not in scores:
        return float(spearmanr(-scores["dist"][pick], label)[0])
    a, b = scores["a"][pick], scores["b"][pick]
    won = np.where(a < b, label[:, 0], np.where(a > b, label[:, 1], label.mean(1)))
    return float(won.sum() / label.sum())


def interval(found: dict[str, Array], scores: dict[str, Array], draws: int = 300) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    refs = found["ref"]
    groups = [np.flatnonzero(refs == r) for r in np.unique(refs)]
    if len(groups) < 5:
        groups = [np.array([k]) for k in range(len(refs))]
    picks = (np.concatenate([groups[k] for k in rng.integers(len(groups), size=len(groups))]) for _ in range(draws))
    low, high = np.nanpercentile([figure(found, scores, pick) for pick in picks], [2.5, 97.5])
    return float(low), float(high)


def measure(sets: dict[str, dict[str, Array]], setting: tuple[str, ...]) -> dict[str, object]:
    line: dict[str, object] = {}
    for name, found in sets.items():
        scores = {side: score(found, side, setting) for side in ("a", "b", "dist") if side in found}
        line[name] = figure(found, scores, np.arange(len(found["ref"])))
        if setting == SHIPPED or setting[1] == "none":
            line[f"{name}_low"], line[f"{name}_high"] = interval(found, scores)
    if {"csiq", "mini_tid"} <= set(line):
        line["mini_real"] = (line["csiq"] + line["mini_tid"]) / 2
    if {"tid2013_real", "srij16", "mini_real"} <= set(line):
        line["mean"] = (line["tid2013_real"] + line["srij16"] + line["mini_real"]) / 3
    return line


def left_out(table: pd.DataFrame) -> list[dict[str, object]]:
    """What every set left out gets from the setting that the others choose, averaged over backbones."""
    keys = ["terms", "unit", "floor", "pool", "levels"]
    sets = [s for s in ("tid2013_real", "srij16", "mini_real", "recon2afc") if s in table]
    both = table.groupby(keys, sort=False)[sets].mean()
    lines = []
    for out in sets:
        best = both[[s for s in sets if s != out]].mean(axis=1).idxmax()
        lines += [
            {**row._asdict(), "note": f"left out: {out}"}
            for row in table.set_index(keys).loc[[best]].reset_index().itertuples(index=False)
        ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", required=True, type=Path)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    lines = []
    for backbone in ("vgg", "effnet_lite0"):
        sets = load(args.cache, args.data, backbone)
        sizes = " ".join(f"{name}:{len(found['ref'])}" for name, found in sets.items())
        for setting in settings():
            names = dict(zip(("terms", "unit", "floor", "pool", "levels"), setting, strict=True))
            note = "shipped" if setting == SHIPPED else ""
            lines.append({"backbone": backbone, **names, **measure(sets, setting), "images": sizes, "note": note})
    table = pd.DataFrame(lines)
    table = pd.concat([table, pd.DataFrame(left_out(table))], ignore_index=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    table.round(4).to_csv(args.out, index=False, quoting=csv.QUOTE_MINIMAL)


if __name__ == "__main__":
    main()
