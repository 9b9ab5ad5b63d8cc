"""Errors of predicted effects, by hand and by what must hold."""

import numpy as np
import pytest

from causaliqa.functional.faithfulness import prediction_error

TRUE = np.array([0.4, -0.1, 0.25, 0.0])


@pytest.mark.parametrize(
    ("predicted", "plain", "scaled"),
    [
        (TRUE, 0.0, 0.0),
        (TRUE / 7, np.sqrt((TRUE**2).mean()) * 6 / 7, 0.0),
        ([0.0] * 4, np.sqrt((TRUE**2).mean()), np.sqrt((TRUE**2).mean())),
        # (1, 1, 0, 0): the factor is (0.4 - 0.1) / 2 = 0.15.
        ([1.0, 1.0, 0.0, 0.0], np.sqrt(1.6325) / 2, np.sqrt(0.25**2 + 0.25**2 + 0.25**2) / 2),
        # A map that says the opposite predicts nothing, whatever its size.
        (-TRUE, np.sqrt((TRUE**2).mean()) * 2, np.sqrt((TRUE**2).mean())),
    ],
)
def test_errors_by_hand(predicted, plain, scaled):
    assert prediction_error(predicted, TRUE) == pytest.approx(plain)
    assert prediction_error(predicted, TRUE, scaled=True) == pytest.approx(scaled, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_no_factor_is_better_than_the_best(seed):
    rng = np.random.default_rng(seed)
    said, true = rng.normal(size=(2, 30))
    best = prediction_error(said, true, scaled=True)
    assert prediction_error(1000 * said, true, scaled=True) == pytest.approx(best)
    assert all(best <= prediction_error(factor * said, true) + 1e-12 for factor in np.linspace(0, 2, 41))
