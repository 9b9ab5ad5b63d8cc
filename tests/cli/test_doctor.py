"""What is broken is found and named, whatever it is; what is optional is no fault."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from causaliqa.interop.files import PyiqaFiles, pyiqa_files
from causaliqa.interop.hooks import causaliqa_metrics
from causaliqa.report import doctor_checks as checks

PLUGIN = """
    import causaliqa
    from causaliqa import BackboneSpec, WeightsEntry

    @causaliqa.hookimpl
    def causaliqa_backbones():
        entry = WeightsEntry(file="theirs.pth", licence="MIT", url="https://example.org/theirs.pth")
        yield BackboneSpec(name="theirs", factory=dict, summary="theirs", licence="MIT", weights=entry)
"""


def write_package(folder: Path, name: str, code: str, version: str = "1.0") -> None:
    (folder / f"{name}.py").write_text(textwrap.dedent(code))
    facts = folder / f"{name}-{version}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def make_plugin(folder: Path, name: str, code: str) -> None:
    write_package(folder, name, code)
    (folder / f"{name}-1.0.dist-info" / "entry_points.txt").write_text(f"[causaliqa.plugins]\n{name} = {name}\n")


def doctor_process(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    line = [sys.executable, "-m", "causaliqa", *argv]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(line, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def quiet(monkeypatch):
    """No probes, which take seconds."""
    monkeypatch.setattr(checks, "probed", lambda: iter([checks.Check(name="torch", state="ok", told="2")]))
    monkeypatch.setattr(checks, "packages", lambda: iter([checks.Check(name="numpy", state="ok", told="2")]))


def needs(run, *argv) -> dict[tuple[str, str], str]:
    code, out, err = run("doctor", "--json", *argv)
    assert code in (0, 1), err
    return {(need["name"], need["file"]): need["state"] for need in json.loads(out)["needs"]}


def test_downloads_of_a_command_are_listed(run, quiet, tmp_path, monkeypatch):
    metrics = ["psnr", "causal_effnet_lite0", "causal_vgg:terms=md", f"causal_resnet:weights={tmp_path}/x.pth", "lpips"]
    line = ["leaderboard", "--data", "x.csv", *[word for m in metrics for word in ("--metric", m)]]
    expected = {
        ("psnr", ""): "none",
        ("causal_effnet_lite0", "efficientnet-lite0-57934424.pth"): "here",
        ("causal_vgg", "vgg16-397923af.pth"): "missing",
        ("causal_resnet", f"{tmp_path}/x.pth"): "missing",
        ("lpips", "LPIPS_v0.1_alex-df73285e.pth"): "missing",
        ("lpips", "alexnet of torchvision"): "missing",
    }
    assert needs(run, *line) == expected
    (tmp_path / "vgg16-397923af.pth").write_text("cut off")
    monkeypatch.setenv("CAUSALIQA_WEIGHTS", str(tmp_path))
    hub = tmp_path / "hub" / "hub"
    (hub / "pyiqa").mkdir(parents=True)
    (hub / "pyiqa" / "LPIPS_v0.1_alex-df73285e.pth").write_text("x")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    changed = {
        ("causal_vgg", "vgg16-397923af.pth"): "damaged",
        ("lpips", "LPIPS_v0.1_alex-df73285e.pth"): "here",
    }
    assert needs(run, *line) == {**expected, **changed}
    assert run("doctor", *line)[0] == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cem tiny_edsr_x4 x.png --task sr --roi 0,0,8,8", {("tiny_edsr_x4", ""): "none"}),
        ("score psnr a b", {("psnr", ""): "none"}),
        ("list metrics", {}),
    ],
)
def test_every_command_can_be_asked_about(run, quiet, line, expected):
    assert needs(run, *line.split()) == expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("score psn a b", "unknown metric 'psn'"),
        ("scor", "invalid choice: 'scor'"),
        ("score psnr", "required: IMG"),
    ],
)
def test_a_misspelt_command_is_bad_input(run, quiet, line, words):
    code, out, err = run("doctor", *line.split())
    assert (code, out) == (2, "")
    assert words in err


def test_a_wrong_registry_is_a_finding(run, quiet, tmp_path):
    registry = tmp_path / "registry.yaml"
    registry.write_text("weights: 3\n")
    code, out, _ = run("--registry", registry, "doctor")
    assert code == 1
    assert "BROKEN" in out
    assert "weights: got int, expected a mapping" in out
    registry.write_text("presets: {mine: {metrics: [psnr, nonsense]}}\n")
    code, out, _ = run("--registry", registry, "doctor")
    assert code == 1
    assert "preset 'mine': unknown metric 'nonsense'" in out


def test_a_report_names_nobody(run, quiet, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(getpass, "getuser", lambda: "miller")
    monkeypatch.setenv("CAUSALIQA_WEIGHTS", "/data/miller/weights")
    code, out, _ = run("doctor", "--out", tmp_path / "report.md")
    assert (code, out) == (0, "")
    text = (tmp_path / "report.md").read_text()
    assert "~/.cache/causaliqa" in text
    assert "/data/~/weights" in text
    assert "miller" not in text
    assert str(tmp_path / "home") not in text


@pytest.mark.parametrize(
    ("text", "expected"), [("/home/ann/x and anna ann", "~/x and anna ~"), ("joanne ann-marie", "joanne ann-marie")]
)
def test_only_the_name_itself_is_replaced(monkeypatch, text, expected):
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setattr(getpass, "getuser", lambda: "ann")
    assert checks.anonymous(text) == expected


def test_packages_that_lack_or_are_too_old_are_broken(monkeypatch):
    wanted = ["numpy>=1", "no-such-thing>=2", "pillow>=999", 'extra>=1; extra == "x"', "pytest<1"]
    monkeypatch.setattr(checks, "requires", lambda name: wanted)
    found = {check.name: check for check in checks.packages()}
    states = {name: check.state for name, check in found.items() if name != "causaliqa"}
    assert states == {"numpy": "ok", "no-such-thing": "broken", "pillow": "broken", "pytest": "broken"}
    assert "pip install 'pillow>=999'" in found["pillow"].told


def test_every_metric_of_pyiqa_can_be_asked_about():
    told = {spec.name: pyiqa_files(spec.name) for spec in causaliqa_metrics()}
    assert len(told) > 60
    assert told["ssim"] == PyiqaFiles()
    assert told["dists"] == PyiqaFiles(files=("DISTS_weights-f5e65c96.pth",), backbones=("vgg16",))
    assert told["clipscore"].more
    assert told["deepdc"].backbones == ("vgg19",)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "raise RuntimeError('operator torchvision::nms does not exist')",
            "operator torchvision::nms does not",
        ),
        ("import os; os.abort()", "its process ended with code -6"),
    ],
)
def test_what_breaks_at_import_is_told_and_not_fatal(tmp_path, code, told):
    (tmp_path / "torchvision.py").write_text(code)
    (tmp_path / "basicsr.py").write_text("raise ImportError('half installed')")
    make_plugin(tmp_path, "broken_plugin", "import no_such_module")
    done = doctor_process(tmp_path, "doctor", "--json")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    tried = {check["name"]: check for check in document["tried"]}
    assert tried["torch"]["state"] == "ok"
    assert tried["torchvision"]["state"] == tried["basicsr"]["state"] == "broken"
    assert told in tried["torchvision"]["told"]
    (plugin,) = (p for p in document["plugins"] if p["name"].startswith("broken"))
    assert plugin["state"] == "broken"
    assert "No module named 'no_such_module'" in plugin["told"]


@pytest.mark.slow
def test_a_sound_installation_has_nothing_broken_and_pyiqa_knows_us_in_both_orders(tmp_path):
    done = doctor_process(tmp_path, "doctor", "--json")
    tried = {check["name"]: check for check in json.loads(done.stdout)["tried"]}
    for name in ("torch", "torchvision", "numba", "pyiqa first", "pyiqa after torch"):
        assert tried[name]["state"] == "ok", tried[name]
    assert tried["basicsr"]["state"] in ("ok", "missing")
    assert "causal metrics" in tried["pyiqa first"]["told"]


def test_weights_of_plugins_are_listed(tmp_path):
    make_plugin(tmp_path, "their_plugin", PLUGIN)
    done = doctor_process(tmp_path, "weights", "list")
    assert done.returncode == 0, done.stderr
    assert "theirs.pth" in done.stdout
    done = doctor_process(tmp_path, "weights", "verify", "theirs.pth")
    assert done.returncode == 1


OLD = "import sys, runpy; sys.version_info = (3, 8, 18); sys.argv = {argv}; {then}"


@pytest.mark.parametrize(
    ("argv", "then", "code", "lines"),
    [(["-m"], "runpy.run_module('causaliqa')", 2, 1), (["x.py"], "import causaliqa", 1, 5)],
)
def test_an_old_python_is_told_so(argv, then, code, lines):
    """The real ones are tried by hand: 3.7, 3.8 and 3.9 say this line."""
    line = [sys.executable, "-c", OLD.format(argv=argv, then=then)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert "causaliqa needs Python 3.10 or newer, got " in done.stderr.splitlines()[-1]
    assert len(done.stderr.splitlines()) <= lines


def test_strict_plugins_are_a_finding_too(tmp_path, run, quiet, monkeypatch):
    make_plugin(tmp_path, "broken_plugin", "import no_such_module")
    monkeypatch.syspath_prepend(str(tmp_path))
    for option in ([], ["--strict-plugins"]):
        code, out, _ = run(*option, "doctor")
        assert code == 1
        assert "BROKEN" in out
        assert "no_such_module" in out
