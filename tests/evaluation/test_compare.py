"""Outputs of several restorers on the same images: scores are those of ``score``, tables those of hand computation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

from causaliqa.api.errors import ImageError, InputError
from causaliqa.catalog.create import default_catalog
from causaliqa.evaluation.compare import ComparedMetric, OutputScores, power_note, score_outputs
from causaliqa.evaluation.compare_tables import comparison_tables
from causaliqa.evaluation.score import score


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Three outputs: little noise, more of it, and a blur of equal PSNR to it on some images."""
    rng = np.random.default_rng(0)
    made = {name: tmp_path / name for name in ("ref", "a", "b", "c")}
    for folder in made.values():
        folder.mkdir()
    for n in range(6):
        ref = rng.integers(60, 190, (32, 32, 3)).astype(float)
        outputs = {"ref": ref, "a": ref + rng.normal(0, 3, ref.shape), "b": ref + rng.normal(0, 9, ref.shape)}
        outputs["c"] = 0.8 * ref + 0.2 * ref.mean()
        for name, pixels in outputs.items():
            Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)).save(made[name] / f"{n}.png")
    (made["b"] / "5.png").unlink()
    return made


def _scored(folders: dict[str, Path], metrics: tuple[str, ...] = ("psnr", "ssim")) -> OutputScores:
    outputs = {name: path for name, path in folders.items() if name != "ref"}
    return score_outputs(outputs, folders["ref"], metrics, catalog=default_catalog(), device="cpu", progress=False)


def _made(values: dict[str, dict[str, list[float]]], **lower: bool) -> OutputScores:
    """Scores from ``{metric: {output: values}}``."""
    rows = [
        {"metric": metric, "output": output, "image": str(k), "score": value, "error": ""}
        for metric, outputs in values.items()
        for output, column in outputs.items()
        for k, value in enumerate(column)
    ]
    outputs = next(iter(values.values()))
    return OutputScores(
        outputs={name: Path(name) for name in outputs},
        ref=None,
        metrics=tuple(ComparedMetric(name=m, lower_better=lower.get(m, False)) for m in values),
        images=tuple(str(k) for k in range(len(next(iter(outputs.values()))))),
        unpaired=(),
        rows=pd.DataFrame(rows),
    )


def test_scores_are_those_of_score(folders: dict[str, Path]) -> None:
    made = _scored(folders)
    assert made.images == ("0", "1", "2", "3", "4")
    assert [f"{p.parent.name}/{p.name}" for p in made.unpaired] == ["a/5.png", "c/5.png", "ref/5.png"]
    wanted = score("ssim", folders["c"], folders["ref"], device="cpu")
    ours = made.rows[(made.rows["metric"] == "ssim") & (made.rows["output"] == "c")]
    assert ours["score"].tolist() == [pair.score for pair in wanted][:5]


def test_means_and_pairs_by_hand(folders: dict[str, Path]) -> None:
    made = _scored(folders)
    means, pairs, agreement, images = comparison_tables(made, draws=200)
    psnr = made.rows[made.rows["metric"] == "psnr"].pivot(index="image", columns="output", values="score")
    first = means.frame[means.frame["metric"] == "psnr"]
    assert first["output"].tolist() == psnr.mean().sort_values(ascending=False).index.tolist()
    assert first["mean"].tolist() == pytest.approx(sorted(psnr.mean(), reverse=True))
    assert first["unit"].unique().tolist() == ["dB"]
    line = pairs.frame[(pairs.frame["metric"] == "psnr") & (pairs.frame["a"] == "a") & (pairs.frame["b"] == "b")]
    expected = stats.ttest_rel(psnr["a"], psnr["b"])
    assert line["difference"].item() == pytest.approx((psnr["a"] - psnr["b"]).mean())
    assert line["difference_ci"].item() == pytest.approx(list(expected.confidence_interval()))
    assert line["p"].item() == pytest.approx(expected.pvalue)
    assert (line["better"].item(), line["visible"].item(), line["a_wins"].item()) == ("a", "yes", 1.0)
    assert agreement.frame.set_index("metric").loc["psnr", "psnr"] == 1.0
    assert set(images.frame["image"]) <= set(made.images)


def test_a_lower_score_can_be_better() -> None:
    values = {"error": {"x": [1.0, 2.0, 1.0, 2.0, 1.5, 1.2], "y": [3.0, 4.0, 3.5, 4.1, 3.6, 3.0]}}
    means, pairs, images = comparison_tables(_made(values, error=True), draws=1000)
    assert means.frame["output"].tolist() == ["x", "y"]
    assert means.frame["mean_best"].tolist() == [True, False]
    (line,) = pairs.frame.to_dict(orient="records")
    assert line["difference"] == pytest.approx(np.mean(np.subtract(values["error"]["x"], values["error"]["y"])))
    assert line["difference_ci"][0] < line["difference"] < line["difference_ci"][1] < 0
    assert (line["better"], line["a_wins"], line["visible"]) == ("x", 1.0, "unknown")
    assert images.frame["image"].iloc[0] in {"2", "3"}  # 2.5 less and 2.1 less


def test_metrics_that_contradict_each_other_are_told() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(size=20) * 0.1
    values = {
        "sharp": {"x": list(1 + noise), "y": list(2 + noise[::-1])},
        "clean": {"x": list(2 + noise), "y": list(1 + noise[::-1])},
    }
    _, pairs, agreement, _ = comparison_tables(_made(values), draws=100)
    (warning,) = pairs.warnings
    assert warning.startswith("sharp (p = ")
    assert "prefer y to x, clean (p = " in warning
    assert agreement.frame.set_index("metric").loc["sharp", "clean"] == 0.0


def test_chance_contradictions_are_not_told() -> None:
    """Equal outputs, two metrics: both significant in opposite directions happens in about .1 % of the runs."""
    rng = np.random.default_rng(2)
    told = 0
    for _ in range(100):
        values = {m: {o: list(rng.normal(size=12)) for o in "xy"} for m in ("one", "two")}
        told += len(comparison_tables(_made(values), draws=50)[1].warnings)
    assert told <= 1


def test_a_failure_costs_its_row(folders: dict[str, Path]) -> None:
    (folders["b"] / "0.png").write_bytes(b"no image")
    made = _scored(folders, ("psnr",))
    failed = made.rows[made.rows["error"] != ""]
    assert failed[["output", "image"]].to_numpy().tolist() == [["b", "0"]]
    means, *_ = comparison_tables(made, draws=50)
    assert means.frame.set_index("output")["images"].to_dict() == {"a": 5, "b": 4, "c": 5}


def test_bad_input(folders: dict[str, Path]) -> None:
    catalog = default_catalog()
    a, b = folders["a"], folders["b"]
    for outputs, ref, metrics, words in (
        ([a], folders["ref"], ["psnr"], "at least two"),
        ([a, a], folders["ref"], ["psnr"], "given twice"),
        ([a, b], folders["ref"], [], "no metric"),
        ([a, b], None, ["psnr"], "compares with a reference"),
    ):
        with pytest.raises(InputError, match=words):
            score_outputs(outputs, ref, metrics, catalog=catalog, progress=False)
    with pytest.raises(ImageError, match="expected a folder"):
        score_outputs([a, folders["ref"] / "none"], None, ["entropy"], catalog=catalog, progress=False)


def test_power_is_said_before_the_run() -> None:
    assert "too few" in power_note(4)
    assert "a difference of .81 standard deviations" in power_note(14)
