"""``causaliqa cem-check`` as users see it."""

import json

from PIL import Image

from conftest import photo


def test_a_map_is_checked_by_its_own_names(run, tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(photo(48)).save(path)
    asked = ("--task", "sr", "--roi", "16,16,16,16", "--coarse", 1, "--fine", 6, "--device", "cpu")
    assert run("cem", "tiny_edsr_x4", path, *asked, "--out", tmp_path / "map")[0] == 0
    code, out, err = run("cem-check", tmp_path / "map", path, "--budget", 900, "--device", "cpu")
    assert code in (0, 1)
    assert (code == 1) == ("the map is not supported" in err)
    assert [line.split()[0] for line in out.splitlines()[1:6]] == ["cem", "lam", "gradients", "occlusion", "random"]
    assert "deletion dB" in out and "shuffled weights" in out
    code, again, _ = run("cem-check", tmp_path / "map", path, "--budget", 900, "--device", "cpu", "--format", "json")
    assert next(row["name"] for row in json.loads(again)) == "cem"
    code, _, err = run("cem-check", tmp_path, path)
    assert code == 2
    assert "holds no causal effect map" in err
