"""``causaliqa restore`` from argv to files."""

import pytest
from PIL import Image

from conftest import photo


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    for name in ("astronaut.png", "coffee.png"):
        Image.fromarray(photo(48, name=name)).save(place / name)
    return place


@pytest.mark.parametrize(("network", "task", "side"), [("tiny_edsr_x4", "sr", 192), ("tiny_dncnn_50", "denoise", 48)])
def test_a_folder_is_restored_and_continued(run, folder, tmp_path, network, task, side):
    line = ("restore", network, folder, tmp_path / "out", "--task", task, "--device", "cpu")
    code, out, err = run(*line)
    assert (code, out.splitlines()) == (0, [str(tmp_path / "out" / f"{n}.png") for n in ("astronaut", "coffee")])
    assert "restored 2 of 2 images; 0 were there already" in err
    assert Image.open(tmp_path / "out" / "coffee.png").size == (side, side)
    code, again, err = run(*line)
    assert (code, again) == (0, out)
    assert "restored 0 of 2 images; 2 were there already" in err
    code, out, err = run(*line, "--tile", 40)
    assert (code, out) == (2, "")
    assert "tile differ" in err and "--overwrite" in err


def test_what_compare_takes_is_made_in_one_go(run, folder, tmp_path):
    for name, net in (("a", "tiny_edsr_x4"), ("b", "tiny_rcan_x4")):
        code, _, _ = run(
            *("restore", net, folder, tmp_path / name, "--task", "sr", "--degrade", "--truth", tmp_path / "truth"),
            *("--device", "cpu"),
        )
        assert code == 0
    code, out, _ = run(
        "compare", tmp_path / "a", tmp_path / "b", "--ref", tmp_path / "truth", "--metric", "psnr", "--device", "cpu"
    )
    assert code == 0
    assert "Means over images" in out


def test_a_failure_costs_its_line_and_the_exit_code(run, folder, tmp_path):
    (folder / "bad.png").write_bytes(b"no image")
    code, out, err = run("restore", "tiny_dncnn_50", folder, tmp_path / "out", "--task", "denoise", "--device", "cpu")
    assert (code, len(out.splitlines())) == (1, 2)
    assert "bad.png" in err and "restored 2 of 3 images" in err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["tiny_dncnn", "{in}", "{out}"], "Did you mean"),
        (["tiny_dncnn_50", "{in}/none", "{out}"], "does not exist"),
        (["tiny_dncnn_50", "{in}", "{in}"], "is one of the images to restore"),
        (["tiny_dncnn_50", "{in}", "{in}/coffee.png"], "is a file, expected a folder"),
        (["tiny_dncnn_50", "{in}", "{out}", "--tile", "0"], "--tile: got 0"),
        (["tiny_dncnn_50", "{in}", "{out}", "--tile", "big"], "expected auto or a whole number"),
        (["tiny_dncnn_50", "{in}", "{out}", "--truth", "{out}"], "--truth: got a folder"),
        (["tiny_dncnn_50", "{in}", "{out}", "--scale", "2"], "keeps the size"),
        (["tiny_dncnn_50", "{in}", "{out}", "--tile", "40", "--overlap", "20"], "less than half a tile"),
    ],
)
def test_refused_in_one_line(run, folder, tmp_path, line, words):
    places = {"in": str(folder), "out": str(tmp_path / "out")}
    code, out, err = run("restore", *(part.format(**places) for part in line), "--task", "denoise", "--device", "cpu")
    assert (code, out) == (2, "")
    assert words in err
    assert not (tmp_path / "out").exists()
