"""Is the best metric kept among those tied with the best, and is a worse one told apart? With few references.

Every simulated data set has references with 60 distorted images each; a metric errs by reference, by distortion type on
a reference and by image, half of the variance shared by all metrics. Metrics with equal errors are equally good by
symmetry; a gap is made by scaling the errors until SRCC over 4,000 references is lower by that much. Beside
``compare`` stand the former rule (Holm over all pairs) and the naive one (each against the best in the sample,
uncorrected), which the winner's curse breaks.

    python benchmarks/best_simulation.py [--runs 500] [--references 25] [--seed 0] [--scenario NAME ...]

Columns, in percent: ``excluded`` a best metric that is not called tied with the best (at most 5 is promised);
``any_excluded`` runs in which one of several equal best is not; ``power`` worse metrics that are not called tied;
``changed`` verdicts on these metrics that change when as many ``bystanders`` join, worse by .3 (where tried).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from simulation_table import write_table

from causaliqa.functional.best import Comparison, compare
from causaliqa.functional.significance import tied_with_best
from causaliqa.functional.statistics import srcc

Array = NDArray[np.float64]

TYPES, LEVELS, MANY = 12, 5, 4000
ERRORS = (0.25, 0.3, 0.15)
"""Deviations of a metric's errors by reference, by type on a reference, by image; quality spans about 3."""
RESULT = Path(__file__).parent / "results" / "best_simulation.csv"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A field of metrics."""

    best: int = 1
    """Equally good best metrics."""
    worse: int = 0
    """Metrics below them."""
    gap: float = 0.05
    """How far below, in SRCC."""
    heavy: bool = False
    """Errors by reference and type have Student's t with three degrees of freedom."""
    protocol: str = "all"
    """SRCC over all images or within references."""
    bystanders: int = 0
    """Metrics that are worse by .3 and join afterwards."""


SCENARIOS = {
    "one worse": Scenario(worse=1, bystanders=10),
    "one worse, within": Scenario(worse=1, protocol="within", bystanders=30),
    "ten worse": Scenario(worse=10, bystanders=10),
    "ten slightly worse": Scenario(worse=10, gap=0.01),
    "two equal": Scenario(best=2),
    "ten equal": Scenario(best=10),
    "ten equal, within": Scenario(best=10, protocol="within"),
    "ten equal, heavy tails": Scenario(best=10, heavy=True),
    "five equal, five worse": Scenario(best=5, worse=5, bystanders=10),
}


def sample(
    rng: np.random.Generator, errors: Array, references: int, *, heavy: bool = False
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Scores ``(M, n)``, labels ``(n,)`` and references ``(n,)``; errors ``(M, 3)`` are the deviations of each."""
    design = np.random.default_rng(1)
    kind = np.repeat(np.arange(TYPES), LEVELS)
    mean = -3 * np.tile(np.linspace(0, 1, LEVELS), TYPES) * design.uniform(0.6, 1.3, TYPES)[kind]
    shape = (references, len(mean))

    def draw(*size: int) -> Array:
        return rng.standard_t(3, size) / np.sqrt(3) if heavy else rng.normal(size=size)

    def noise() -> tuple[Array, Array, Array]:
        pair = draw(references, TYPES)[:, kind]
        return np.broadcast_to(draw(references, 1), shape), pair, rng.normal(size=shape)

    content, pair, opinion = noise()
    quality = mean + 0.2 * content + 0.3 * pair
    common = noise()
    scores = [
        quality - 0.15 * content + sum(d * (a + b) / np.sqrt(2) for d, a, b in zip(own, common, noise(), strict=True))
        for own in errors
    ]
    clusters = np.repeat(np.arange(references), shape[1])
    return np.stack(scores).reshape(len(errors), -1), (quality + 0.2 * opinion).ravel(), clusters


def population(errors: Array, protocol: str, heavy: bool) -> float:
    """SRCC of a metric with these errors, over many references."""
    scores, labels, _ = sample(np.random.default_rng(3), errors[None], MANY, heavy=heavy)
    if protocol == "all":
        return srcc(scores[0], labels)
    return float(np.mean([srcc(*v) for v in zip(scores[0].reshape(MANY, -1), labels.reshape(MANY, -1), strict=True)]))


def below(gap: float, scenario: Scenario) -> Array:
    """Errors of a metric whose SRCC lies so far below that of the best."""
    top = population(np.array(ERRORS), scenario.protocol, scenario.heavy)

    def excess(factor: float) -> float:
        return top - gap - population(factor * np.array(ERRORS), scenario.protocol, scenario.heavy)

    return float(optimize.brentq(excess, 1.0, 20.0, xtol=1e-3)) * np.array(ERRORS)


def verdicts(found: Comparison) -> dict[str, NDArray[np.bool_]]:
    """Metrics tied with the best by three rules."""
    top = int(np.argmax(found.srcc))
    return {
        "compare": np.array(found.tied()),
        "holm": np.array(tied_with_best(found.srcc, found.p)),
        "naive": found.p[top] >= 0.05,
    }


def simulate(scenario: Scenario, *, references: int, runs: int, seed: int = 0) -> dict[str, float]:
    """Shares in percent, see above."""
    best = np.tile(ERRORS, (scenario.best, 1))
    worse = np.tile(below(scenario.gap, scenario), (scenario.worse, 1)) if scenario.worse else np.empty((0, 3))
    bystanders = np.tile(below(0.3, scenario), (scenario.bystanders, 1)) if scenario.bystanders else np.empty((0, 3))
    count = len(best) + len(worse)
    out: dict[str, float] = {}
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        data = sample(rng, np.concatenate([best, worse, bystanders]), references, heavy=scenario.heavy)
        alone = compare(data[0][:count], *data[1:], protocol=scenario.protocol, seed=run)
        crowd = compare(*data, protocol=scenario.protocol, seed=run) if scenario.bystanders else alone
        joined = verdicts(crowd)
        for rule, tied in verdicts(alone).items():
            rates = {
                "excluded": 1 - tied[: scenario.best].mean(),
                "any_excluded": float(not tied[: scenario.best].all()),
                "power": 1 - tied[scenario.best :].mean() if scenario.worse else np.nan,
                "changed": (tied != joined[rule][:count]).mean() if scenario.bystanders else np.nan,
            }
            for name, rate in rates.items():
                out[f"{name} {rule}"] = out.get(f"{name} {rule}", 0.0) + 100 * float(rate) / runs
    return out


def line(name: str, references: int, runs: int, seed: int) -> dict[str, object]:
    """Cells of one line of the table."""
    result = simulate(SCENARIOS[name], references=references, runs=runs, seed=seed)
    return {
        "scenario": name,
        "references": references,
        "runs": runs,
        "bystanders": SCENARIOS[name].bystanders,
        "seed": seed,
        **{key: f"{value:.1f}" for key, value in result.items()},
    }


def main() -> None:
    write_table(line, SCENARIOS, RESULT, doc=__doc__)


if __name__ == "__main__":
    main()
