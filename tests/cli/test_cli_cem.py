"""``causaliqa cem`` and ``cem-table`` as users and scripts see them."""

import json

import numpy as np
import pytest
from PIL import Image

from conftest import photo

KEYS = {
    "schema", "restorer", "task", "roi", "patch_size", "strategy", "base", "positive_percent", "negative_percent",
    "none_percent", "min", "max", "inferences", "inferences_plain", "seconds", "seed", "versions",
}  # fmt: skip


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "truth.png"
    Image.fromarray(photo(64)).save(path)
    return path


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(
        "import torch\n"
        "def smooth(size=3):\n"
        "    return torch.nn.AvgPool2d(size, stride=1, padding=size // 2)\n"
        "def double():\n"
        "    return torch.nn.Upsample(scale_factor=2)\n"
        "def broken():\n"
        "    return lambda x: x * float('nan')\n"
    )
    return path


QUICK = ("--coarse", 1, "--fine", 2, "--device", "cpu")
ROI = ("--roi", "16,24,16,16")


@pytest.mark.parametrize(
    ("restorer", "task"),
    [
        ("tiny_edsr_x4", "sr"),
        ("tiny_dncnn_50", "denoise"),
        ("tiny_edsr_rain", "derain"),
        ("tiny_seven", "sr"),
        ("tiny_seven", "dehaze"),
    ],
)
def test_every_task_works_out_of_the_box(run, image, tmp_path, restorer, task):
    code, out, _ = run("cem", restorer, image, "--task", task, *ROI, "--out", tmp_path / "cem", *QUICK)
    assert code == 0
    assert "positive" in out
    summary = json.loads((tmp_path / "cem" / "summary.json").read_text())
    assert summary.keys() >= KEYS
    assert (summary["schema"], summary["restorer"], summary["task"]) == (1, restorer, task)
    assert summary["roi"] == [16, 24, 16, 16]
    assert summary["inferences_plain"] == 500 * 60
    total = sum(summary[f"{kind}_percent"] for kind in ("positive", "negative", "none"))
    assert total == pytest.approx(100)
    with np.load(tmp_path / "cem" / "cem.npz") as arrays:
        assert arrays["effect"].shape == arrays["count"].shape == arrays["sem"].shape == (8, 8)
        assert np.isnan(arrays["effect"][3:5, 2:4]).all()
        assert np.isnan(arrays["effect"]).sum() == 4
    for name in ("cem.png", "pie.png"):
        assert Image.open(tmp_path / "cem" / name).size[0] > 300


def test_callable_with_options_and_several_regions(run, image, net, tmp_path):
    request = ("cem", f"{net}:smooth", image, "--task", "denoise", *ROI, "--roi", "40,40,8,8", *QUICK)
    code, out, _ = run(*request, "--arch-options", "size=5", "--out", tmp_path / "cem")
    assert code == 0
    assert len(out.splitlines()) == 2
    for folder in ("roi-16-24-16-16", "roi-40-40-8-8"):
        assert "reach 2 pixels" in (tmp_path / "cem" / folder / "summary.json").read_text()


def test_scale_and_sampler_and_measure(run, image, net, tmp_path):
    request = ("cem", f"{net}:double", image, "--task", "sr", "--scale", 2, *ROI, *QUICK, "--out", tmp_path / "cem")
    library = tmp_path / "library.npz"
    np.savez(library, patches=np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), dtype=np.uint8))
    code, _, _ = run(*request, "--sampler", "natural:draws=uniform", "--library", library)
    assert code == 0
    assert json.loads((tmp_path / "cem" / "summary.json").read_text())["scale"] == 2
    base = json.loads((tmp_path / "cem" / "summary.json").read_text())["base"]
    assert run(*request, "--sampler", "zero", "--measure", "pyiqa:psnr", "--overwrite")[0] == 0
    # The same quantity by the registered metric of that name.
    assert json.loads((tmp_path / "cem" / "summary.json").read_text())["base"] == pytest.approx(base, abs=1e-2)


def test_seeds_of_image_and_interventions_are_told_apart(run, image, net, tmp_path):
    def made(name, *seeds):
        line = ("cem", f"{net}:smooth", image, "--task", "denoise", *ROI, *QUICK, "--out", tmp_path / name, *seeds)
        assert run(*line)[0] == 0
        with np.load(tmp_path / name / "cem.npz") as arrays:
            return arrays["image"], arrays["effect"]

    first, second = made("a", "--image-seed", 3), made("b", "--image-seed", 3, "--seed", 1)
    np.testing.assert_array_equal(first[0], second[0])
    assert (first[0] != made("c")[0]).any()
    assert (np.nan_to_num(first[1]) != np.nan_to_num(second[1])).any()


def test_dry_run_writes_nothing(run, image, tmp_path):
    code, out, _ = run("cem", "tiny_dncnn_50", image, "--task", "denoise", *ROI, "--dry-run", "--device", "cpu")
    assert code == 0
    facts = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert set(facts) == {"region", "reach", "patches", "inferences", "pixels", "time", "memory"}
    assert [path for path in tmp_path.iterdir() if path.name != "cache"] == [image]


def test_resume_is_for_the_same_run(run, image, net, tmp_path):
    request = ("cem", f"{net}:smooth", image, "--task", "denoise", *ROI, *QUICK, "--out", tmp_path / "cem")
    assert run(*request)[0] == 0
    first = (tmp_path / "cem" / "cem.npz").read_bytes()
    assert run(*request, "--resume")[0] == 0
    with np.load(tmp_path / "cem" / "cem.npz") as arrays:
        kept = arrays["effect"]
    (tmp_path / "cem" / "cem.npz").write_bytes(first)
    with np.load(tmp_path / "cem" / "cem.npz") as arrays:
        np.testing.assert_array_equal(arrays["effect"], kept)
    code, _, err = run(*request, "--resume", "--seed", 5)
    assert code == 2
    assert "another run" in err
    assert run(*request, "--seed", 5, "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"roi": "60,60,16,16"}, "outside"),
        ({"roi": "0,0,4,4"}, "smaller than a patch"),
        ({"roi": "1,2,3"}, "four whole numbers"),
        ({"restorer": "tiny_edsr_x5"}, "Did you mean 'tiny_edsr_x4'"),
        ({"restorer": "no/such.py:net"}, "no file"),
        ({"restorer": "basicsr"}, "stands for many networks"),
        ({"restorer": "{net}:broken"}, "NaN"),
        ({"restorer": "{net}:double"}, "another size"),
        ({"task": "unfog"}, "unknown degradation"),
        ({"--sampler": "naturel"}, "Did you mean 'natural'"),
        ({"--library": "{tmp}/nothing.npz"}, "does not exist"),
        ({"--library": "{tmp}"}, "library"),
        ({"--checkpoint": "{net}"}, "cannot be loaded"),
        ({"--checkpoint": "{tmp}/missing.pth"}, "no file"),
        ({"--measure": "psmr"}, "unknown metric"),
        ({"--strategy": "best"}, "strategy"),
        ({"--batch-size": "many"}, "batch-size"),
        ({"--patch-size": "100"}, "smaller than a patch"),
        ({"--scale": "4"}, "keeps the size"),
        ({"--fine": "0"}, "fine"),
        ({"--arch-options": "depth=3"}, "depth"),
        ({"image": "{net}"}, "no image"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(run, image, net, tmp_path, change, words):
    filled = {k: v.format(net=net, tmp=tmp_path / "empty") for k, v in change.items()}
    (tmp_path / "empty").mkdir()
    given = {"restorer": "tiny_dncnn_50", "image": image, "task": "denoise", "roi": "16,24,16,16", **filled}
    extra = [x for k, v in filled.items() if k.startswith("--") for x in (k, v)]
    code, out, err = run(
        "cem", given["restorer"], given["image"], "--task", given["task"], "--roi", given["roi"],
        "--out", tmp_path / "cem", "--device", "cpu", *extra,
    )  # fmt: skip
    assert code == 2
    assert out == ""
    assert words in err
    assert len([line for line in err.splitlines() if line.startswith("causaliqa: error:")]) == 1
    assert "Traceback" not in err


def test_a_restorer_of_another_task_is_noted(run, image, tmp_path):
    code, _, err = run("cem", "tiny_dncnn_50", image, "--task", "derain", *ROI, *QUICK, "--out", tmp_path / "cem")
    assert code == 0
    assert "trained for denoise, not for derain" in err


def test_table_of_networks_and_images(run, image, net, tmp_path):
    other = tmp_path / "other.png"
    Image.fromarray(photo(64, name="coffee.png")).save(other)
    folders = []
    for k, (size, path) in enumerate([(3, image), (3, other), (5, image)]):
        folders.append(tmp_path / str(k))
        request = ("cem", f"{net}:smooth", path, "--task", "denoise", *ROI, *QUICK, "--out", folders[-1])
        assert run(*request, "--arch-options", f"size={size}")[0] == 0
    code, out, _ = run("cem-table", *folders, "--format", "json", "--html", tmp_path / "page.html")
    rows = json.loads(out)
    assert code == 0
    assert [row["image"] for row in rows] == ["truth.png", "other.png", "truth.png", "mean"]
    assert rows[3]["none %"] == pytest.approx(np.mean([row["none %"] for row in rows[:3]]))
    page = (tmp_path / "page.html").read_text()
    assert page.count("<img ") == 2 * 2
    assert "http" not in page.replace("http-equiv", "")
    assert "|" in run("cem-table", *folders, "--format", "github")[1]
    code, _, err = run("cem-table", tmp_path / "nothing")
    assert code == 2
    assert "no causal effect map" in err


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "truths"
    folder.mkdir()
    for name in ("astronaut.png", "coffee.png", "chelsea.png"):
        Image.fromarray(photo(48, name=name)).save(folder / name)
    return sorted(folder.iterdir())


SMALL = ("--task", "denoise", "--roi", "16,16,8,8", "--coarse", 1, "--fine", 2, "--sampler", "zero", "--device", "cpu")


def test_many_images_have_a_folder_each_and_are_those_of_single_runs(run, images, net, tmp_path):
    code, out, _ = run("cem", f"{net}:smooth", *images, *SMALL, "--roi", "24,8,8,8", "--out", tmp_path / "all")
    assert code == 0
    folders = [line.rpartition("\t")[2] for line in out.splitlines()]
    regions = ("roi-16-16-8-8", "roi-24-8-8-8")
    assert folders == [str(tmp_path / "all" / image.stem / region) for image in images for region in regions]
    for image in images:
        assert run("cem", f"{net}:smooth", image, *SMALL, "--out", tmp_path / image.stem)[0] == 0
        single, many = (
            np.load(folder / "cem.npz")
            for folder in (tmp_path / image.stem, tmp_path / "all" / image.stem / regions[0])
        )
        for name in single.files:
            np.testing.assert_array_equal(single[name], many[name])


def test_a_map_that_fails_costs_itself_only(run, images, net, tmp_path):
    images[1].write_text("no image")
    asked = ("cem", f"{net}:smooth", *images, *SMALL, "--out", tmp_path / "out")
    code, out, err = run(*asked)
    assert (code, len(out.splitlines())) == (1, 2)
    assert f"causaliqa: {images[1]} 16,16,8,8: " in err
    # What is wrong with all of them is wrong with the request.
    assert run(*asked[:2], *images, *SMALL[:3], "90,90,8,8", *SMALL[4:], "--out", tmp_path / "out")[0] == 2


def test_many_maps_are_resumed_one_by_one(run, images, net, tmp_path):
    asked = ("cem", f"{net}:smooth", *images, *SMALL, "--out", tmp_path / "out")
    out = run(*asked)[1]
    journals = [tmp_path / "out" / image.stem / "cem.journal" for image in images]
    kept = [journal.read_bytes() for journal in journals]
    journals[1].write_bytes(kept[1][: len(kept[1]) // 2])
    journals[2].unlink()
    assert run(*asked, "--resume")[:2] == (0, out)
    assert [sorted(j.read_bytes().splitlines()) for j in journals] == [sorted(k.splitlines()) for k in kept]
    # Another run's journal is refused for its map alone.
    journals[0].write_bytes(kept[1])
    code, _, err = run(*asked, "--resume")
    assert code == 1
    assert f"{images[0]} 16,16,8,8: resume" in err


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_shards_of_maps_are_all_maps_once(run, images, net, tmp_path, count):
    lines = []
    for number in range(1, count + 1):
        share = ("--shard", f"{number}/{count}", "--out", tmp_path / "out")
        code, out, _ = run("cem", f"{net}:smooth", *images, *SMALL, *share)
        assert code == 0
        lines += out.splitlines()
    assert sorted(line.rpartition("/")[2] for line in lines) == sorted(image.stem for image in images)


def test_images_of_one_name_and_missing_ones_are_refused_before_anything(run, images, net, tmp_path):
    other = tmp_path / "astronaut.jpg"
    Image.fromarray(photo(48)).save(other)
    asked = ("cem", f"{net}:smooth", *images)
    code, _, err = run(*asked, other, *SMALL, "--out", tmp_path / "out")
    assert code == 2
    assert "would both be written to" in err
    code, _, err = run(*asked, tmp_path / "nothing.png", *SMALL, "--out", tmp_path / "out")
    assert code == 2
    assert "nothing.png does not exist" in err
    assert not (tmp_path / "out").exists()
