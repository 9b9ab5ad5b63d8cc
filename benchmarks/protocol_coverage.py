"""Do the intervals of every protocol hold the truth? Simulated with the metrics of ``best_simulation.py``.

One metric on three data sets, which differ in how much it errs; the truth is that over 4,000 references. Of
the worst data set the truth is the lowest of the three; where all three are alike, the promise is hardest to keep.

    python benchmarks/protocol_coverage.py [--runs 500] [--references 25 10] [--seed 0] [--scenario NAME ...]

Columns, in percent: how often the 95 % interval of one data set over all images (``all``) and within references
(``within``), of the mean over data sets and of the worst data set (by either protocol) holds the truth.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from best_simulation import ERRORS, population, sample
from simulation_table import write_table

from causaliqa.functional.protocols import Protocols, over_sets

RESULT = Path(__file__).parent / "results" / "protocol_coverage.csv"

SCENARIOS = {"alike": (1.0, 1.0, 1.0), "different": (0.7, 1.0, 1.8), "heavy tails": (0.7, 1.0, 1.8)}
"""Factors of the errors on each data set."""


def simulate(name: str, *, references: int, runs: int, seed: int = 0) -> dict[str, float]:
    """Shares in percent, see above."""
    heavy = name == "heavy tails"
    errors = [factor * np.array(ERRORS) for factor in SCENARIOS[name]]
    truth = {protocol: [population(e, protocol, heavy) for e in errors] for protocol in ("all", "within")}
    held: Counter[str] = Counter()
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        sets = [
            Protocols(*sample(rng, e[None], references, heavy=heavy), draws=500, seed=place)
            for place, e in enumerate(errors)
        ]
        for protocol, values in truth.items():
            found = over_sets(sets, protocol)
            ends = {
                protocol: (sets[0].intervals(protocol)[0], values[0]),
                f"mean {protocol}": (found.mean_interval[0], float(np.mean(values))),
                f"worst {protocol}": (found.worst_interval[0], min(values)),
            }
            for key, ((low, high), value) in ends.items():
                held[key] += bool(low <= value <= high)
    return {key: 100 * count / runs for key, count in held.items()}


def line(name: str, references: int, runs: int, seed: int) -> dict[str, object]:
    """Cells of one line of the table."""
    result = simulate(name, references=references, runs=runs, seed=seed)
    return {
        "scenario": name,
        "references": references,
        "runs": runs,
        "seed": seed,
        **{key: f"{value:.1f}" for key, value in result.items()},
    }


def main() -> None:
    write_table(line, SCENARIOS, RESULT, doc=__doc__, references=(25, 10))


if __name__ == "__main__":
    main()
