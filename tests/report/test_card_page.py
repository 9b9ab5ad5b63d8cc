"""A card as a page, as json and as panels."""

import json
import re

import pytest
import torch
from test_page import Document

import causaliqa
from causaliqa.evaluation.card_facts import CardSettings, Curve
from causaliqa.report.card import Cards, card, cards
from causaliqa.report.card_figure import dose_panels, mean_line, relative_lines, skewed_unit
from causaliqa.report.card_svg import card_panels

FEW = CardSettings(images=2, side=48, steps=2, floor_sides=(32, 48), cost_sides=(32,))


def named(name, score, lower_better=True):
    score.name, score.lower_better, score.metric_mode = name, lower_better, "FR"
    return score


def mse(img, ref):
    return (img - ref).square().mean((1, 2, 3))


@pytest.fixture(scope="module")
def made(evil):
    def wrong(img, ref):
        return -mse(img, ref)

    return cards([named("mse", mse), named(evil, wrong)], settings=FEW, device="cpu", progress=False)


def test_the_page_is_whole_and_text_is_never_markup(made, evil):
    text = made.to_html()
    document = Document(text)
    assert document.open == [] and not document.of("script") and "onerror=alert" not in re.sub(r"&lt;.*?&gt;", "", text)
    assert not [a for tag, a in document.found for key in ("src", "href") if str(a.get(key, "#")).startswith("http")]
    assert len(document.of("svg")) == 3 * 12 + 2  # side by side, two cards, a legend
    assert "Nothing to flag" in text and text.count("▲") == len(made[1].flags) > 3
    assert {attrs["id"] for attrs in document.of("section") if "id" in attrs} == {"card1", "card2"}


def test_one_card_is_not_compared(made):
    text = made[0].to_html()
    assert "Side by side" not in text and "<title>Card of mse</title>" in text
    assert len(Document(text).of("svg")) == 12


def test_json_has_everything(made, tmp_path):
    document = json.loads(made.to_json(tmp_path / "cards.json"))
    assert json.loads((tmp_path / "cards.json").read_text()) == document
    first, second = document["cards"]
    assert (first["metric"], first["order_ok"], first["flags"], first["tau"]) == ("mse", True, [], 1.0)
    assert not second["order_ok"] and second["tau"] == -1.0
    assert len(first["curves"]) == 12 and len(first["curves"][0]["scores"]) == 2
    assert document["settings"]["side"] == 48 and "torch" in document["versions"] and document["schema"] == 1
    assert {"orders", "responses", "checks", "floors", "descents", "costs", "problems"} <= set(first)


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_panels(made, tmp_path, suffix):
    path = made[0].figure(tmp_path / f"panels{suffix}")
    head = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[suffix]
    assert path.read_bytes().startswith(head) and path.stat().st_size > 8000
    assert made.figure(tmp_path / f"both{suffix}").stat().st_size > 8000


def test_every_panel_has_its_distortion_and_lines(made, evil):
    figure = dose_panels([one.facts for one in made.cards])
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == [curve.distortion for curve in made[0].facts.curves]
    assert all(len(axis.lines) == 2 for axis in figure.axes)


def test_relative_lines_have_one_scale(made):
    """A metric times a thousand is the same metric."""
    scaled = card(named("kilo", lambda img, ref: 1000 * mse(img, ref)), settings=FEW, device="cpu", progress=False)
    ours, theirs = relative_lines(made[0].facts), relative_lines(scaled.facts)
    assert all(torch.allclose(torch.tensor(ours[k]), torch.tensor(theirs[k]), rtol=1e-4) for k in ours)
    assert all(line[0] == 0 for line in ours.values())


def curve(*scores):
    return Curve(distortion="d", unit="u", doses=(1.0, 2.0), scores=scores, tau=None, steps=None, effect=None)


def test_missing_scores_leave_gaps():
    line = mean_line(curve((0.0, None, 2.0), (1.0, None, None)))
    assert line[0] == 0.5 and line[1] != line[1] and line[2] == 2.0
    assert skewed_unit([]) == 0 and skewed_unit([0.0, 1.0, 2.0, 400.0]) == 2.0


def test_svg_paths_stay_in_their_panel(made):
    for panel in card_panels(made[1].facts):
        numbers = [float(n) for n in re.findall(r"[\d.]+", " ".join([panel.thin, *panel.lines]))]
        assert panel.left <= min(numbers[::2]) <= max(numbers[::2]) <= panel.right
        assert panel.top <= min(numbers[1::2]) <= max(numbers[1::2]) <= panel.bottom
        assert panel.thin.count("M") == 2 and len(panel.x_ticks) == 5 and len(panel.y_ticks) > 1


def test_it_shows_itself(made):
    assert repr(made[0]) == "Card('mse', order right, tau 1.00, no flags)"
    assert "order wrong, tau -1.00" in repr(made[1]) and repr(made).startswith("Cards(Card('mse'")
    assert "data:image/png" in made[0]._repr_html_() and "no flags" in made[0]._repr_html_()


def test_public_names():
    assert causaliqa.card is card and causaliqa.cards is cards and causaliqa.Cards is Cards


def test_what_is_no_metric_is_refused():
    with pytest.raises(causaliqa.InputError, match="expected a name or a callable"):
        card(7)
    with pytest.raises(causaliqa.InputError, match="at least one name"):
        cards([])
    with pytest.raises(causaliqa.InputError, match="unknown metric 'psnrr'"):
        card("psnrr")


def test_pyiqa_metrics_are_differentiated():
    made = card("psnr", settings=FEW, device="cpu", progress=False)
    assert [check.ok for check in made.facts.checks if check.name == "gradient at moderate noise"] == [True]
    assert {descent.start for descent in made.facts.descents} == {"reduced", "noise"}
