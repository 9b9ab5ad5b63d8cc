import numpy as np
import pytest

from causaliqa.api.data import ROI
from causaliqa.api.errors import InputError
from causaliqa.effects.grid import Box, Grid
from causaliqa.effects.strategy import CoarseToFine, Plain, make_strategy


def test_papers_grid():
    grid = Grid(height=256, width=256, patch_size=8, roi=ROI(96, 152, 32, 32))
    assert len(grid.outside) == 1024 - 16
    assert 19 * 32 + 12 not in grid.outside
    assert grid.box(33) == Box(8, 8, 16, 16)


def test_patches_that_touch_the_region_belong_to_it():
    grid = Grid(height=32, width=32, patch_size=8, roi=ROI(9, 8, 8, 8))
    assert sorted(set(range(16)) - set(grid.outside)) == [5, 6]


def test_last_row_and_column_may_be_partial():
    grid = Grid(height=30, width=20, patch_size=8, roi=ROI(0, 0, 8, 8))
    assert (grid.rows, grid.cols) == (4, 3)
    assert grid.box(11) == Box(24, 16, 30, 20)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"roi": ROI(250, 0, 32, 32)}, "outside"),
        ({"roi": ROI(-1, 0, 32, 32)}, "outside"),
        ({"roi": ROI(0, 0, 4, 32)}, "smaller than a patch"),
        ({"height": 6}, "smaller than a patch"),
        ({"patch_size": 6, "scale": 4}, "multiple of the scale"),
        ({"patch_size": 0}, "multiple"),
    ],
)
def test_what_does_not_fit_is_refused(facts, message):
    with pytest.raises(InputError, match=message):
        Grid(**{"height": 256, "width": 256, "patch_size": 8, "roi": ROI(96, 152, 32, 32), **facts})


def test_roi_is_read_from_text():
    assert ROI.parse("1,2,3,4") == ROI(1, 2, 3, 4)
    for wrong in ("1,2,3", "a,b,c,d", "1 2 3 4", "1.5,2,3,4"):
        with pytest.raises(InputError, match="four whole numbers"):
            ROI.parse(wrong)


def test_coarse_to_fine_spends_as_the_paper_says():
    plan, seen = CoarseToFine(coarse=3, fine=50, tolerance=0.01), {}
    rounds = plan.rounds([0, 1, 2], seen)
    coarse = next(rounds)
    assert (coarse.patches, coarse.draws, coarse.screening) == ((0, 1, 2), range(3), True)
    seen["coarse"] = {0: np.array([0.001, -0.0099, 0]), 1: np.array([0, 0, 0.01]), 2: np.array([-3.0, 0, 0])}
    fine = next(rounds)
    assert (fine.patches, fine.draws, fine.screening) == ((1, 2), range(3, 53), False)
    seen["fine"] = {1: np.full(50, 0.5), 2: np.linspace(-2, 0, 50)}
    assert next(rounds, None) is None
    assert plan.estimates([0, 1, 2], seen)[0].effect == pytest.approx((0.001 - 0.0099) / 3)
    assert plan.estimates([0, 1, 2], seen)[0].count == 3
    assert (plan.estimates([0, 1, 2], seen)[1].effect, plan.estimates([0, 1, 2], seen)[1].sem) == (0.5, 0)
    assert plan.estimates([0, 1, 2], seen)[2].effect == pytest.approx(-1)
    assert plan.estimates([0, 1, 2], seen)[2].sem == pytest.approx(np.std(np.linspace(-2, 0, 50), ddof=1) / np.sqrt(50))


def test_one_intervention_has_no_error():
    assert np.isnan(Plain(interventions=1).estimates([0], {"plain": {0: np.array([1.0])}})[0].sem)


@pytest.mark.parametrize(
    "wrong", [{"strategy": "best"}, {"coarse": 0}, {"fine": 1.5}, {"interventions": -1}, {"tolerance": float("nan")}]
)
def test_strategies_refuse_nonsense(wrong):
    settings = {"strategy": "plain", "coarse": 3, "fine": 50, "interventions": 500, "tolerance": 0.01, **wrong}
    with pytest.raises(InputError):
        make_strategy(settings.pop("strategy"), **settings)
