"""Scores from elsewhere: what is read, how images are matched, and what is refused with which counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from causaliqa.api.data import Pair, PairDataset
from causaliqa.api.errors import ManifestError
from causaliqa.io.score_files import match_scores, read_scores


@pytest.fixture
def read(tmp_path):
    def make(text, prefix="", name="s.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_scores(path, prefix=prefix)

    return make


def dataset(*images, name="d"):
    pairs = tuple(Pair(ref=None, dist=Path("/data") / image, label=float(k)) for k, image in enumerate(images))
    return PairDataset(name=name, pairs=pairs, label="mos", label_lower_better=False, root=Path("/data"))


def lines(*images):
    return "dist,m\n" + "".join(f"{image},{number}\n" for number, image in enumerate(images))


def test_metrics_are_the_columns_that_no_manifest_has(read):
    file = read("\ufeffDist, MOS ,type, VIF,my score\r\na.png,4,blur,0.5,\r\nb.png,3,blur,nan,-1e3\r\n")
    assert file.metrics == ("VIF", "my score")
    assert file.scores == {"VIF": (0.5, None), "my score": (None, -1000.0)}
    assert file.images == (("", "a.png"), ("", "b.png"))


def test_a_prefix_tells_metrics_of_one_name_apart(read):
    file = read("dist,ssim\na.png,1\n", prefix="published")
    assert (file.metrics, file.scores) == (("published_ssim",), {"published_ssim": (1.0,)})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no header"),
        ("dist,m\n", "got 0 lines"),
        ("image,m\na.png,1\n", "got the columns image, m; expected dist"),
        ("dist,mos\na.png,1\n", "expected dist and a name a metric"),
        ("dist,\na.png,1\n", "expected dist and a name a metric"),
        ("dist,m,m\na.png,1,2\n", "column 'm' occurs twice"),
        (
            "dist,m\na.png,1\nb.png\nc.png,1,2\n",
            "got 3 lines, 2 of them with another number of fields than the header; the first is line 3",
        ),
        ("dist,m\na.png,high\n", "1 cell is no number: 'high' in column 'm' for a.png, line 2; expected a number"),
        ("dist,m,k\na,x,x\nb,x,x\nc,1,1\n", "4 cells are no numbers: .* and 1 more"),
        (b"dist,m\n\xff\xfe,1\n", "no UTF-8 text"),
    ],
)
def test_bad_files(read, text, words):
    with pytest.raises(ManifestError, match=words):
        read(text)


def test_missing_file(tmp_path):
    with pytest.raises(ManifestError, match="cannot be read"):
        read_scores(tmp_path / "none.csv")


@pytest.mark.parametrize("spelt", ["sub/a.png", "./sub/a.png", "sub\\a.png", "a.png", "elsewhere/a.png"])
def test_images_match_by_path_or_by_file_name(read, spelt):
    matched = match_scores(read(lines("sub/b.png", spelt)), [dataset("sub/a.png", "sub/b.png", "sub/c.png")])
    assert matched.lines == {"d": {0: 1, 1: 0}}
    assert matched.notes == ()


def test_a_path_counts_before_a_file_name(read):
    matched = match_scores(read(lines("y/a.png", "x/a.png")), [dataset("x/a.png", "y/a.png")])
    assert matched.lines == {"d": {0: 1, 1: 0}}


def test_case_differences_are_found_and_told(read):
    matched = match_scores(read(lines("I01.BMP", "i02.bmp")), [dataset("i01.bmp", "i02.bmp")])
    assert matched.lines == {"d": {0: 0, 1: 1}}
    (note,) = matched.notes
    assert note.endswith("1 image differs in case or accents: I01.BMP for i01.bmp")


def test_accents_may_be_spelt_in_two_ways(read):
    composed, apart = "caf\u00e9.png", "cafe\u0301.png"
    matched = match_scores(read(lines(apart)), [dataset(composed)])
    assert matched.lines == {"d": {0: 0}}
    assert "1 image differs in case or accents" in matched.notes[0]
    assert match_scores(read(lines(apart, composed)), [dataset(composed, apart)]).lines == {"d": {0: 1, 1: 0}}


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "sub/../../x"])
def test_names_that_lead_out_are_names_and_nothing_is_opened(read, name, monkeypatch):
    file = read(lines(name, "a.png"))
    monkeypatch.setattr("io.open", lambda *a, **k: pytest.fail("opened"))
    monkeypatch.setattr("pathlib.Path.stat", lambda *a, **k: pytest.fail("looked up"))
    matched = match_scores(file, [dataset("a.png")])
    assert matched.lines == {"d": {0: 1}}
    assert name in matched.notes[0]


def test_case_counts_where_it_tells_images_apart(read):
    matched = match_scores(read(lines("A.png", "a.png")), [dataset("a.png", "A.png")])
    assert (matched.lines, matched.notes) == ({"d": {0: 1, 1: 0}}, ())


def test_unknown_images_are_told_and_left_out(read):
    matched = match_scores(read(lines("a.png", *(f"x{k}.png" for k in range(5)))), [dataset("a.png")])
    (note,) = matched.notes
    assert "5 images are in no data set and left out: x0.png, x1.png, x2.png and 2 more" in note
    assert matched.lines == {"d": {0: 0}}


def test_no_image_in_common_is_an_error(read):
    with pytest.raises(ManifestError, match=r"none of its 1 images is in d: b.png; expected paths"):
        match_scores(read(lines("b.png")), [dataset("a.png")])


def test_a_file_name_that_several_images_have(read):
    with pytest.raises(ManifestError, match=r"1 image fits several: a.png \(x/a.png or y/a.png\); write paths"):
        match_scores(read(lines("a.png")), [dataset("x/a.png", "y/a.png")])


def test_two_lines_for_an_image_must_agree(read):
    sets = [dataset("a.png", "b.png")]
    with pytest.raises(ManifestError, match=r"1 image has lines with different scores: a.png; keep one"):
        match_scores(read(lines("a.png", "b.png", "a.png")), sets)
    assert match_scores(read("dist,m\na.png,1\na.png,1\n"), sets).lines == {"d": {0: 1}}


def test_several_data_sets_share_a_file(read):
    sets = [dataset("a.png", name="one"), dataset("b.png", name="two")]
    assert match_scores(read(lines("b.png", "a.png")), sets).lines == {"one": {0: 1}, "two": {0: 0}}
    with pytest.raises(ManifestError, match=r"a.png \(one or two\); .* add a column dataset"):
        match_scores(read(lines("a.png")), [dataset("a.png", name="one"), dataset("a.png", name="two")])
    told = read("dist,dataset,m\na.png,two,1\na.png,three,2\n")
    matched = match_scores(told, [dataset("a.png", name="one"), dataset("a.png", name="two")])
    assert matched.lines == {"two": {0: 0}}
    assert "1 image is in no data set and left out: three/a.png" in matched.notes[0]


def test_images_that_a_data_set_has_twice_get_the_score_twice(read):
    assert match_scores(read(lines("a.png")), [dataset("a.png", "b.png", "a.png")]).lines == {"d": {0: 0, 2: 0}}
