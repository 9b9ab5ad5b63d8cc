"""Images that metrics disagree on: which are chosen, where they are found, how much a page grows."""

import base64
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from causaliqa.api.errors import InputError
from causaliqa.evaluation.rank import rank
from causaliqa.report.combined import combined_page
from causaliqa.report.image_scores import image_scores
from causaliqa.report.page import board, page
from causaliqa.report.provenance import MetricFacts, Provenance
from causaliqa.report.table import rows_csv
from causaliqa.report.thumbnails import choose, files_below, thumbnails


def frame_of(scores, label, refs=4, **facts):
    n = len(label)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "dataset": "d",
                    "metric": name,
                    "ref": [f"ref/{k % refs}.png" for k in range(n)],
                    "dist": [f"dist/{k}.png" for k in range(n)],
                    "label": label,
                    "label_lower_better": False,
                    "lower_better": lower,
                    "score": values,
                    "error": "",
                    **facts,
                }
            )
            for name, (values, lower) in scores.items()
        ],
        ignore_index=True,
    )


@pytest.fixture
def noise(tmp_path):
    """Where images of noise are, which compress worst; made when asked for."""

    def find(dataset, name):
        path = tmp_path / name.replace("/", "_")
        if not path.exists():
            pixels = np.random.default_rng(len(list(tmp_path.iterdir()))).integers(0, 255, (400, 500, 3), np.uint8)
            Image.fromarray(pixels).save(path, compress_level=0)
        return path

    return find


def test_images_are_matched_by_name_and_ranked_by_quality():
    label = np.array([1.0, 2.0, 3.0])
    frame = frame_of({"up": ([10.0, 20.0, 30.0], False), "down": ([1.0, np.nan, 0.5], True)}, label)
    made = image_scores(frame.sample(frac=1, random_state=0))
    images = {name: k for k, name in enumerate(made.images["dist"])}
    places = dict(zip(made.lower_better, made.ranks, strict=True))
    at = [images[f"dist/{k}.png"] for k in range(3)]
    assert places["up"][at].tolist() == [3, 2, 1]
    assert places["down"][at].tolist()[::2] == [2, 1]
    assert np.isnan(places["down"][at[1]])
    assert made.label_ranks[at].tolist() == [3, 2, 1]


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("label_lower", [False, True])
def test_the_worst_residual_comes_first_and_the_sentence_has_its_direction(lower, label_lower):
    quality = np.linspace(0, 10, 40)
    seen = quality.copy()
    seen[6] = 9.0
    label = -quality if label_lower else quality
    frame = frame_of({"m": (-seen if lower else seen, lower)}, label).assign(label_lower_better=label_lower)
    first, *_ = choose(image_scores(frame), rank(frame, draws=0), 5)
    assert first.image == 6
    assert first.reason.startswith("m takes it for much better than its label says (by ")


def test_two_metrics_that_disagree_show_both_images_of_the_pair():
    quality = np.linspace(0, 10, 40)
    blind = quality.copy()
    blind[5] = blind[35]
    frame = frame_of({"sharp": (quality, False), "blind": (blind, False)}, quality)
    found = choose(image_scores(frame), rank(frame, draws=0), 6)
    reasons = {item.image: item.reason for item in found if "holds it equal" in item.reason}
    assert {5, 35} <= set(reasons) | {item.image for item in found}
    assert any(re.match(r"blind holds it equal to dist/\d+\.png; sharp sees it \w+ by ", r) for r in reasons.values())


@pytest.mark.parametrize("count", [0, 1, 2, 7, 500])
def test_no_more_images_than_asked_for_and_none_twice(rows, table, count):
    shown = thumbnails(rows, table, lambda dataset, name: None, count)
    images = [(name, one.image) for name, (_, found) in shown.items() for one in found]
    assert len(images) == len(set(images)) == min(count, 48)
    again = thumbnails(rows, table, lambda dataset, name: None, count)
    assert [(n, one.image) for n, (_, found) in again.items() for one in found] == images


def test_names_lead_out_of_no_folder(tmp_path):
    inside = tmp_path / "set"
    inside.mkdir()
    for path in (inside / "a.png", tmp_path / "secret.png"):
        path.write_bytes(b"x")
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    find = files_below([str(inside)])
    assert find("d", "a.png") == inside / "a.png"
    for name in ("../secret.png", str(tmp_path / "secret.png"), "link.png", "missing.png", ""):
        assert find("d", name) is None
    only = files_below([f"d={inside}"])
    assert only("d", "a.png") == inside / "a.png"
    assert only("e", "a.png") is None
    with pytest.raises(InputError, match="is no folder"):
        files_below([str(tmp_path / "none")])


def test_every_picture_is_embedded_once_and_small(noise):
    label = np.linspace(0, 10, 40)
    scores = {"a": (label + np.sin(np.arange(40)), False), "b": (label + np.cos(np.arange(40)), False)}
    frame = frame_of(scores, label)
    text = page(board(frame, rank(frame, draws=0), files=noise, count=8), Provenance())
    pictures = re.findall(r'src="data:image/webp;base64,([^"]+)"', text)
    assert len(pictures) == len(set(pictures))
    assert 8 < len(pictures) <= 12
    for picture in pictures:
        data = base64.b64decode(picture)
        assert len(data) <= 32_000
        assert max(Image.open(io.BytesIO(data)).size) == 320


def test_eleven_metrics_on_304_images_with_24_thumbnails_stay_below_three_megabytes(noise):
    rng = np.random.default_rng(0)
    label = rng.uniform(25, 77, 304)
    scores = {f"metric_{k}": (label + rng.normal(0, 5 + 3 * k, 304), False) for k in range(11)}
    facts = tuple(MetricFacts(name=name, lower_better=False, provider="p", year=2020) for name in scores)
    frame = frame_of(scores, label, refs=16)
    text = page(board(frame, rank(frame, draws=20), files=noise, count=24), Provenance(metrics=facts))
    assert text.count('<figure class="pair"') == 24
    assert text.count('alt="image ') == 24
    assert len(text.encode()) < 3_000_000


def test_a_page_of_two_thousand_dots_names_each_image_once():
    label = np.linspace(0, 1, 3000)
    wave = {f"m{k}": (label + 0.1 * np.sin(np.arange(3000) * (k + 1)), False) for k in range(3)}
    wave["m2"][0][::7] = np.nan
    text = page(board(frame := frame_of(wave, label), rank(frame, draws=0)), Provenance())
    embedded = text[text.index('id="points">') + 12 :]
    (points,) = json.loads(embedded[: embedded.index("</script>")])
    assert len(points["dist"]["names"]) < 2500
    scores = [np.frombuffer(base64.b64decode(metric["scores"]), "<f8") for metric in points["metrics"]]
    assert [int(np.isfinite(own).sum()) for own in scores] == [2000] * 3
    assert len(embedded) < 200_000


def test_no_folder_of_the_machine_is_named(tmp_path):
    label = np.linspace(0, 10, 20)
    frame = frame_of({"m": (label[::-1], False)}, label)
    for column in ("ref", "dist"):
        frame[column] = [f"{tmp_path}/{name}" for name in frame[column]]
    text = page(board(frame, rank(frame, draws=0), count=4), Provenance())
    assert str(tmp_path) not in text
    assert '"19.png"' in text
    assert "None of these images was found" in text


def test_report_finds_images_below_a_folder(rows, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(rows_csv(rows[rows["dataset"] == "first"].drop(columns=["type", "level"])), "utf-8")
    folder = tmp_path / "images"
    folder.mkdir()
    for name in {*rows["ref"], *rows["dist"]} - {"i3.png"}:
        Image.new("RGB", (20, 30), (90, 120, 40)).save(folder / name)
    without, _ = combined_page([path], thumbnails=24)
    assert "None of these images was found" in without
    assert "--images ROOT" in without
    text, _ = combined_page([path], thumbnails=24, images=[f"first={folder}"])
    assert 'alt="image i5.png"' in text
    assert "1 of 24 images could not be read" in text
    assert str(tmp_path) not in text
    assert "Where metrics disagree" not in combined_page([path])[0]
