"""The README and the citation file: pictures, links, commands and versions are what they say."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

import causaliqa
from causaliqa.cli import parser

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINKS = sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)", README)))
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines() if line.startswith("causaliqa ")]
PICTURES = sorted((ROOT / "docs/pictures").glob("*.png"))


@pytest.mark.parametrize("link", LINKS)
def test_links_lead_to_files(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("line", LINES)
def test_commands_are_understood(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert callable(parser().parse_args(shlex.split(line)[1:]).run)


def test_every_task_has_its_command():
    assert {line.split()[1] for line in LINES} >= {"leaderboard", "score", "compare", "rd", "cem", "explain", "card"}


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_pictures_are_small_and_shown(path):
    assert f"(docs/pictures/{path.name})" in README
    assert path.stat().st_size <= 120_000
    with Image.open(path) as picture:
        assert 600 <= picture.width <= 1200


def test_captions_name_the_commands_that_make_the_pictures(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    monkeypatch.delitem(sys.modules, "pictures", raising=False)
    from pictures import COMMANDS

    assert sorted(COMMANDS) == [path.stem for path in PICTURES]
    captions = README.replace("\n", " ")
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS.values():
        assert f"`{command}`" in captions
        assert callable(parser().parse_args(shlex.split(command)[1:]).run)


def test_citation_is_of_this_version():
    made = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert made["cff-version"] == "1.2.0"
    assert str(made["version"]) == causaliqa.__version__
    assert made["license"] == "Apache-2.0"
    assert [len(paper["authors"]) for paper in made["references"]] == [7, 8]
