"""Encoders at several rates: deltas against an anchor, hull and ladders, on hand-made points and real images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from causaliqa.api.errors import InputError
from causaliqa.catalog.create import default_catalog
from causaliqa.evaluation.compare import ComparedMetric
from causaliqa.evaluation.encoder_tables import encoder_tables
from causaliqa.evaluation.encoders import Hold, curves_of, hulls_of, lowest_rate, score_points
from causaliqa.evaluation.score import score
from causaliqa.functional.means import mean_interval
from causaliqa.functional.rate_distortion import Curve
from causaliqa.io.rate_points import RatePoint

PSNR = ComparedMetric(name="psnr", lower_better=False)


def _points(ratio: float = 0.8, contents: int = 5) -> list[RatePoint]:
    """Encoder ``new`` needs ``ratio`` of the rate of ``old``, give or take some percent by content."""
    made = []
    for n in range(contents):
        for rate, quality in ((1, 30), (2, 33), (4, 36), (8, 39)):
            facts = {"content": f"c{n}", "scores": {"psnr": quality + n}}
            made.append(RatePoint(encoder="old", rate=rate, **facts))  # type: ignore[arg-type]
            made.append(RatePoint(encoder="new", rate=rate * (ratio + 0.01 * n), **facts))  # type: ignore[arg-type]
    return made


def test_deltas_by_hand() -> None:
    bd, hulls, ladder = encoder_tables(_points(), [PSNR], anchor="old", hold=[Hold(metric="psnr", value=36)])
    (line,) = bd.frame.to_dict(orient="records")
    savings = [-20.0, -19.0, -18.0, -17.0, -16.0]
    assert line["bd_rate"] == pytest.approx(np.mean(savings))
    assert line["bd_rate_ci"] == pytest.approx(list(mean_interval(savings)))
    assert (line["contents"], line["little_overlap"], line["encoder"]) == (5, 0, "new")
    # The points of a content lie on a line: its ends count, for no mixture beats them.
    assert hulls.frame.set_index("encoder")["points"].to_dict() == {"old": 0, "new": 10}
    rates = ladder.frame.set_index("encoder")["rate"]
    # 36 is reached at 4, at 33 + 1 + (36 - 34) ... of content n at 2 ** (2 - n / 3), whose geometric mean is at n = 2.
    assert rates["old"] == pytest.approx(2 ** (2 - 2 / 3), rel=1e-3)
    assert ladder.frame["reached"].tolist() == ["5 of 5", "5 of 5"]


def test_direction_does_not_matter() -> None:
    error = ComparedMetric(name="error", lower_better=True)
    points = [replace(p, scores={"error": 50 - p.scores["psnr"]}) for p in _points()]
    hold = [Hold(metric="error", value=14)]
    ours = encoder_tables(points, [error], anchor="old", hold=hold)
    theirs = encoder_tables(_points(), [PSNR], anchor="old", hold=[Hold(metric="psnr", value=36)])
    for one, other in zip(ours, theirs, strict=True):
        assert one.frame.columns.tolist() == other.frame.columns.tolist()
        for column in one.frame.columns.drop(["metric", "unit", "hold"], errors="ignore"):
            ours_column, theirs_column = one.frame[column].tolist(), other.frame[column].tolist()
            if isinstance(ours_column[0], str):
                assert ours_column == theirs_column
            else:
                np.testing.assert_allclose(ours_column, theirs_column)


def test_a_curve_that_falls_costs_its_content() -> None:
    points = _points()
    points[4] = replace(points[4], scores={"psnr": 20.0})
    curves, faults = curves_of(points, PSNR)
    assert "c0" not in curves["old"]
    assert len(curves["new"]) == 5
    assert faults == [line for line in faults if "psnr of old on c0" in line and "leave out the point" in line]
    bd, *_ = encoder_tables(points, [PSNR], anchor="old")
    assert bd.frame["contents"].tolist() == [4]
    assert bd.warnings == tuple(faults)


def test_hull_over_encoders_by_hand() -> None:
    """Log rates 0, 1, 2, 3 with qualities 30, 34, 36, 37 are concave; what lies below or on a chord is left out."""
    facts = {"content": "c", "ref": None}
    rows = [
        ("a", 1, 30), ("b", 10, 34), ("a", 100, 36), ("b", 1000, 37),  # the hull
        ("b", 1, 29), ("a", 10, 33.9), ("b", 10**1.5, 35), ("a", 1000, 36.5),  # dominated, or on the line b to a
    ]  # fmt: skip
    points = [RatePoint(encoder=e, rate=r, scores={"psnr": q}, **facts) for e, r, q in rows]  # type: ignore[arg-type]
    (kept,) = hulls_of(points, PSNR).values()
    assert [(p.encoder, p.rate) for p in kept] == [("a", 1), ("b", 10), ("a", 100), ("b", 1000)]
    _, hulls = encoder_tables(points[:4], [PSNR], anchor="a")
    assert hulls.frame.set_index("encoder")["share"].to_dict() == {"a": 0.5, "b": 0.5}
    error = ComparedMetric(name="error", lower_better=True)
    turned = [replace(p, scores={"error": 50 - p.scores["psnr"]}) for p in points]
    assert [p.rate for p in hulls_of(turned, error)["c"]] == [1, 10, 100, 1000]


def test_lowest_rate_by_hand() -> None:
    """Lines of log rate: 33 is held at 10 and at 10**0.5, and by a curve that begins above it at its first rate."""
    curves = {
        "x": Curve.of([1, 10, 100], [30, 33, 36]),
        "y": Curve.of([1, 10, 100], [31.5, 34.5, 37.5]),
        "z": Curve.of([2, 4], [34, 35]),
    }
    made = lowest_rate(curves, PSNR, 33)
    logs = [1, 0.5, np.log10(2)]
    assert made.reached == 3
    assert made.rate == pytest.approx(10 ** np.mean(logs))
    assert made.rate_ci == pytest.approx(tuple(10**end for end in mean_interval(logs)))
    assert lowest_rate({"x": curves["x"]}, PSNR, 40).reached == 0


def test_a_quality_that_is_not_reached() -> None:
    _, _, ladder = encoder_tables(_points(), [PSNR], anchor="old", hold=[Hold(metric="psnr", value=60)])
    assert ladder.frame["reached"].tolist() == ["0 of 5", "0 of 5"]
    assert ladder.frame["rate"].isna().all()


def test_an_anchor_that_is_not_there() -> None:
    with pytest.raises(InputError, match="expected one of old, new"):
        encoder_tables(_points(), [PSNR], anchor="av1")


def test_scores_of_encoded_photographs(tmp_path: Path) -> None:
    """JPEG and WebP at three qualities: points are scored as ``causaliqa score`` does, given scores are kept."""
    from causaliqa.io.photographs import photograph

    photo = Image.fromarray(photograph("astronaut")).resize((96, 96))
    photo.save(tmp_path / "ref.png")
    points = []
    for encoder, form in (("jpeg", "JPEG"), ("webp", "WEBP")):
        for quality in (20, 50, 80):
            packed = tmp_path / f"{quality}.{encoder}"
            photo.save(packed, form, quality=quality)
            decoded = tmp_path / f"{encoder}{quality}.png"
            Image.open(packed).convert("RGB").save(decoded)
            points.append(
                RatePoint(
                    encoder=encoder,
                    content="astronaut",
                    rate=packed.stat().st_size,
                    dist=decoded,
                    ref=tmp_path / "ref.png",
                    scores={"ssim": quality / 100},
                )
            )
    found = score_points(points, ["psnr", "ssim"], catalog=default_catalog(), device="cpu", progress=False)
    made, failures = found.points, found.failures
    assert failures == ()
    assert [p.scores["ssim"] for p in made] == [0.2, 0.5, 0.8] * 2
    for point in made:
        assert point.dist
        assert point.ref
        assert point.scores["psnr"] == float(score("psnr", point.dist, point.ref, device="cpu"))
    broken = [replace(points[0], dist=tmp_path / "none.png"), *points[1:]]
    found = score_points(broken, ["psnr"], catalog=default_catalog(), device="cpu", progress=False)
    made, failures = found.points, found.failures
    assert len(failures) == 1
    assert "none.png" in failures[0]
    assert "psnr" not in made[0].scores
    with pytest.raises(InputError, match="without ref"):
        score_points([replace(points[0], ref=None)], ["psnr"], catalog=default_catalog(), progress=False)
