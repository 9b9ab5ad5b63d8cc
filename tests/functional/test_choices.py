"""Votes between two alternatives: hand-computed cases, exact bounds, and the public data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from causaliqa.api.errors import InputError
from causaliqa.functional.choices import agreement, bradley_terry


def test_shares_by_hand() -> None:
    """Four pairs; the metrics prefer a, b, neither, fail."""
    difference = [[1, 1, 1, 1], [-1, -1, -1, -1], [0, 0, 0, 0], [1, np.nan, -1, -1]]
    found = agreement(difference, [3, 1, 2, 0], [1, 1, 0, 4], [0, 1, 2, 3], similar=[0, 2, 0, 0], draws=50)
    # a gets 3 + (1 + 1) + 2 + 0 of 14 votes, half of the similar ones counted.
    assert found.votes == pytest.approx([7 / 14, 7 / 14, 7 / 14, (3 + 0 + 4) / 10])
    assert found.majority == pytest.approx([2 / 3, 1 / 3, 1 / 2, 2 / 3])
    assert found.ceiling == pytest.approx((3 + 2 + 2 + 4) / 14)
    # Left out: a voter of (3, 1) for a meets 2:1 and agrees, the one for b meets 3:0; of (1, 1) each meets 0:1.
    assert found.ceiling_left_out == pytest.approx((3 + 0 + 0 + 2 / 2 + 2 + 4) / 14)
    assert (found.pairs, found.undecided) == (4, 1)


def test_swapping_sides_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    step, a, b, clusters = rng.normal(size=(3, 50)), rng.poisson(3, 50), rng.poisson(2, 50), np.arange(50) // 5
    one, other = agreement(step, a, b, clusters, draws=50), agreement(-step, b, a, clusters, draws=50)
    for name in ("votes", "votes_interval", "majority", "majority_interval", "ceiling", "ceiling_left_out"):
        assert getattr(one, name) == pytest.approx(getattr(other, name))


def test_interval_is_near_the_binomial_one_for_independent_votes() -> None:
    rng = np.random.default_rng(1)
    a = (rng.random(500) < 0.7).astype(int)
    found = agreement(np.ones(500), a, 1 - a, np.arange(500))
    expected = stats.binomtest(int(a.sum()), 500).proportion_ci(method="wilson")
    assert found.votes_interval[0] == pytest.approx(expected, abs=0.008)


def test_references_widen_the_interval_and_hold_the_truth() -> None:
    held = 0
    for run in range(100):
        rng = np.random.default_rng([2, run])
        chance = np.repeat(rng.beta(7, 3, size=25), 8)
        a = rng.binomial(5, chance)
        low, high = agreement(np.ones(200), a, 5 - a, np.repeat(np.arange(25), 8), draws=300).votes_interval[0]
        held += low <= 0.7 <= high
    assert held >= stats.binom.ppf(0.005, 100, 0.93)
    by_pair = agreement(np.ones(200), a, 5 - a, np.arange(200), draws=300).votes_interval[0]
    assert high - low > 1.3 * np.ptp(by_pair)


def test_unanimous_votes_end_at_the_exact_bound() -> None:
    found = agreement([np.ones(20), -np.ones(20)], np.full(20, 3), np.zeros(20), np.arange(20), draws=20)
    exact = [stats.binomtest(k, 20).proportion_ci(method="exact") for k in (20, 0)]
    assert found.majority_interval == pytest.approx(np.array(exact))
    assert found.ceiling == found.ceiling_left_out == 1
    assert np.isnan(agreement([1, 1], [1, 1], [0, 0], [0, 1]).votes_interval).all()


def test_scale_values_are_the_most_likely_ones() -> None:
    rng = np.random.default_rng(0)
    first, second = np.triu_indices(6, k=1)
    a, b, similar = rng.integers(1, 9, (3, 15))

    def loss(values):  # type: ignore[no-untyped-def]
        step = np.append(values, 0.0)[first] - np.append(values, 0.0)[second]
        return np.sum((a + similar / 2) * np.logaddexp(0, -step) + (b + similar / 2) * np.logaddexp(0, step))

    fit = optimize.minimize(loss, np.zeros(5), tol=1e-12)
    expected = np.append(fit.x, 0.0)
    found = bradley_terry(first, second, a, b, items=6, similar=similar, prior=0.0)
    assert found.values == pytest.approx(expected - expected.mean(), abs=1e-5)
    # Standard errors: the inverse of the numerical Hessian, the values then centred.
    steps = 1e-3 * np.eye(5)
    hessian = [
        [sum(s * t * loss(fit.x + s * u + t * v) for s in (1, -1) for t in (1, -1)) / 4e-6 for u in steps]
        for v in steps
    ]
    centre = np.eye(6) - 1 / 6
    covariance = centre @ np.pad(np.linalg.inv(hessian), ((0, 1), (0, 1))) @ centre
    assert found.deviation == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-3)


def test_two_items_are_the_logit_with_haldanes_halves() -> None:
    found = bradley_terry([0], [1], [5], [0], items=3)
    assert found.values == pytest.approx([np.log(11) / 2, -np.log(11) / 2, np.nan], nan_ok=True)
    assert np.isnan(found.deviation[2])


def test_groups_are_fitted_apart() -> None:
    found = bradley_terry([0, 1, 3], [1, 2, 4], [3, 3, 9], [1, 1, 1], items=5)
    assert len(set(found.group[:3].tolist())) == 1
    assert found.group[3] == found.group[4] != found.group[0]
    assert [found.values[:3].sum(), found.values[3:].sum()] == pytest.approx([0, 0], abs=1e-12)
    assert found.values[:3] == pytest.approx(bradley_terry([0, 1], [1, 2], [3, 3], [1, 1], items=3).values)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="votes"):
        agreement([1.0], [-1], [1], [0])
    with pytest.raises(InputError, match="expected"):
        agreement([[1.0, 2.0]], [1], [1], [0])
    with pytest.raises(InputError, match="itself"):
        bradley_terry([0], [0], [1], [1], items=2)
    with pytest.raises(InputError, match="prior above 0"):
        bradley_terry([0], [1], [1], [0], items=2, prior=0.0)


@pytest.mark.data
def test_psnr_on_public_votes(data) -> None:  # type: ignore[no-untyped-def]
    pd = pytest.importorskip("pandas")
    from PIL import Image

    folder = data / "recon2afc"
    table = pd.read_csv(folder / "manifest.csv")
    ref, a, b = (
        np.stack([np.asarray(Image.open(folder / name).convert("L"), dtype=float) for name in table[side]])
        for side in ("ref", "a", "b")
    )
    squares = [((img - ref) ** 2).mean(axis=(1, 2)) for img in (a, b)]
    votes = [table[name].to_numpy() for name in ("votes_a", "votes_b")]
    found = agreement(squares[1] - squares[0], *votes, table["ref"].to_numpy())
    assert found.votes[0] == pytest.approx(0.324, abs=0.002)
    low, high = found.votes_interval[0]
    assert low < 0.324 < high < 0.5
    assert 0.8 < found.ceiling_left_out < found.ceiling < 1
