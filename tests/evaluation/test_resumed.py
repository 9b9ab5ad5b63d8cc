"""Comparisons that are stopped go on from their store: nothing that was finished is computed again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from causaliqa.api.errors import InputError
from causaliqa.catalog.create import create_metric, default_catalog
from causaliqa.evaluation import compare, encoders
from causaliqa.evaluation.compare import score_outputs
from causaliqa.evaluation.encoders import score_points
from causaliqa.evaluation.preparation import Preparation
from causaliqa.evaluation.recovery import recover
from causaliqa.evaluation.store import ScoreStore
from causaliqa.io.rate_points import RatePoint


class Counting:
    """PSNR that counts what it computes, and stops the run after some pairs as Ctrl-C does."""

    lower_better = False
    metric_mode = "FR"

    def __init__(self, stop: int = 1000) -> None:
        self.metric, self.calls, self.stop = create_metric("psnr", device="cpu"), 0, stop
        self.key = self.metric.key

    def __call__(self, img: Any, ref: Any) -> Any:
        if self.calls == self.stop:
            raise KeyboardInterrupt
        self.calls += 1
        return self.metric(img, ref)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    made = {name: tmp_path / name for name in ("ref", "a", "b")}
    for sigma, folder in zip((0, 3, 9), made.values(), strict=True):
        folder.mkdir()
        for n in range(5):
            base = np.random.default_rng(n).integers(60, 190, (24, 24, 3))
            pixels = (base + sigma * rng.normal(size=base.shape)).round().clip(0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{n}.png")
    return made


@pytest.fixture
def compared(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Compare two folders by a counting metric; returns the scores."""

    def call(metric: Counting, store: Path | None = tmp_path / "scores.sqlite", **options: Any) -> list[float]:
        monkeypatch.setattr(compare, "build_metrics", lambda *_: {"psnr": metric})
        outputs = [folders["a"], folders["b"]]
        made = score_outputs(
            outputs, folders["ref"], ["psnr"], catalog=default_catalog(), device="cpu", store=store, progress=False,
            **options,
        )  # fmt: skip
        return list(made.rows["score"])

    return call


def test_a_stopped_comparison_goes_on_where_it_was(compared: Any) -> None:
    whole = compared(Counting(), store=None)
    with pytest.raises(KeyboardInterrupt):
        compared(Counting(stop=4))
    rest = Counting()
    assert compared(rest) == whole
    assert rest.calls == 10 - 4
    again = Counting()
    assert compared(again) == whole
    assert again.calls == 0


def test_other_preparations_and_changed_images_are_computed(compared: Any, folders: dict[str, Path]) -> None:
    compared(Counting())
    prepared = Counting()
    compared(prepared, prepare=Preparation(crop=2))
    assert prepared.calls == 10
    Image.new("RGB", (24, 24)).save(folders["b"] / "3.png")
    changed = Counting()
    compared(changed)
    assert changed.calls == 1
    Image.new("RGB", (24, 24), "white").save(folders["ref"] / "0.png")
    changed = Counting()
    compared(changed)
    assert changed.calls == 2


def test_a_failure_is_tried_again(compared: Any, folders: dict[str, Path], tmp_path: Path) -> None:
    good = (folders["a"] / "1.png").read_bytes()
    (folders["a"] / "1.png").write_bytes(b"no image")
    assert np.isnan(np.array(compared(Counting()), float)).sum() == 1
    with ScoreStore(tmp_path / "scores.sqlite") as store:
        assert len(store) == 9
    (folders["a"] / "1.png").write_bytes(good)
    rest = Counting()
    assert not np.isnan(compared(rest)).any()
    assert rest.calls == 1


def test_other_options_of_a_metric_are_other_scores(compared: Any) -> None:
    compared(Counting())
    other = Counting()
    other.key = replace(other.key, options='{"test_y_channel":true}')
    compared(other)
    assert other.calls == 10


def test_points_of_encoders_are_kept_too(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = [(name, f"{n}.png") for name in "ab" for n in range(5)]
    points = [
        RatePoint(encoder=name, content=file, rate=1.0, dist=folders[name] / file, ref=folders["ref"] / file)
        for name, file in files
    ]

    def scores(metric: Counting) -> list[float]:
        monkeypatch.setattr(encoders, "build_metrics", lambda *_: {"psnr": metric})
        options: dict[str, Any] = {"catalog": default_catalog(), "device": "cpu", "progress": False}
        made = score_points(points, ["psnr"], store=tmp_path / "s.sqlite", **options)
        return [point.scores["psnr"] for point in made.points]

    with pytest.raises(KeyboardInterrupt):
        scores(Counting(stop=7))
    rest = Counting()
    found = scores(rest)
    assert rest.calls == 3
    assert found == scores(Counting(stop=0))


def test_a_file_of_another_kind_is_no_store(compared: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes " * 20)
    with pytest.raises(InputError, match="no score store"):
        compared(Counting(), store=path)
    assert path.read_text().startswith("my notes")


def test_a_store_of_comparisons_is_checked_recovered_and_merged_like_others(compared: Any, tmp_path: Path) -> None:
    whole = compared(Counting())
    recover(tmp_path / "scores.sqlite", tmp_path / "new.sqlite")
    rest = Counting()
    assert compared(rest, store=tmp_path / "new.sqlite") == whole
    assert rest.calls == 0
    with ScoreStore(tmp_path / "merged.sqlite") as store:
        assert store.merge(tmp_path / "new.sqlite") == 10
    assert compared(rest, store=tmp_path / "merged.sqlite") == whole
    assert rest.calls == 0
