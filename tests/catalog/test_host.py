"""The plugin host against good, broken, blocked and conflicting plugins."""

import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from causaliqa.api.errors import AmbiguousNameError, PluginError
from causaliqa.api.hookspecs import HOOKS, hookimpl
from causaliqa.api.specs import (
    BackboneSpec,
    DatasetSpec,
    DegradationSpec,
    MetricSpec,
    RestorerSpec,
    SamplerSpec,
)
from causaliqa.catalog.discovery import EntryPoint, discover
from causaliqa.catalog.host import PluginHost


def spec(name, **changes):
    facts = {"name": name, "factory": dict, "summary": "a metric", "licence": "MIT", "lower_better": True}
    return MetricSpec(**{**facts, **changes})


def plugin(*records, hook="causaliqa_metrics"):
    def implementation():
        return list(records)

    implementation.__name__ = hook
    module = types.ModuleType("plugin")
    setattr(module, hook, hookimpl(implementation))
    return module


def entry(dist, made, name="main", version="1.0"):
    def load():
        if isinstance(made, BaseException):
            raise made
        return made

    return EntryPoint(distribution=dist, version=version, name=name, load=load)


def host(*entries, **options):
    lines = []
    made = PluginHost(entry_points=lambda: list(entries), report=lines.append, **options)
    return made, lines


def test_a_good_plugin_is_taken():
    made, lines = host(entry("iqa-good", plugin(spec("good"))))
    assert made.registrations(MetricSpec)["good"].provider == "iqa-good 1.0"
    assert not lines
    (status,) = made.statuses(check=True)
    assert (status.state, status.names) == ("ok", ("metrics/good",))


RECORDS = {
    "causaliqa_metrics": spec("x"),
    "causaliqa_backbones": BackboneSpec(name="x", factory=dict, summary="-", licence="MIT"),
    "causaliqa_restorers": RestorerSpec(name="x", factory=dict, summary="-", licence="MIT", scale=4),
    "causaliqa_samplers": SamplerSpec(name="x", factory=dict, summary="-", licence="MIT"),
    "causaliqa_degradations": DegradationSpec(name="x", factory=dict, summary="-", licence="MIT"),
    "causaliqa_datasets": DatasetSpec(name="x", factory=dict, summary="-", licence="MIT"),
}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_carries_its_record(hook):
    record = RECORDS[hook]
    made, lines = host(entry("p", plugin(record, hook=hook)))
    assert made.registrations(HOOKS[hook])["x"].spec is record
    assert not lines


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_refuses_other_records(hook):
    wrong = RECORDS["causaliqa_samplers" if hook != "causaliqa_samplers" else "causaliqa_metrics"]
    made, lines = host(entry("p", plugin(wrong, hook=hook)))
    assert made.failed()
    assert HOOKS[hook].__name__ in lines[0]


def raising():
    raise RuntimeError("boom")


class _Wrapper:
    @hookimpl(wrapper=True)
    def causaliqa_metrics(self):
        return (yield)


class _Argument:
    @hookimpl
    def causaliqa_metrics(self, config):
        return []


class _Half:
    """Yields a good record, then raises: none may stay."""

    @hookimpl
    def causaliqa_metrics(self):
        yield spec("half")
        raise RuntimeError("boom")


BROKEN = {
    "import error": (ImportError("no module named 'x'"), "no module named 'x'"),
    "syntax error": (SyntaxError("invalid syntax"), "invalid syntax"),
    "exits": (SystemExit(3), "SystemExit"),
    "raises in hook": (plugin(hook="causaliqa_metrics") and _Half(), "boom"),
    "wrong record": (plugin({"name": "x"}), "dict"),
    "a string": (plugin(), None),
    "misspelt hook": (plugin(spec("y"), hook="causaliqa_metric"), "unknown hook 'causaliqa_metric'"),
    "argument": (_Argument(), "config"),
    "wrapper": (_Wrapper(), "wrapper"),
    "no hook": (types.ModuleType("empty"), "no hook"),
    "twice": (plugin(spec("y"), spec("y")), "twice"),
    "bad name": (plugin(spec("my metric")), "my metric"),
    "pyiqa's fid": (plugin(spec("confidence_fidelity")), "fid"),
    "no factory": (plugin(spec("y", factory=None)), "factory"),
    "no licence": (plugin(spec("y", licence=" ")), "licence"),
}
BROKEN.pop("a string")


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_costs_one_line(case):
    broken, words = BROKEN[case]
    made, lines = host(
        entry("a-good", plugin(spec("first"))), entry("b-broken", broken), entry("c-good", plugin(spec("last")))
    )
    names = set(made.registrations(MetricSpec))
    assert {"first", "last", "causal"} <= names
    assert not {"y", "half", "x"} & names
    assert len(lines) == 1
    assert words in lines[0]
    assert "b-broken 1.0" in lines[0]
    assert "CAUSALIQA_DISABLE_PLUGINS=b-broken" in lines[0]
    (status,) = made.failed()
    assert status.error in lines[0]
    assert "Traceback" in status.trace or "Error" in status.trace or "Exit" in status.trace


def test_strict_makes_a_failure_fatal():
    made, _ = host(entry("b", RuntimeError("boom")), strict=True)
    with pytest.raises(PluginError, match="boom"):
        made.registrations(MetricSpec)


@pytest.mark.parametrize("disabled", [["iqa-bad"], ["IQA_Bad"], ["main"], ["iqa-bad:main"], ["*"]])
def test_blocking_happens_before_import(disabled):
    made, lines = host(entry("iqa-bad", AssertionError("imported")), disabled=disabled)
    assert "causal" in made.registrations(MetricSpec)
    assert [s.state for s in made.statuses()] == ["blocked"]
    assert not lines


def test_an_unknown_name_to_disable_is_said():
    made, lines = host(disabled=["nobody"])
    made.registrations(MetricSpec)
    assert lines == ["no plugin is called 'nobody', so it cannot be disabled"]


def test_a_built_in_name_cannot_be_taken():
    made, lines = host(entry("thief", plugin(spec("psnr"), spec("own"))))
    assert made.registrations(MetricSpec)["psnr"].provider == "pyiqa"
    assert made.registrations(MetricSpec)["own"].provider == "thief 1.0"
    assert made.statuses(check=True)[0].state == "conflict"
    assert "psnr" in lines[0]


def test_a_name_claimed_twice_is_ambiguous():
    made, lines = host(entry("one", plugin(spec("same"), spec("one"))), entry("two", plugin(spec("same"), spec("two"))))
    assert {"one", "two"} <= set(made.registrations(MetricSpec))
    assert len(lines) == 1
    assert "metric 'same' is claimed by one 1.0 and two 1.0" in lines[0]
    assert [s.state for s in made.statuses()] == ["conflict", "conflict"]
    assert "same" not in made.registrations(MetricSpec)
    assert [r.provider for r in made.ambiguous(MetricSpec)["same"]] == ["one 1.0", "two 1.0"]
    with pytest.raises(AmbiguousNameError, match=r"one 1\.0 and two 1\.0"):
        made.check_ambiguous(MetricSpec, "same")


def test_strict_makes_an_ambiguous_name_fatal():
    made, _ = host(entry("one", plugin(spec("same"))), entry("two", plugin(spec("same"))), strict=True)
    with pytest.raises(PluginError, match="claimed by"):
        made.registrations(MetricSpec)


def test_one_entry_point_name_in_two_distributions():
    made, lines = host(entry("one", plugin(spec("a"))), entry("two", plugin(spec("b"))))
    assert {"a", "b"} <= set(made.registrations(MetricSpec))
    assert not lines


def test_statuses_read_metadata_only():
    made, lines = host(entry("bad", AssertionError("imported")))
    assert [s.state for s in made.statuses()] == ["found"]
    assert not lines


def test_unreadable_metadata_are_one_line_and_built_ins_work():
    def broken():
        raise PluginError("plugins cannot be discovered")

    lines = []
    made = PluginHost(entry_points=broken, report=lines.append)
    assert "causal" in made.registrations(MetricSpec)
    assert lines == ["plugins cannot be discovered"]


def _distribution(folder, name, text):
    info = folder / f"{name}-0.3.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(text)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.3\n")


def test_discovery_of_real_metadata(tmp_path, monkeypatch):
    _distribution(tmp_path, "zeta_iqa", "[causaliqa.plugins]\nmain = zeta_module\n")
    _distribution(
        tmp_path, "alpha_iqa", "[causaliqa.plugins]\nb = alpha_module\na = alpha_module:thing\n[other]\nc = d\n"
    )
    (tmp_path / "zeta_module.py").write_text("LOADED = True\n")
    found = discover([str(tmp_path)])
    assert [e.canonical for e in found] == ["alpha-iqa:a", "alpha-iqa:b", "zeta-iqa:main"]
    assert found[0].version == "0.3"
    assert "zeta_module" not in sys.modules
    monkeypatch.syspath_prepend(str(tmp_path))
    assert found[2].load().LOADED


def test_malformed_metadata_say_so(tmp_path):
    _distribution(tmp_path, "bad", "this is no ini file\n")
    with pytest.raises(PluginError, match="malformed"):
        discover([str(tmp_path)])


def test_the_suite_sees_no_plugin_of_the_environment(tmp_path):
    """A stranger's plugin that is installed is not listed in a test, nor in a process that a test starts."""
    (tmp_path / "stranger_plugin.py").write_text("raise RuntimeError('imported')\n")
    info = tmp_path / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[causaliqa.plugins]\nstranger = stranger_plugin\n")
    shutil.copyfile(Path(__file__).parents[1] / "conftest.py", tmp_path / "conftest.py")
    inner = tmp_path / "test_inner.py"
    inner.write_text(
        "import subprocess, sys\n"
        "from causaliqa.catalog.host import discover\n"
        "def test_it():\n"
        "    assert 'stranger' not in [entry.distribution for entry in discover()]\n"
        "    line = [sys.executable, '-m', 'causaliqa', 'plugins', '--check']\n"
        "    assert subprocess.run(line, capture_output=True).returncode == 0\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(inner)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout
