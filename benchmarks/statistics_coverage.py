"""Do the intervals hold the truth, and do the paired tests keep their false-alarm rate? Simulated, with few references.

Every simulated data set has references with several distorted images each; quality, opinion and metric share effects of
the distortion, of the reference and of both together, so that images of one reference are not independent. The truth is
the correlation over 4,000 references. For false alarms there is a second metric that is exactly as good: with errors of
the same kind, so that every test has to be silent, or with errors of another kind, scaled until SRCC agrees in the
limit, so that the tests of SRCC have to be.

    python benchmarks/statistics_coverage.py [--runs 500] [--references 25] [--seed 0] [--scenario NAME ...]

The result lies beside this file in ``results/statistics_coverage.csv``. ``statistics_coverage_draws.csv`` is from
before the paired tests took the jackknife's error instead of that of the draws.
"""

from __future__ import annotations

import platform
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats
from simulation_table import write_table

from causaliqa.functional.logistic import fit_logistic
from causaliqa.functional.significance import ClusterBootstrap
from causaliqa.functional.statistics import plcc, srcc

Array = NDArray[np.float64]

TYPES, LEVELS = 12, 5
MANY = 4000
RESULT = Path(__file__).parent / "results" / "statistics_coverage.csv"


def meng(r_a: float, r_b: float, r_ab: float, n: int) -> float:
    """Return the two-sided p that two dependent correlations with the same label are equal.

    Takes the n images as independent. Source: Meng, Rosenthal and Rubin, Psychological Bulletin 111(1), 1992, Eq. 1-3.

    Args:
        r_a: correlation of metric a with the label.
        r_b: correlation of metric b with the label.
        r_ab: correlation of both metrics.
        n: images.

    Their example, r = .63 and -.03 with r_ab = -.19 over 15 subjects, has Z = 1.68:

    >>> round(meng(0.63, -0.03, -0.19, 15), 3)
    0.093
    """
    values = np.array([r_a, r_b, r_ab])
    if not np.isfinite(values).all() or n < 4:
        return float("nan")
    if r_a == r_b:
        return 1.0
    mean_square = (r_a**2 + r_b**2) / 2
    if max(abs(r_a), abs(r_b)) >= 1 or r_ab >= 1:
        return 0.0
    f = min((1 - r_ab) / (2 * (1 - mean_square)), 1.0)
    h = (1 - f * mean_square) / (1 - mean_square)
    z = (np.arctanh(r_a) - np.arctanh(r_b)) * np.sqrt((n - 3) / (2 * (1 - r_ab) * h))
    return float(2 * stats.norm.sf(abs(z)))


def _residuals(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"residuals: got shapes {x.shape} and {y.shape}, expected those of the same images")
    return x, y


def pitman_morgan(a: ArrayLike, b: ArrayLike) -> float:
    """Return the two-sided p that two paired sets of residuals have the same variance.

    Tests the correlation of sums and differences; takes the images as independent and the residuals as normal.
    Source: Pitman, Biometrika 31(1/2), 1939; Morgan, same issue.

    >>> pitman_morgan([1, -1, 2, -2], [1, -1, 2, -2])
    1.0
    """
    x, y = _residuals(a, b)
    n = len(x)
    if n < 3:
        return float("nan")
    total, difference = x + y - (x + y).mean(), x - y - (x - y).mean()
    norm = float(np.sqrt((total @ total) * (difference @ difference)))
    if norm == 0:
        return 1.0
    r = float(total @ difference) / norm
    return float(2 * stats.t.sf(abs(r) * np.sqrt((n - 2) / max(1 - r * r, 1e-300)), n - 2))


def residual_test(a: ArrayLike, b: ArrayLike, clusters: ArrayLike) -> float:
    """Return the two-sided p that two metrics have the same mean squared residual, by references.

    Student's t on the differences ``a**2 - b**2`` summed over the images of a reference: unlike
    :func:`pitman_morgan` it needs neither independent images nor normal residuals.

    >>> residual_test([1, 1, 2, 2], [1, 1, 2, 2], [0, 0, 1, 1])
    1.0
    """
    x, y = _residuals(a, b)
    names, number = np.unique(np.asarray(clusters), return_inverse=True)
    if number.shape != x.shape:
        raise ValueError(f"residuals: got {len(x)} images and {len(number)} clusters, expected as many of both")
    if len(names) < 2:
        return float("nan")
    sums = np.bincount(number, x * x - y * y)
    error = float(sums.std(ddof=1)) / np.sqrt(len(sums))
    if error == 0:
        return 1.0 if sums.mean() == 0 else 0.0
    return float(2 * stats.t.sf(abs(float(sums.mean())) / error, len(sums) - 1))


def f_test(a: ArrayLike, b: ArrayLike) -> float:
    """Return the two-sided p of the variance ratio of two sets of residuals: customary, and wrong here.

    It takes both sets as independent of each other, though they come from the same images; the residuals of good
    metrics are correlated, and the test then misses differences. Use :func:`residual_test`.

    >>> round(f_test([1, -1, 1, -1], [1, -1, 1, -1]), 6)
    1.0
    """
    x, y = _residuals(a, b)
    if len(x) < 2:
        return float("nan")
    top, bottom = float(x.var(ddof=1)), float(y.var(ddof=1))
    if bottom == 0:
        return 1.0 if top == 0 else 0.0
    below = float(stats.f.cdf(top / bottom, len(x) - 1, len(y) - 1))
    return min(1.0, 2 * min(below, 1 - below))


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Standard deviations of what a metric gets wrong."""

    bias: float
    """Of a distortion type, the same for every reference."""
    reference: float
    """Of a reference, the same for all its images."""
    pair: float
    """Of a type on a reference."""
    image: float
    """Of one image."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A kind of data set with a metric and a rival."""

    a: Errors
    b: Errors | None = None
    """Errors of the rival, scaled until its SRCC is that of the first metric; the same as the first if None."""
    content: float = 0.2
    """Deviation of quality between references."""
    pair: float = 0.3
    """Deviation of quality of a type on a reference."""
    opinion: float = 0.2
    """Noise of the opinion scores."""
    shared: float = 0.5
    """Share of the variance of the errors that both metrics have in common."""
    step: float = 0.0
    """Opinion scores are rounded to multiples of this."""
    bent: float = 0.0
    """How strongly the scores bend against quality."""


SCENARIOS = {
    "typical": Scenario(a=Errors(bias=0.3, reference=0.25, pair=0.3, image=0.15)),
    "content": Scenario(a=Errors(bias=0.2, reference=1.0, pair=0.3, image=0.15), bent=1.5),
    "excellent": Scenario(a=Errors(bias=0.05, reference=0.08, pair=0.1, image=0.08), content=0.1, pair=0.15),
    "weak": Scenario(a=Errors(bias=0.9, reference=1.0, pair=0.5, image=0.5), content=0.5, pair=0.5),
    "ties": Scenario(a=Errors(bias=0.3, reference=0.3, pair=0.3, image=0.15), step=1.0),
    "independent": Scenario(a=Errors(bias=0.0, reference=0.0, pair=0.0, image=0.6), content=0, pair=0, opinion=0.6),
    "other errors": Scenario(
        a=Errors(bias=0.2, reference=0.6, pair=0.1, image=0.1), b=Errors(bias=0.5, reference=0.05, pair=0.2, image=0.4)
    ),
}


def design() -> tuple[Array, NDArray[np.int64]]:
    """Mean quality and type of every distortion."""
    rng = np.random.default_rng(1)
    kind = np.repeat(np.arange(TYPES), LEVELS)
    level = np.tile(np.linspace(0, 1, LEVELS), TYPES)
    return -3 * level * rng.uniform(0.6, 1.3, TYPES)[kind] + 0.3 * rng.normal(size=TYPES)[kind], kind


def sample(rng: np.random.Generator, scenario: Scenario, references: int) -> tuple[Array, Array]:
    """Opinion scores ``(references, images)`` and the scores of both metrics ``(2, references, images)``."""
    mean, kind = design()
    images = len(mean)
    content = scenario.content * rng.normal(size=(references, 1))
    quality = mean + content + scenario.pair * rng.normal(size=(references, TYPES))[:, kind]
    opinion = 9 * special.expit(quality + scenario.opinion * rng.normal(size=quality.shape) + 1.5)
    if scenario.step:
        opinion = np.round(opinion / scenario.step) * scenario.step
    noise = [_noise(rng, references, images, kind) for _ in range(3)]
    biases = np.random.default_rng(2).normal(size=(2, TYPES))[[0, 1 if scenario.b else 0]]
    scores = []
    for errors, own, bias in zip((scenario.a, scenario.b or scenario.a), noise[1:], biases, strict=True):
        mixed = (
            np.sqrt(scenario.shared) * c + np.sqrt(1 - scenario.shared) * o for c, o in zip(noise[0], own, strict=True)
        )
        reference, pair, image = mixed
        x = mean + 0.3 * content + errors.bias * bias[kind]
        x = x + errors.reference * reference + errors.pair * pair + errors.image * image
        scores.append(-np.exp(-scenario.bent * x) if scenario.bent else x)
    return opinion, np.stack(scores)


def _noise(rng: np.random.Generator, references: int, images: int, kind: NDArray[np.int64]) -> tuple[Array, ...]:
    return (
        rng.normal(size=(references, 1)),
        rng.normal(size=(references, TYPES))[:, kind],
        rng.normal(size=(references, images)),
    )


def balanced(scenario: Scenario) -> Scenario:
    """Scale the rival's errors until its SRCC in the limit is that of the first metric."""
    rival = scenario.b
    if rival is None:
        return scenario

    def excess(factor: float) -> float:
        b = Errors(**{name: factor * value for name, value in vars(rival).items()})
        opinion, scores = sample(np.random.default_rng(3), replace(scenario, b=b), MANY)
        return srcc(scores[1].ravel(), opinion.ravel()) - srcc(scores[0].ravel(), opinion.ravel())

    factor = float(optimize.brentq(excess, 0.2, 4.0, xtol=1e-4))
    return replace(scenario, b=Errors(**{name: factor * value for name, value in vars(rival).items()}))


def simulate(scenario: Scenario, *, references: int, runs: int, draws: int = 1000, seed: int = 0) -> dict[str, float]:
    """Shares of runs, in percent: intervals that hold the truth, and tests that raise a false alarm at 5 %."""
    scenario = balanced(scenario)
    opinion, scores = sample(np.random.default_rng(3), scenario, MANY)
    x, y = scores[0].ravel(), opinion.ravel()
    limit = fit_logistic(x[::8], y[::8])
    truth = {"srcc": srcc(x, y), "plcc": plcc(limit.predict(x), y)}
    count: Counter[str] = Counter()
    widths = 0.0
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        opinion, scores = sample(rng, scenario, references)
        y, pair = opinion.ravel(), scores.reshape(2, -1)
        clusters = np.repeat(np.arange(references), opinion.shape[1])
        fits = [fit_logistic(one, y) for one in pair]
        boot = ClusterBootstrap(pair, y, clusters, fits=fits, draws=draws, seed=run)
        for name, value in truth.items():
            low, high = boot.interval(0, name)
            count[f"cover {name}"] += low <= value <= high
            count[f"cover {name} percentile"] += _inside(boot, name, value)
            widths += (high - low) / runs if name == "srcc" else 0.0
        a, b = (fit.predict(one) - y for fit, one in zip(fits, pair, strict=True))
        alarms = {
            "paired srcc": boot.pvalue(0, 1),
            "meng": meng(srcc(pair[0], y), srcc(pair[1], y), srcc(pair[0], pair[1]), len(y)),
            "paired plcc": boot.pvalue(0, 1, "plcc"),
            "residual test": residual_test(a, b, clusters),
            "pitman-morgan": pitman_morgan(a, b),
            "f test": f_test(a, b),
        }
        for name, p in alarms.items():
            count[f"alarm {name}"] += p < 0.05
    out = {f"true {k}": v for k, v in truth.items()}
    out |= {"width srcc": widths} | {k: 100 * v / runs for k, v in count.items()}
    if scenario.b:  # only SRCC is the same in the limit
        out |= dict.fromkeys(
            ("alarm paired plcc", "alarm residual test", "alarm pitman-morgan", "alarm f test"), np.nan
        )
    return out


def _inside(boot: ClusterBootstrap, statistic: str, value: float) -> bool:
    draws, _ = boot._draws(statistic, 0, ~boot.failed[0])
    low, high = np.nanquantile(draws[1:], [0.025, 0.975])
    return bool(low <= value <= high)


def line(name: str, references: int, runs: int, seed: int) -> dict[str, object]:
    """Cells of one line of the table."""
    result = simulate(SCENARIOS[name], references=references, runs=runs, seed=seed)
    margin = 100 * stats.norm.ppf(0.975) * np.sqrt(0.05 * 0.95 / runs)
    return {
        "scenario": name,
        "references": references,
        "images": references * TYPES * LEVELS,
        "runs": runs,
        "seed": seed,
        **{k: f"{v:.4f}" if k.startswith(("true", "width")) else f"{v:.1f}" for k, v in result.items()},
        "margin": f"{margin:.1f}",
    }


def main() -> None:
    about = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }
    write_table(line, SCENARIOS, RESULT, doc=__doc__, about=about)


if __name__ == "__main__":
    main()
