"""The host under fire: real distributions, built and installed by pip, each broken in its own way."""

import json
import os

import pytest
from installed import TOOLKIT, Installed

pytestmark = pytest.mark.slow

SAMPLER = """
import causaliqa

@causaliqa.hookimpl
def causaliqa_samplers():
    return [causaliqa.SamplerSpec(name="{name}", factory={factory}, summary="-", licence="MIT")]

def build():
    {body}
    import torch
    return lambda n, size, generator: torch.zeros(n, 3, size, size)
"""


def sampler(name="mine", *, top="", body="pass", factory="build"):
    return top + SAMPLER.format(name=name, factory=factory, body=body)


# What is wrong -> source of the plugin, words of the one line on stderr, words of the traceback.
BROKEN = {
    "import error": (
        sampler(top="import no_such_module\n"),
        "No module named 'no_such_module'",
        "import no_such_module",
    ),
    "syntax error": (sampler(top="def :\n"), "SyntaxError", "def :"),
    "hook raises": (
        sampler().replace("    return [", "    raise RuntimeError('out of paper')\n    return ["),
        "out of paper",
        "raise RuntimeError('out of paper')",
    ),
    "wrong record": (sampler().replace("causaliqa.SamplerSpec(", "dict("), "expected SamplerSpec", "_validate"),
    "misspelt hook": (
        sampler().replace("causaliqa_samplers", "causaliqa_sampler"),
        "unknown hook 'causaliqa_sampler'",
        "causaliqa_samplers",
    ),
    "exits": (sampler(top="import sys\nsys.exit(3)\n"), "SystemExit", "sys.exit(3)"),
    "no record at all": (sampler(factory="None"), "factory is None", "_validate"),
    "missing extra": (
        sampler(top="import some_extra_that_is_missing\n"),
        "No module named 'some_extra_that_is_missing'",
        "import some_extra_that_is_missing",
    ),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A good plugin in a folder of its own, to lie beside the broken ones."""
    place = Installed(tmp_path_factory.mktemp("good") / "installed")
    place.distribution("iqa-good", {"iqa_good": sampler("good")}, entry="main = iqa_good")
    return place


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_distribution(tmp_path, good, pair_files, case):
    source, words, trace = BROKEN[case]
    place = Installed(tmp_path / "installed")
    extra = '[project.optional-dependencies]\nfast = ["some-extra-that-is-missing"]' if case == "missing extra" else ""
    place.distribution("iqa-bad", {"iqa_bad": source}, entry="main = iqa_bad", extra=extra)
    both = {"PYTHONPATH": os.pathsep.join(map(str, (place.folder, good.folder, TOOLKIT)))}

    listed = place.command("list", "samplers", "--json", **both)
    names = {row["name"] for row in json.loads(listed.stdout)["items"]}
    assert listed.returncode == 0
    assert {"good", "natural"} <= names
    assert "mine" not in names
    (line,) = listed.stderr.strip().splitlines()
    assert words in line
    assert "plugin 'iqa-bad 0.3' failed to load" in line
    assert "CAUSALIQA_DISABLE_PLUGINS=iqa-bad" in line

    checked = place.command("plugins", "--check", **both)
    assert checked.returncode == 1
    assert "Traceback" in checked.stderr or "Error" in checked.stderr or "Exit" in checked.stderr
    assert trace in checked.stderr
    states = json.loads(place.command("plugins", "--check", "--json", **both).stdout)["plugins"]
    assert [(row["plugin"], row["state"]) for row in states] == [("iqa-bad:main", "failed"), ("iqa-good:main", "ok")]

    strict = place.command("--strict-plugins", "list", "samplers", **both)
    assert strict.returncode == 1
    assert words in strict.stderr
    assert place.command("--strict-plugins", "plugins", "--check", **both).returncode == 1
    blocked = place.command("list", "samplers", CAUSALIQA_DISABLE_PLUGINS="iqa-bad", **both)
    assert (blocked.returncode, blocked.stderr) == (0, "")
    metadata = place.command("plugins", **both)
    assert (metadata.returncode, metadata.stderr) == (0, "")


def test_scores_and_pyiqa_survive_a_broken_distribution(tmp_path, pair_files):
    place = Installed(tmp_path / "installed")
    place.distribution("iqa-bad", {"iqa_bad": BROKEN["hook raises"][0]}, entry="main = iqa_bad")
    done = place.command("score", "psnr", *pair_files, "--device", "cpu")
    assert done.returncode == 0
    assert float(done.stdout) > 0
    assert len(done.stderr.strip().splitlines()) == 1
    quiet = place.command("--no-plugins", "score", "psnr", *pair_files, "--device", "cpu")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    through = place.python("-c", "import pyiqa; print('causal_vgg' in pyiqa.list_models())")
    assert through.stdout.split()[-1] == "True"
    assert through.stderr.count("out of paper") == 1


def test_the_name_of_a_built_in(tmp_path):
    place = Installed(tmp_path / "installed")
    source = sampler("natural").replace("licence=", "reference='thief', licence=")
    place.distribution("iqa-thief", {"iqa_thief": source}, entry="main = iqa_thief")
    listed = place.command("list", "samplers", "natural", "--json")
    assert [row["provider"] for row in json.loads(listed.stdout)["items"]] == ["causaliqa"]
    (line,) = listed.stderr.strip().splitlines()
    assert "built-in names cannot be taken: natural" in line
    checked = place.command("plugins", "--check")
    assert checked.returncode == 1
    assert "conflict" in checked.stdout
    assert place.command("--strict-plugins", "list", "samplers").returncode == 1


def test_two_plugins_with_one_name(tmp_path, pair_files):
    place = Installed(tmp_path / "installed")
    for name in ("iqa-one", "iqa-two"):
        module = name.replace("-", "_")
        place.distribution(name, {module: sampler("same")}, entry=f"{module} = {module}")
    listed = place.command("list", "samplers", "--json")
    assert listed.returncode == 0
    rows = {row["name"]: row for row in json.loads(listed.stdout)["items"]}
    assert rows["same"]["provider"] == "iqa-one 0.3 and iqa-two 0.3"
    (line,) = listed.stderr.strip().splitlines()
    assert "sampler 'same' is claimed by iqa-one 0.3 and iqa-two 0.3" in line
    used = place.command(
        "cem", "tiny_dncnn_50", pair_files[1], "--task", "denoise", "--roi", "8,8,8,8", "--sampler", "same", "--dry-run"
    )
    assert used.returncode == 2
    assert "is claimed by" in used.stderr.strip().splitlines()[-1]
    alone = place.command("list", "samplers", "same", "--json", CAUSALIQA_DISABLE_PLUGINS="iqa-two")
    assert [row["provider"] for row in json.loads(alone.stdout)["items"]] == ["iqa-one 0.3"]
    checked = place.command("plugins", "--check", "--json")
    assert checked.returncode == 1
    assert {row["state"] for row in json.loads(checked.stdout)["plugins"]} == {"conflict"}
    assert place.command("--strict-plugins", "list", "samplers").returncode == 1


def test_one_entry_point_name_in_two_distributions(tmp_path):
    place = Installed(tmp_path / "installed")
    for name in ("iqa-one", "iqa-two"):
        module = name.replace("-", "_")
        place.distribution(name, {module: sampler(module)}, entry=f"main = {module}")
    listed = place.command("list", "samplers", "iqa_*", "--json")
    assert {row["name"] for row in json.loads(listed.stdout)["items"]} == {"iqa_one", "iqa_two"}
    assert listed.stderr == ""
    checked = place.command("--strict-plugins", "plugins", "--check", "--json")
    rows = json.loads(checked.stdout)["plugins"]
    assert checked.returncode == 0
    assert [(row["plugin"], row["state"]) for row in rows] == [("iqa-one:main", "ok"), ("iqa-two:main", "ok")]


USE = "import causaliqa, sys; causaliqa.create_sampler(sys.argv[1])"


def test_a_missing_extra_that_only_a_factory_needs(tmp_path):
    place = Installed(tmp_path / "installed")
    source = sampler(body="import some_extra_that_is_missing")
    place.distribution("iqa-extra", {"iqa_extra": source}, entry="main = iqa_extra")
    listed = place.command("--strict-plugins", "list", "samplers", "mine")
    assert (listed.returncode, listed.stderr) == (0, "")
    line = ["cem", "tiny_dncnn_50", "photo.png", "--task", "denoise", "--roi", "8,8,8,8", "--sampler", "mine"]
    from PIL import Image

    Image.new("RGB", (32, 32)).save(tmp_path / "photo.png")
    used = place.command(*line, "--out", "map", "--device", "cpu")
    assert used.returncode == 1
    last = used.stderr.strip().splitlines()[-1]
    assert "sampler 'mine' of iqa-extra 0.3 could not be built: ModuleNotFoundError" in last
    assert "some_extra_that_is_missing" in last


def test_a_slow_import_is_paid_when_it_is_used(tmp_path):
    """The module leaves a mark instead of taking 30 seconds."""
    place = Installed(tmp_path / "installed")
    mark = tmp_path / "imported"
    modules = {
        "iqa_slow": sampler(factory='causaliqa.lazy("iqa_slow_part:build")'),
        "iqa_slow_part": f"open({str(mark)!r}, 'a').close()\n"
        + "def build():\n    return lambda n, size, generator: None\n",
    }
    place.distribution("iqa-slow", modules, entry="main = iqa_slow")
    for argv in (["--help"], ["plugins"], ["plugins", "--check"], ["list", "samplers"], ["list", "metrics"]):
        assert place.command(*argv).returncode == 0
        assert not mark.exists(), argv
    assert place.python("-c", USE, "noise").returncode == 0
    assert not mark.exists()
    assert place.python("-c", USE, "mine").returncode == 0
    assert mark.exists()


def test_a_slow_plugin_module_costs_nothing_where_no_name_is_looked_up(tmp_path):
    place = Installed(tmp_path / "installed")
    mark = tmp_path / "imported"
    place.distribution(
        "iqa-slow", {"iqa_slow": sampler(top=f"open({str(mark)!r}, 'a').close()\n")}, entry="m = iqa_slow"
    )
    quiet = (["--help"], ["plugins"], ["weights", "path"], ["--no-plugins", "list", "samplers"])
    for argv in quiet:
        assert place.command(*argv).returncode == 0
        assert not mark.exists(), argv
    assert place.command("list", "samplers", CAUSALIQA_DISABLE_PLUGINS="iqa-slow").returncode == 0
    assert not mark.exists()
    assert place.command("list", "samplers").returncode == 0
    assert mark.exists()
