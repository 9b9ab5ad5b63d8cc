"""Cost maps on the page: drawn by the best metric that explains itself; one that fails costs its picture only."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from causaliqa.api.errors import InputError
from causaliqa.report.cost_maps import Explainer, explainer_of
from causaliqa.report.leaderboard import leaderboard
from causaliqa.utils.figures import new_figure


def _explanation(names=("cost_map",)):
    return SimpleNamespace(figures=lambda: {name: new_figure(1, 1) for name in names})


def test_the_best_metric_that_explains_itself() -> None:
    metrics = {"plain": object(), "second": SimpleNamespace(explain=len), "first": SimpleNamespace(explain=print)}
    found = explainer_of({**metrics, "broken": InputError("no weights")}, ["broken", "plain", "first", "second"])
    assert found is not None
    assert (found.name, found.explain) == ("first", print)
    assert explainer_of({"plain": object()}, ["plain"]) is None


def test_a_picture() -> None:
    made = Explainer(name="m", explain=lambda img, ref: _explanation())
    assert made.picture(Path("a"), Path("b")).startswith("data:image/webp;base64,")


@pytest.mark.parametrize("error", [InputError("too small"), RuntimeError("foreign")])
def test_a_failure_costs_its_picture_only(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def explain(img: Path, ref: Path) -> None:
        raise error

    assert Explainer(name="m", explain=explain).picture(Path("a.png"), Path("b.png")) == ""
    assert "no cost map of a.png" in caplog.text
    assert Explainer(name="m", explain=lambda i, r: _explanation(())).picture(Path("a"), Path("b")) == ""


def test_the_page_shows_where_a_causal_metric_sees_the_cost(manifest: Path) -> None:
    made = leaderboard(manifest, ["causal_effnet_lite0", "psnr"], device="cpu", progress=False, tables=())
    page = made.to_html(thumbnails=2)
    assert page.count('<details class="cost">') == 2
    assert page.count("cost map of") == 2
    assert '<details class="cost">' not in made.to_html()
