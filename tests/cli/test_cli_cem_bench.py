"""``causaliqa cem-bench`` as users see it."""

import json

import pytest
from PIL import Image

from causaliqa import EffectMap
from conftest import photo

QUICK = ("--task", "denoise", "--roi", "8,8,8,8", "--coarse", 1, "--fine", 1, "--sampler", "zero", "--device", "cpu")


@pytest.fixture
def grid(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("astronaut.png", "coffee.png"):
        Image.fromarray(photo(24, name=name)).save(tmp_path / "photos" / name)
    path = tmp_path / "nets.yaml"
    (tmp_path / "net.py").write_text("import torch\ndef mean():\n    return torch.nn.AvgPool2d(3, 1, 1)\n")
    path.write_text(f"- {{network: '{tmp_path}/net.py:mean', name: mean, year: 2001}}\n- tiny_dncnn_50\n")
    return tmp_path


def test_a_grid_is_made_and_made_again_for_nothing(run, grid):
    asked = ("cem-bench", grid / "nets.yaml", grid / "photos", *QUICK, "--out", grid / "maps")
    code, out, err = run(*asked, "--format", "json")
    assert code == 0
    assert [row["network"] for row in json.loads(out)] == ["mean", "tiny_dncnn_50"]
    assert "mean: 2 maps, " in err and "the grid takes" in err
    names = {"maps.csv", "table.csv", "table.tex", "page.html", "bench.png"}
    assert names <= {path.name for path in (grid / "maps").iterdir()}
    EffectMap.load(grid / "maps" / "mean" / "coffee")
    code, out, err = run(*asked, "--jobs", 2)
    assert code == 0
    assert "mean: all maps are there" in err
    assert out.splitlines()[0].split()[:4] == ["network", "task", "year", "images"]


def test_failures_are_lines_and_limits_are_kept(run, grid):
    asked = ("cem-bench", grid / "nets.yaml", grid / "photos", *QUICK, "--out", grid / "maps")
    assert run(*asked, "--limit", "1")[0] == 2
    assert not (grid / "maps" / "mean").exists()
    (grid / "photos" / "coffee.png").write_text("no image")
    code, out, err = run(*asked)
    assert code == 1
    assert "mean, coffee.png 8,8,8,8: " in err
    assert "tiny_dncnn_50" in out
    code, out, _ = run(*asked, "--dry-run")
    assert (code, out.splitlines()[0]) == (0, out.splitlines()[0]) and "1 maps" in out


@pytest.mark.parametrize(("options", "message"), [((), "--out DIR is missing"), (("--jobs", 0), "--jobs: got 0")])
def test_wrong_options_are_named(run, grid, options, message):
    code, _, err = run("cem-bench", grid / "nets.yaml", grid / "photos", *QUICK, *options)
    assert code == 2
    assert message in err
