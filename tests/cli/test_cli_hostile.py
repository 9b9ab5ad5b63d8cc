"""Names and pictures that mean harm, from files on the disk to every kind of table and back."""

import csv
import html.parser
import io
import json
import os

import numpy as np
import pytest
from PIL import Image

import causaliqa
from causaliqa.utils import memory

NAMES = [
    "with space.png",
    "new\nline.png",
    "tab\there.png",
    "return\rhere.png",
    "caf\u00e9.png",
    "cafe\u0301.png",
    "\u202egnp.exe.png",
    'it\'s "quoted".png',
    "-dash.png",
    "=cmd|' C'!A0.png",
    "+1.png",
    "@SUM(A1).png",
    "<script>alert(1)<.png",
    "a,b;c.png",
    "$x_1$ %&#{}~^.png",
    "\x1b[31mred.png",
]
TYPES = [
    "<script>alert(1)</script>",
    "=1+1",
    "$\\nonsense$",
    "a|b_c",
    "new\nline",
    '"><img src=x onerror=alert(1)>',
    "",
    "-1",
]


@pytest.fixture
def hostile(tmp_path):
    """A manifest of images that are called so, four references, types that are called so."""
    folder = tmp_path / "=set <blink>"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = [["ref", "dist", "mos", "type"]]
    for number, name in enumerate(NAMES):
        ref = f"=ref{number % 4}.png"
        clean = np.full((32, 32, 3), 60 * (number % 4) + 20, np.uint8)
        Image.fromarray(clean).save(folder / ref)
        noisy = np.clip(clean + rng.normal(0, 4 + number, clean.shape), 0, 255).astype(np.uint8)
        with (folder / name).open("wb") as file:
            Image.fromarray(noisy).save(file, format="PNG")
        lines.append([ref, name, str(20 - number), TYPES[number % len(TYPES)]])
    path = folder / "=evil <blink>.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    return path


class _Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.inside, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, {name for name, _ in attrs}))

    def handle_data(self, data):
        self.texts.append(data)


def test_everything_comes_out_escaped_and_back(run, hostile, tmp_path):
    rows = tmp_path / "rows.csv"
    line = ["leaderboard", "--data", hostile, "--metric", "psnr", "--by", "type", "--rows", rows]
    code, out, err = run(*line, "--format", "csv", "--figure", tmp_path / "f.png")
    assert code == 0, err
    for text in (out, rows.read_text(encoding="utf-8")):
        cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
        assert not [
            c for c in cells if c[:1] in ("=", "+", "@", "\t", "\r", "\n") or (c[:1] == "-" and not c[1:2].isdigit())
        ]
    with rows.open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert {row["dist"].removeprefix("'") for row in read} == set(NAMES)

    code, out, _ = run(*line, "--format", "latex")
    assert code == 0
    assert not [part for part in out.split("\\begin{tabular}")[1].splitlines() if part.count("$") % 2]
    assert "\\nonsense" not in out
    assert "\\textless{}script\\textgreater{}" in out

    page = tmp_path / "page.html"
    for command in ([*line, "--format", "html", "--out", page], ["report", rows, "--out", page]):
        assert run(*command)[0] == 0
        tags = _Tags()
        tags.feed(page.read_text(encoding="utf-8"))
        assert not [t for t in tags.seen if "onerror" in t[1] or t[0] in ("blink", "img")]
        assert [t[0] for t in tags.seen].count("script") == 3
        assert any("<script>alert(1)</script>" in text for text in tags.texts)

    for how in ("plain", "github"):
        code, out, err = run(*line, "--format", how)
        assert "\x1b" not in out + err.replace("\x1b[A", "")
        assert "\u202e" not in out + err
    json.loads(run(*line, "--format", "json")[1])


def test_scores_of_such_names_match_again(run, hostile, tmp_path):
    with (tmp_path / "theirs.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["dist", "=theirs"], *([name, k] for k, name in enumerate(NAMES))])
    code, out, err = run(
        *("leaderboard", "--data", hostile, "--scores", tmp_path / "theirs.csv"),
        *("--metric", "=theirs:lower_better=true", "--format", "csv"),
    )
    assert code == 0, err
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["metric"], row["n"], row["n_failed"]) == ("'=theirs", "16", "0")


def test_a_message_is_one_line_whatever_the_name(run, tmp_path, pair_files):
    name = tmp_path / "a\n\x1b[31mcausaliqa: done\u202e.png"
    code, out, err = run("score", "psnr", name, pair_files[1])
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.rstrip("\n").isprintable()


def test_bytes_that_are_no_text_are_shown(run, tmp_path, pair_files):
    folders = tmp_path / "img", tmp_path / "ref"
    for folder, file in zip(folders, pair_files, strict=True):
        folder.mkdir()
        for name in (b"latin-\xe9.png", b"plain.png"):
            (folder / os.fsdecode(name)).write_bytes(file.read_bytes())
    code, out, _ = run("score", "psnr", *folders)
    assert code == 0
    assert [line.split("\t")[0].rpartition("/")[2] for line in out.splitlines()] == ["latin-\\udce9.png", "plain.png"]
    assert len(json.loads(run("score", "psnr", *folders, "--json")[1])["scores"]) == 2


def test_one_bad_image_of_many_costs_its_own_line(run, tmp_path, pair_files):
    folders = tmp_path / "img", tmp_path / "ref"
    for folder, file in zip(folders, pair_files, strict=True):
        folder.mkdir()
        for name in ("a.png", "broken.png", "tiny.png"):
            (folder / name).write_bytes(file.read_bytes())
        Image.new("RGB", (1, 1)).save(folder / "tiny.png")
    (folders[0] / "broken.png").write_bytes(b"\x89PNG")
    code, out, err = run("score", "ssim", *folders)
    assert code == 1
    assert [line.split("\t")[0] for line in out.splitlines()] == [str(folders[0] / "a.png")]
    assert len(err.splitlines()) == 2
    assert "broken.png" in err and "tiny.png: " in err and "Traceback" not in err
    rows = json.loads(run("score", "ssim", *folders, "--json")[1])["scores"]
    assert [row["score"] is None for row in rows] == [False, True, True]
    assert [bool(row.get("error")) for row in rows] == [False, True, True]


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (7, 7)])
@pytest.mark.parametrize("metric", ["psnr", "ssim", "causal_effnet_lite0"])
def test_extreme_sides_are_scored_or_said(run, tmp_path, size, metric):
    for name, colour in (("i", (10, 20, 30)), ("r", (30, 20, 10))):
        Image.new("RGB", size, colour).save(tmp_path / f"{name}.png")
    code, out, err = run("score", metric, tmp_path / "i.png", tmp_path / "r.png", "--device", "cpu")
    assert (code == 0 and float(out) == float(out)) or (code in (1, 2) and len(err.splitlines()) == 1)
    assert "Traceback" not in err


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (3, 3)])
@pytest.mark.parametrize(
    "line",
    [
        ["explain", "causal_effnet_lite0", "{0}", "{0}"],
        ["cem", "tiny_dncnn_50", "{0}", "--task", "denoise", "--roi", "0,0,1,1"],
        ["cem", "tiny_edsr_x4", "{0}", "--task", "sr", "--roi", "0,0,8,8"],
        ["lam", "tiny_dncnn_50", "{0}", "--task", "denoise", "--roi", "0,0,1,1"],
    ],
    ids=lambda line: "-".join(line[:2]),
)
def test_extreme_sides_are_one_line_elsewhere_too(run, tmp_path, size, line):
    Image.new("RGB", size, (9, 99, 200)).save(tmp_path / "i.png")
    code, out, err = run(*(word.format(tmp_path / "i.png") for word in line), "--out", tmp_path / "o")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("causaliqa: error: ")
    assert "Traceback" not in err


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize("command", ["cem", "lam"])
def test_outputs_that_are_no_numbers_are_one_line(run, tmp_path, value, command):
    (tmp_path / "net.py").write_text(
        f"from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return x * float('{value}')\n"
    )
    Image.new("RGB", (40, 40), (9, 99, 200)).save(tmp_path / "i.png")
    code, _, err = run(
        *(command, f"{tmp_path / 'net.py'}:Net", tmp_path / "i.png", "--task", "denoise", "--roi", "8,8,8,8"),
        *("--out", tmp_path / "o"),
    )
    assert code == 2
    assert "causaliqa: error: network returned" in err
    assert "expected finite values" in err


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_scores_that_are_no_numbers_are_rows_with_a_reason(manifest, value):
    class Metric:
        name, lower_better = "m", True

        def __call__(self, img, ref):
            return (img - ref).flatten(1).mean(1) * 0 + float(value)

    frame = causaliqa.evaluate([Metric()], causaliqa.read_manifest(manifest))
    assert frame["score"].isna().all()
    assert set(frame["error"]) == {f"the score is {value}"}


def test_an_image_too_large_for_a_metric_is_said_before_it_is_tried(run, tmp_path, monkeypatch):
    """3,000 x 3,000 pixels: ssim was seen to take 210 bytes of each, psnr does not."""
    Image.new("L", (3000, 3000)).save(tmp_path / "i.png")
    monkeypatch.setattr(memory, "available", lambda device: 1 << 30)
    code, _, err = run("score", "ssim", tmp_path / "i.png", tmp_path / "i.png", "--device", "cpu")
    assert code == 1
    assert "ssim on 3000 x 3000 pixels needs 1.8 GiB of memory, 1.0 GiB are free on cpu; crop the images" in err
    assert run("score", "psnr", tmp_path / "i.png", tmp_path / "i.png", "--device", "cpu")[0] == 0
