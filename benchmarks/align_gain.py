"""What ``--align`` changes on super-resolved images that lie 0 to 2 pixels beside their references.

    python benchmarks/align_gain.py --data MANIFEST.csv [--metric psnr --metric ssim] [--every 1]

Manifests have ref, dist and an opinion score. Each metric is ranked on the images as they are, with two border pixels
cut off (about as much as alignment cuts off), and aligned. Columns: SRCC with the opinions and its 95 % interval, mean
score, median and largest shift found, in pixels. Ctrl-C ends the run early and writes what is finished.
"""

from __future__ import annotations

import argparse
import contextlib
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

import causaliqa
from causaliqa.api.data import ScoreRow
from causaliqa.catalog.create import default_catalog
from causaliqa.evaluation.image_files import build_metrics, score_by_all
from causaliqa.evaluation.prepared_pairs import PairPreparer
from causaliqa.evaluation.scoring import frame_of, row_of
from causaliqa.io.manifest import read_manifest

RESULT = Path(__file__).parent / "results" / "align_gain.csv"
SETTINGS = {
    "as they are": causaliqa.Preparation(),
    "border of 2 px cut off": causaliqa.Preparation(crop=2),
    "aligned": causaliqa.Preparation(align=2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--metric", action="append")
    parser.add_argument("--every", type=int, default=1, help="take every N-th pair")
    args = parser.parse_args()
    dataset = read_manifest(args.data)
    built = build_metrics(default_catalog(), args.metric or ["psnr", "ssim"], "cpu", 0)
    preparers = {setting: PairPreparer(prepare) for setting, prepare in SETTINGS.items()}
    rows: dict[str, list[ScoreRow]] = defaultdict(list)
    shifts = []
    with contextlib.suppress(KeyboardInterrupt):
        for pair in tqdm(dataset.pairs[:: args.every], mininterval=30):
            found = {name: score_by_all(built, pair.dist, pair.ref, "cpu", made) for name, made in preparers.items()}
            for setting, (scores, note) in found.items():
                for name, score in scores.items():
                    rows[setting].append(
                        row_of(dataset, name, pair, lower_better=built[name].lower_better, score=score)
                    )
                if note:
                    shifts.append(np.hypot(*map(float, re.findall(r"[+-][\d.]+", note))))
    lines = []
    for setting, scored in rows.items():
        table = causaliqa.rank(frame_of(scored)).set_index("metric")
        means = frame_of(scored).groupby("metric")["score"].mean()
        found_here = shifts if setting == "aligned" else []
        lines += [_line(setting, name, table.loc[name], means[name], found_here) for name in built]
    pd.DataFrame(lines).to_csv(RESULT, index=False)


def _line(setting: str, metric: str, ranked: pd.Series[Any], mean: float, shifts: list[float]) -> dict[str, Any]:
    low, high = ranked["srcc_ci"]
    return {
        "setting": setting,
        "metric": metric,
        "images": ranked["n"],
        "srcc": round(ranked["srcc"], 3),
        "srcc_low": round(low, 3),
        "srcc_high": round(high, 3),
        "mean": round(mean, 4),
        "shift_median": round(float(np.median(shifts)), 2) if shifts else "",
        "shift_largest": round(float(np.max(shifts)), 2) if shifts else "",
    }


if __name__ == "__main__":
    main()
