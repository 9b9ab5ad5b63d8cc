"""docs/plugins.md: a heading and a test for every hook, and its examples run as they stand."""

import re

import pytest
from installed import Installed

from causaliqa import testing
from causaliqa.api.hookspecs import HOOKS
from causaliqa.catalog.discovery import EntryPoint
from causaliqa.catalog.host import PluginHost
from conftest import ROOT

TEXT = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_heading_and_a_test(hook):
    assert f"\n### {hook}\n" in TEXT
    section = TEXT.partition(f"\n### {hook}\n")[2].partition("\n### ")[0].partition("\n## ")[0]
    assert HOOKS[hook].__name__ in section
    tests = [p for p in (ROOT / "tests").rglob("test_*.py") if hook in p.read_text(encoding="utf-8")]
    assert len(tests) > 0


def test_headings_name_hooks_that_exist():
    assert set(re.findall(r"^### (causaliqa_\w+)$", TEXT, re.MULTILINE)) == set(HOOKS)


@pytest.mark.parametrize("check", [name for name in testing.__all__ if name.startswith("check_")])
def test_every_check_is_mentioned(check):
    assert check in TEXT


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("source", [b for b in blocks("python") if "hookimpl" in b])
def test_examples_of_hooks_load(source):
    space = {}
    exec(compile(source, "docs/plugins.md", "exec"), space)
    module = type("Module", (), {k: staticmethod(v) for k, v in space.items() if k.startswith("causaliqa_")})
    entry = EntryPoint(distribution="docs", version="1", name="docs", load=lambda: module)
    (status,) = PluginHost(entry_points=lambda: [entry], strict=True).statuses(check=True)
    assert status.state == "ok"
    if "causaliqa_degradations" in space:
        testing.check_degradation(space["causaliqa_degradations"]()[0])


@pytest.mark.slow
def test_ten_minutes(tmp_path):
    """The commands of the page, one after the other, and its change to the metric."""
    examples = re.findall(r"<!-- example -->\n```bash\n(.*?)```", TEXT, re.DOTALL)
    assert len(examples) == 3
    place = Installed(tmp_path / "installed")
    made = place.command("new-plugin", "edge_loss", "--kind", "metric")
    assert "causaliqa new-plugin edge_loss --kind metric" in examples[0]
    assert made.returncode == 0, made.stderr
    package = tmp_path / "causaliqa-edge-loss"
    module = package / "causaliqa_edge_loss" / "__init__.py"
    (change,) = [b for b in blocks("python") if b.startswith("def forward")]
    body = [" " * 8 + line if line else line for line in change.splitlines()]
    text = re.sub(r" {8}def forward.*?\n\n", "\n".join(body) + "\n\n", module.read_text(), flags=re.DOTALL)
    assert "diff(dim=-1)" in text
    module.write_text(text)
    place.install(package)
    listed = place.command("list", "metrics", "edge_loss")
    assert "causaliqa-edge-loss" in listed.stdout, listed.stderr
    done = place.python("-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", package, package / "tests")
    assert done.returncode == 0, done.stdout
