"""Preparations of leaderboards: scores are those of ``score``, stored under keys of their own, the same in workers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import causaliqa
from causaliqa.api.errors import ImageError, InputError
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.workers import WorkerContext
from causaliqa.evaluation.job import MetricRecipe, score_unit
from causaliqa.evaluation.preparation import Preparation
from causaliqa.evaluation.score import score
from causaliqa.evaluation.scoring import score_dataset
from causaliqa.evaluation.sharding import score_elsewhere
from causaliqa.evaluation.store import ScoreStore
from causaliqa.io.manifest import read_manifest

PREPARED = Preparation(channel="y", crop=4)


@pytest.fixture
def masks(manifest: Path) -> Path:
    """A mask for each of the two references of the manifest."""
    folder = manifest.parent / "masks"
    folder.mkdir()
    for number in range(2):
        mask = np.zeros((64, 64), np.uint8)
        mask[8 : 40 + 8 * number, 8:48] = 255
        Image.fromarray(mask).save(folder / f"ref{number}.png")
    return folder


def _files(manifest: Path) -> list[tuple[Path, Path]]:
    lines = list(csv.DictReader(manifest.read_text().splitlines()))
    return [(manifest.parent / line["dist"], manifest.parent / line["ref"]) for line in lines]


def test_rows_are_the_scores_of_score_and_the_table_says_it(manifest: Path, masks: Path) -> None:
    for prepare in (PREPARED, Preparation(mask=str(masks)), Preparation(region="4,4,40,50", crop=2)):
        made = causaliqa.leaderboard(manifest, ["psnr", "ssim"], device="cpu", prepare=prepare, progress=False)
        for metric in ("psnr", "ssim"):
            expected = [float(score(metric, *files, device="cpu", prepare=prepare)) for files in _files(manifest)]
            assert made.rows.loc[made.rows["metric"] == metric, "score"].tolist() == expected
        (said,) = made.rows["prepared"].unique()
        assert str(prepare) in said
        assert f"images: {said}" in made.to_text("plain")
        assert made.provenance.settings["prepared"] == said
        assert str(masks.parent) not in made.to_text("json")
    plain = causaliqa.leaderboard(manifest, "psnr", device="cpu", progress=False)
    assert "prepared" not in plain.rows
    assert "images:" not in plain.to_text("plain")


def test_evaluate_takes_a_preparation(manifest: Path) -> None:
    frame = causaliqa.evaluate("psnr", read_manifest(manifest), prepare=PREPARED)
    expected = [float(score("psnr", *files, device="cpu", prepare=PREPARED)) for files in _files(manifest)]
    assert frame["score"].tolist() == expected


def test_a_preparation_is_part_of_the_key_and_none_is_the_old_key(manifest: Path, masks: Path, tmp_path: Path) -> None:
    dataset = read_manifest(manifest)
    metric = causaliqa.create_metric("psnr", device="cpu")
    mask = Preparation(mask=str(masks))
    with ScoreStore(tmp_path / "scores.sqlite") as store:

        def stored(prepare: Preparation | None = None) -> list[str]:
            options = {} if prepare is None else {"prepare": prepare}
            list(score_dataset({"psnr": metric}, dataset, store=store, **options))  # type: ignore[arg-type]
            return sorted({line["protocol"] for line in store.rows()})

        assert stored() == ["2"]
        assert len(store) == 8
        assert stored(Preparation()) == ["2"]
        assert stored(PREPARED) == ["2", "2 channel=y crop=4"]
        assert len(store) == 16
        assert len(stored(mask)) == 3
        assert len(store) == 24
        masks.rename(tmp_path / "moved")
        assert len(stored(Preparation(mask=str(tmp_path / "moved")))) == 3  # what counts is in the files
        assert len(store) == 24
        Image.new("L", (64, 64), 255).save(tmp_path / "moved" / "ref0.png")
        assert len(stored(Preparation(mask=str(tmp_path / "moved")))) == 4


def test_a_page_of_a_store_tells_preparations_apart(manifest: Path, tmp_path: Path) -> None:
    store = tmp_path / "scores.sqlite"
    for prepare in (Preparation(), PREPARED):
        causaliqa.leaderboard(manifest, "psnr", device="cpu", prepare=prepare, store=store, progress=False)
    page, _ = causaliqa.combined_page([store])
    assert "psnr [protocol 2]" in page
    assert "psnr [protocol 2 channel=y crop=4]" in page


def test_workers_prepare_as_one_process_does(manifest: Path, masks: Path) -> None:
    prepare = Preparation(channel="y", crop=2, mask=str(masks))
    catalog, dataset = default_catalog(), read_manifest(manifest)
    metric = causaliqa.create_metric("psnr", device="cpu")
    recipe = MetricRecipe(
        context=WorkerContext.of(catalog), requests=(("psnr", "psnr", metric.key),), device="cpu", prepare=prepare
    )
    rows = list(
        score_elsewhere(
            {"psnr": metric}, dataset, lambda units: ((u, score_unit(recipe, u)) for u in units), prepare=prepare
        )
    )
    expected = list(score_dataset({"psnr": metric}, dataset, prepare=prepare))
    assert [(row.dist, row.score) for row in rows] == [(row.dist, row.score) for row in expected]


def test_masks_that_lack_or_cannot_be_honoured_are_refused_before_any_work(manifest: Path, masks: Path) -> None:
    prepare = Preparation(mask=str(masks))
    with pytest.raises(InputError, match="'entropy' looks at one image"):
        causaliqa.leaderboard(manifest, ["psnr", "entropy"], device="cpu", prepare=prepare)
    (masks / "ref1.png").unlink()
    with pytest.raises(ImageError, match=r"got none for .*ref1.png"):
        causaliqa.leaderboard(manifest, "psnr", device="cpu", prepare=prepare)
    with pytest.raises(ImageError, match=r"got none for .*ref1.png"):
        causaliqa.evaluate("psnr", read_manifest(manifest), prepare=prepare)


def test_an_empty_mask_costs_the_rows_of_its_reference(manifest: Path, masks: Path) -> None:
    Image.new("L", (64, 64)).save(masks / "ref1.png")
    frame = causaliqa.evaluate("psnr", read_manifest(manifest), prepare=Preparation(mask=str(masks)))
    failed = frame[frame["error"] != ""]
    assert failed["ref"].unique().tolist() == ["ref1.png"]
    assert failed["error"].str.contains("it is empty").all()
