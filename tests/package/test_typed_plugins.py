"""Plugins type-check under mypy --strict against our specs: what the scaffold writes, and all that come with us."""

import os
import subprocess
import sys

import pytest
from installed import TOOLKIT

import causaliqa
from causaliqa.testing.scaffold import KINDS, new_plugin
from conftest import ROOT

PLUGINS = sorted(path.name for path in (ROOT / "plugins").iterdir() if (path / "setup.cfg").is_file())


def mypy(*paths, config=""):
    # mypy finds installed packages itself, and refuses to be told where they are.
    where = "" if str(TOOLKIT).startswith(sys.prefix) else str(TOOLKIT)
    line = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(config), *map(str, paths)]
    return subprocess.run(line, capture_output=True, text=True, check=False, env={**os.environ, "MYPYPATH": where})


def test_the_package_says_that_it_is_typed():
    assert (TOOLKIT / "causaliqa" / "py.typed").is_file()
    assert causaliqa.MetricSpec.__annotations__["lower_better"] == "bool"


@pytest.mark.slow
@pytest.mark.parametrize("name", PLUGINS)
def test_ours(name):
    folder = ROOT / "plugins" / name
    module = name.replace("-", "_")
    source = folder / module if (folder / module).is_dir() else folder / f"{module}.py"
    done = mypy(source, config=folder / "pyproject.toml")
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_scaffolded(tmp_path):
    packages = [new_plugin(f"my_{kind}", kind, tmp_path) / f"causaliqa_my_{kind}" for kind in KINDS]
    done = mypy(*packages)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_wrong_plugin_is_found(tmp_path):
    package = new_plugin("my_metric", "metric", tmp_path) / "causaliqa_my_metric"
    file = package / "__init__.py"
    file.write_text(file.read_text().replace("lower_better=True", 'lower_better="yes"'))
    done = mypy(package)
    assert done.returncode == 1
    assert 'Argument "lower_better"' in done.stdout
