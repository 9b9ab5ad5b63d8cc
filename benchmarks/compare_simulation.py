"""How often does a comparison of outputs call equal ones different, and how often do intervals hold the truth?

Scores of an image are a level of the image plus an error of every output, normal or heavy-tailed (Student's t with
three degrees of freedom), as differences between restorers are.

    python benchmarks/compare_simulation.py [--runs 500] [--references 14] [--seed 0] [--scenario NAME ...]

``--references`` is the number of images, or of contents for BD-rates. Columns, in percent: ``excluded`` true best
outputs that are declared worse (at most 5 is promised); ``different`` pairs of equal outputs with p below .05;
``covered`` 95 % intervals of the difference that hold the truth (for BD-rates: of the mean over contents); ``found``
outputs with p below .05 that are worse by the difference that ``detectable`` promises to find in 80 % of the runs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from simulation_table import write_table

from causaliqa.functional.means import compare_means, detectable
from causaliqa.functional.rate_distortion import Curve, bd_over_contents

RESULT = Path(__file__).parent / "results" / "compare_simulation.csv"

# name: equal outputs, outputs that are worse by the detectable difference, degrees of freedom of the errors
SCENARIOS: dict[str, tuple[int, int, float]] = {
    "two equal": (2, 0, np.inf),
    "five equal": (5, 0, np.inf),
    "five equal, heavy tails": (5, 0, 3),
    "one of two worse": (1, 1, np.inf),
    "one of two worse, heavy tails": (1, 1, 3),
}
BD = "BD-rate"
_SPREAD = 0.1
"""Deviation of the logarithm of the rate ratio between contents."""


def _errors(rng: np.random.Generator, shape: tuple[int, int], freedom: float) -> NDArray[np.float64]:
    if np.isinf(freedom):
        return rng.normal(size=shape)
    return rng.standard_t(freedom, size=shape) / np.sqrt(freedom / (freedom - 2))


def simulate(name: str, *, images: int, runs: int, seed: int = 0) -> dict[str, float]:
    """Shares in percent, see above."""
    equal, worse, freedom = SCENARIOS[name]
    gap = detectable(images) * np.sqrt(2)  # a difference of two errors has this deviation
    level = np.array([0.0] * equal + [-gap] * worse)[:, None]
    excluded, different, covered, found = [], [], [], []
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        scores = level + 3 * rng.normal(size=images) + _errors(rng, (len(level), images), freedom)
        made = compare_means(scores, seed=run)
        truth = level - level.T
        above = np.triu_indices(len(level), 1)
        excluded += [not tied for tied in made.tied()[:equal]]
        covered += ((made.low <= truth) & (truth <= made.high))[above].tolist()
        different += (made.p[:equal, :equal] < 0.05)[np.triu_indices(equal, 1)].tolist()
        found += (made.p[:equal, equal:] < 0.05).ravel().tolist()
    shares = {"excluded": excluded, "different": different, "covered": covered, "found": found}
    return {key: 100 * float(np.mean(share)) if share else np.nan for key, share in shares.items()}


def simulate_bd(*, contents: int, runs: int, seed: int = 0) -> dict[str, float]:
    """Coverage of the interval of the mean BD-rate, in percent."""
    anchor = Curve.of([1, 2, 4, 8], [30, 33, 36, 39])
    truth = 100 * (0.9 * np.exp(_SPREAD**2 / 2) - 1)
    hits = []
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        ratios = 0.9 * np.exp(_SPREAD * rng.normal(size=contents))
        tests = [Curve.of(anchor.rate * ratio, anchor.quality) for ratio in ratios]
        low, high = bd_over_contents([anchor] * contents, tests).rate_ci
        hits.append(low <= truth <= high)
    return {"excluded": np.nan, "different": np.nan, "covered": 100 * float(np.mean(hits)), "found": np.nan}


def line(name: str, references: int, runs: int, seed: int) -> dict[str, object]:
    """Cells of one line of the table."""
    if name == BD:
        result = simulate_bd(contents=references, runs=runs, seed=seed)
    else:
        result = simulate(name, images=references, runs=runs, seed=seed)
    facts: dict[str, object] = {"scenario": name, "images": references, "runs": runs, "seed": seed}
    return facts | {key: "" if np.isnan(value) else f"{value:.1f}" for key, value in result.items()}


def main() -> None:
    write_table(line, [*SCENARIOS, BD], RESULT, doc=__doc__, references=(8, 14, 50))


if __name__ == "__main__":
    main()
