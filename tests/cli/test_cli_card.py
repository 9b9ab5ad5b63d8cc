"""``causaliqa card``."""

import json

import pytest
from PIL import Image

from causaliqa.io.photographs import photograph


@pytest.fixture
def small(monkeypatch):
    """Cards of one small photograph."""
    from causaliqa.evaluation.card_facts import CardSettings

    few = CardSettings(images=1, side=48, steps=2, floor_sides=(), cost_sides=())
    monkeypatch.setattr(CardSettings, "quick", classmethod(lambda cls, seed=0: few))


def test_writes_every_format_that_is_asked_for(run, small, tmp_path):
    outs = [tmp_path / f"card{suffix}" for suffix in (".html", ".json", ".pdf", ".svg")]
    code, out, err = run("card", "psnr", "--quick", "--device", "cpu", *(a for o in outs for a in ("--out", o)))
    assert (code, out) == (0, "") and "wrote" in err
    assert all(path.stat().st_size > 1000 for path in outs)
    assert json.loads(outs[1].read_text())["cards"][0]["metric"] == "psnr"
    assert "<title>Card of psnr</title>" in outs[0].read_text()


def test_prints_json_and_takes_several_metrics_images_and_a_seed(run, small, tmp_path):
    Image.fromarray(photograph("coffee")[:64, :64]).save(tmp_path / "mine.png")
    code, out, _ = run("card", "psnr", "psnry", "--quick", "--images", tmp_path, "--seed", 3, "-q", "--device", "cpu")
    document = json.loads(out)
    assert code == 0 and [card["metric"] for card in document["cards"]] == ["psnr", "psnry"]
    assert all(card["images"] == ["mine.png"] and card["seed"] == 3 for card in document["cards"])


def test_strict_tells_a_wrong_order(run, small, monkeypatch):
    from causaliqa.evaluation import card_order

    argv = ("card", "psnr", "--quick", "--device", "cpu")
    assert run(*argv, "--strict", "-q")[0] == 0
    monkeypatch.setattr(card_order, "gross", lambda img, name, other: img)  # nothing gross happens
    code, out, err = run(*argv)
    assert code == 0 and "psnr: negative not worse than moderate noise" in err
    assert not json.loads(out)["cards"][0]["order_ok"]
    assert run(*argv, "--strict", "-q")[0] == 1


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("card", "psnrr"), "unknown metric 'psnrr'"),
        (("card", "psnr", "--out", "card.xlsx"), "expected a name that ends in one of .html, .json, .png"),
        (("card", "psnr", "--quick", "--images", "nowhere.png", "-q"), "image nowhere.png does not exist"),
        (("card",), "required: METRIC"),
    ],
)
def test_bad_input_is_one_line(run, argv, said):
    code, out, err = run(*argv)
    assert code == 2 and out == "" and said in err and len(err.strip().splitlines()) == 1


def test_weights_that_are_missing_are_one_line(run, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    code, out, err = run("--offline", "card", "lpips", "--quick", "-q", "--device", "cpu")
    assert code == 1 and out == "" and "weights" in err and len(err.strip().splitlines()) == 1
