"""``--hdr``, ``--peak`` and ``--channel each`` on the command line: recorded with every score, refused in one line."""

import json

import numpy as np
import pytest
from PIL import Image

from causaliqa.cli import main


def pfm(path, light):
    path.write_bytes(b"Pf\n%d %d\n-1.0\n" % light.shape[::-1] + light[::-1].astype("<f4").tobytes())


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two outputs and references of linear light, and an ordinary picture beside each."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, spread in (("ref", 0), ("good", 0.02), ("bad", 0.2)):
        (tmp_path / name).mkdir()
        for k in range(5):
            light = np.geomspace(0.5, 3000, 64 * 48).reshape(48, 64) * (
                1 + spread * rng.standard_normal((48, 64)).clip(-2, 2)
            )
            pfm(tmp_path / name / f"{k}.pfm", light)
            Image.new("L", (64, 48)).save(tmp_path / name / f"{k}.png")
    return tmp_path


def test_score_records_it(folders, capsys):
    line = ["score", "psnr", "good", "ref", "--hdr", "pu21", "--peak", "1000", "--device", "cpu"]
    assert main([*line, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    said = "linear light (largest value at 1000 cd/m2) as PU21 / 256"
    assert document["prepared"] == said
    assert [row["img"] for row in document["scores"]] == [f"good/{k}.pfm" for k in range(5)]
    assert main([*line, "--format", "csv"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head == "metric,img,ref,score,unit,error,prepared,note"
    assert len(rows) == 5
    assert all(said in row for row in rows)


def test_compare_records_it_and_shows_the_light(folders, capsys):
    line = ["compare", "good", "bad", "--ref", "ref", "--metric", "psnr", "--hdr", "pu21", "--device", "cpu"]
    assert main([*line, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["settings"]["prepared"] == "linear light (values in cd/m2) as PU21 / 256"
    assert main([*line, "--out", "page.html"]) == 0
    assert "no thumbnail" not in capsys.readouterr().err
    assert (folders / "page.html").read_text().count("data:image/webp") >= 3


def test_rd_records_it_and_the_channels(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = ["encoder,content,rate,dist,ref"]
    for content in "ab":
        ref = rng.random((24, 20, 4))
        np.save(f"{content}.npy", ref)
        for encoder, loss in (("old", 0.1), ("new", 0.08)):
            for rate in (1, 2, 4, 8):
                noise = rng.standard_normal(ref.shape) * loss / rate
                np.save(f"{encoder}{content}{rate}.npy", np.clip(ref + noise, 0, 1))
                lines.append(f"{encoder},{content},{rate},{encoder}{content}{rate}.npy,{content}.npy")
    (tmp_path / "points.csv").write_text("\n".join(lines))
    line = ["rd", "points.csv", "--metric", "psnr", "--crop", "1", "--device", "cpu", "--format", "json"]
    assert main(line) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["settings"]["prepared"] == "1 border pixels cut off"
    assert "16 scores are means over 4 channels" in document["remarks"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("score psnr good/0.pfm ref/0.pfm", "holds linear light: score it with --hdr pu21"),
        ("score psnr good/0.png ref/0.png --hdr pu21", "0.png holds no linear light"),
        ("score psnr good/0.png ref/0.png --hdr pq", "expected PQ of 16 bits"),
        ("score psnr good ref --peak 1000", "--peak: got 1000 without linear light, expected --hdr pu21"),
        ("score psnr good ref --hdr pu21 --peak 0.5", "--peak: got 0.5, expected from 1 to 10000 cd/m2"),
        ("score nlpd good ref --hdr pu21", "metric 'nlpd' takes no values above 1"),
        ("compare good bad --ref ref --metric nlpd --hdr pq", "metric 'nlpd' takes no values above 1"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(folders, capsys, line, words):
    code = main([*line.split(), "--device", "cpu"])
    err = capsys.readouterr().err.strip()
    assert code == 2
    assert words in err
    assert len(err.splitlines()) == 1
