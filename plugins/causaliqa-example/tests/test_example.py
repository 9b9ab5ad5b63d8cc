"""The example through every surface: catalogue, command line, leaderboard, pyiqa."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import causaliqa
from causaliqa.testing import check_metric


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    ref = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
    lines = ["ref,dist,dmos"]
    Image.fromarray(ref).save(tmp_path / "ref.png")
    for level in range(1, 7):
        img = np.clip(ref + rng.normal(0, 10 * level, ref.shape), 0, 255).astype(np.uint8)
        Image.fromarray(img).save(tmp_path / f"{level}.png")
        lines.append(f"ref.png,{level}.png,{level}")
    (tmp_path / "noise.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def command(*argv):
    line = [sys.executable, "-m", "causaliqa", *map(str, argv)]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


def test_catalogue():
    assert causaliqa.list_metrics("example_*") == ["example_edges"]
    metric = causaliqa.create_metric("example_edges", device="cpu", power=2.0)
    ref = torch.rand(2, 3, 20, 20)
    assert metric.lower_better
    assert metric(ref, ref).tolist() == [0, 0]
    assert all(metric(1 - ref, ref) > 0)


def test_contract():
    check_metric("example_edges")


def test_command_line(files):
    assert "example_edges" in command("list", "metrics", "example*")
    document = json.loads(command("score", "example_edges", files / "3.png", files / "ref.png", "--json"))
    assert document["scores"][0]["score"] > 0


def test_leaderboard(files):
    out = command("leaderboard", "--data", files / "noise.csv", "--metric", "example_edges", "--format", "json")
    (row,) = json.loads(out)["rows"]
    assert row["srcc"] == 1.0


def test_pyiqa_knows_it(files):
    code = (
        "import sys, pyiqa\nprint(pyiqa.create_metric('example_edges', device='cpu')(sys.argv[1], sys.argv[2]).item())"
    )
    line = [sys.executable, "-c", code, str(files / "3.png"), str(files / "ref.png")]
    score = float(subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()[-1])
    document = json.loads(command("score", "example_edges", files / "3.png", files / "ref.png", "--json"))
    assert score == pytest.approx(document["scores"][0]["score"], rel=1e-6)
