"""How often does ``flips`` report a change of order between protocols that is none, and how often does it miss one?

Simulated with the metrics of ``best_simulation.py``. Errors by reference hurt a metric over all images and not within
references, where errors by type and by image do. Scenarios: nothing differs; metrics that differ over all images alone
and are exactly as good within references (the worst case for the test: one half of every flip is real); one metric
of each kind, so that their order does flip, among others.

    python benchmarks/flip_simulation.py [--runs 500] [--references 25] [--seed 0] [--scenario NAME ...]

Columns, in percent: ``false_flips`` runs that report at least one flip that is none (at most 5 is promised);
``uncorrected`` the same where both differences only have to be significant at 5 % each; ``found`` runs that report the
true flip; and SRCC of the two metrics under both protocols.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from best_simulation import ERRORS, population, sample
from numpy.typing import NDArray
from simulation_table import write_table

from causaliqa.functional.best import compare
from causaliqa.functional.protocols import PROTOCOLS, flips

RESULT = Path(__file__).parent / "results" / "flip_simulation.csv"


def _bent(reference: float, pair: float) -> tuple[float, float, float]:
    return reference, pair, ERRORS[2]


SCENARIOS = {
    # name: errors of every metric, the true flips
    "nothing differs": ([ERRORS] * 10, set()),
    "over all only": ([_bent(reference, 0.3) for reference in np.linspace(0.1, 1.0, 10)], set()),
    "over all only, two kinds": ([_bent(reference, 0.3) for reference in [0.1] * 5 + [1.0] * 5], set()),
    "small flip": ([_bent(0.25, 0.6), _bent(1.0, 0.4), *[ERRORS] * 8], {(0, 1)}),
    "large flip": ([_bent(0.1, 0.8), _bent(1.4, 0.3), *[ERRORS] * 8], {(0, 1)}),
}


def simulate(name: str, *, references: int, runs: int, seed: int = 0) -> dict[str, float]:
    """Shares in percent, see above."""
    errors, true = SCENARIOS[name]
    known = {(e, protocol): population(np.array(e), protocol, False) for e in set(errors) for protocol in PROTOCOLS}
    truth = [[known[e, protocol] for e in errors] for protocol in PROTOCOLS]
    allowed = {
        (a, b)
        for a in range(len(errors))
        for b in range(len(errors))
        if true and truth[0][a] > truth[0][b] + 1e-3 and truth[1][b] > truth[1][a] + 1e-3
    }
    count = {"false_flips": 0, "uncorrected": 0, "found": 0}
    for run in range(runs):
        data = sample(np.random.default_rng([seed, run]), np.array(errors), references)
        over, within = (compare(*data, protocol=protocol, seed=run) for protocol in ("all", "within"))
        reported = {flip.metrics for flip in flips(over, within)}
        both: NDArray[np.bool_] = (over.p < 0.05) & (within.p < 0.05) & (over.t > 0) & (within.t < 0)
        count["false_flips"] += bool(reported - allowed)
        count["uncorrected"] += bool({(int(a), int(b)) for a, b in zip(*np.nonzero(both), strict=True)} - allowed)
        count["found"] += bool(true) and true <= reported
    out = {key: 100 * value / runs for key, value in count.items()}
    if not true:
        out["found"] = np.nan
    return out | {f"{protocol}_{k}": truth[p][k] for p, protocol in enumerate(("all", "within")) for k in (0, 1)}


def line(name: str, references: int, runs: int, seed: int) -> dict[str, object]:
    """Cells of one line of the table."""
    result = simulate(name, references=references, runs=runs, seed=seed)
    return {
        "scenario": name,
        "references": references,
        "runs": runs,
        "seed": seed,
        **{k: f"{v:.3f}" if k.startswith(("all", "within")) else f"{v:.1f}" for k, v in result.items()},
    }


def main() -> None:
    write_table(line, SCENARIOS, RESULT, doc=__doc__)


if __name__ == "__main__":
    main()
