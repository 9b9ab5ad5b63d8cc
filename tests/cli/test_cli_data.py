"""``causaliqa data``: every kind of damage to every archive gives a clear line and exit 1."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from archives import BUILD, LABEL_FILE, SIZE, swap, tid

from causaliqa.builtin.hooks import causaliqa_datasets

SPECS = {spec.name: spec for spec in causaliqa_datasets()}
SIX = ("live", "csiq", "tid2008", "tid2013", "kadid10k", "pipal")


def _some(name: str, root: Path) -> Path:
    return SPECS[name].factory(root, **SIZE[name]).pairs[3].dist


def _remove(name: str, root: Path) -> str:
    path = _some(name, root)
    path.unlink()
    return path.name


def _add(name: str, root: Path) -> str:
    path = _some(name, root)
    shutil.copy(path, path.with_name("stray" + path.suffix))
    return "stray"


def _break_labels(name: str, root: Path) -> str:
    (root / LABEL_FILE[name]).write_bytes(b"\xff\xfenonsense")
    return Path(LABEL_FILE[name]).name


DAMAGE = {
    "missing": (_remove, "missing", "image is missing"),
    "extra": (_add, "extra", "image has no label"),
    "count": (lambda name, root: "expected", "count", "the label files name"),
    "swapped": (lambda name, root: swap(name, root) or "", "label", "column"),
    "unreadable": (_break_labels, "label", "label file"),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
@pytest.mark.parametrize("name", SIX)
def test_damage_is_told(run, tmp_path, name, damage):
    """The small archives lack most images, which is the wrong count; the damage is told beside it."""
    root = tmp_path / "archive"
    root.mkdir()
    BUILD[name](root)
    how, kind, words = DAMAGE[damage]
    file = how(name, root)
    code, out, _ = run("data", "verify", f"{name}={root}", "--json")
    document = json.loads(out)
    assert (code, document["ok"], document["dataset"]) == (1, False, name)
    lines = [f["message"] for f in document["findings"] if f["kind"] == kind and not f["harmless"]]
    assert any(words in line and file.lower() in line.lower() for line in lines)
    code, out, _ = run("data", "verify", f"{name}={root}")
    assert code == 1
    assert all(f"  {kind}: {line}\n" in out for line in lines)
    assert SPECS[name].source in out.splitlines()[-1]


def test_a_whole_archive_passes_and_case_is_a_note(run, tmp_path):
    tid(17, 4, references=25)(tmp_path)
    code, out, _ = run("data", "verify", f"tid2008={tmp_path}", "--deep")
    assert code == 0
    assert out.splitlines()[0] == f"tid2008 in {tmp_path}: expected 1,700 images of 25 references"
    assert "  note: 450 names differ in case: " in out
    assert out.splitlines()[-1] == "nothing is wrong"
    (tmp_path / "distorted_images" / "i03_02_1.bmp").write_bytes(b"")
    code, out, _ = run("data", "verify", f"tid2008={tmp_path}")
    assert code == 1
    assert "  empty: 1 image is empty (0 bytes): " in out
    assert out.splitlines()[-1].startswith("1 problem; ")


def test_changed_files_are_told_where_their_hash_is_known(run, tmp_path):
    from causaliqa.io.weights import sha256

    root, registry = tmp_path / "archive", tmp_path / "mine.yaml"
    root.mkdir()
    BUILD["kadid10k"](root)
    for digest, kinds in ((sha256(root / "dmos.csv"), ["count"] * 2), ("0" * 64, ["count"] * 2 + ["changed"])):
        registry.write_text(f"datasets:\n  kadid10k:\n    files:\n      dmos.csv: '{digest}'\n      none.txt: '12'\n")
        code, out, _ = run("--registry", registry, "data", "verify", f"kadid10k={root}", "--json")
        assert (code, [finding["kind"] for finding in json.loads(out)["findings"]]) == (1, kinds)
    assert "dmos.csv is not the file that is known: got sha256" in out


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (None, "got None, expected NAME=ROOT"),
        ("tid2013", "got 'tid2013', expected NAME=ROOT"),
        ("tid2013=/nowhere", "/nowhere is no folder"),
        ("tid2031=/", "unknown data set 'tid2031'. Did you mean"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(run, item, words):
    code, out, err = run("data", "verify", *([item] if item else []))
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_list(run):
    code, out, _ = run("data", "list", "--json")
    assert code == 0
    items = {item["name"]: item for item in json.loads(out)["items"]}
    assert set(items) >= {*SIX, "pipal_val", "pipal_trainval"}
    assert {name for name, item in items.items() if item["good"] == "low"} == {"live", "csiq"}
    kadid = items["kadid10k"]
    assert (kadid["images"], kadid["references"], kadid["label"], kadid["good"]) == (10125, 81, "dmos", "high")
    assert all(item["source"].startswith("https://") and item["licence"] for item in items.values())
    code, out, _ = run("data", "list")
    assert code == 0
    assert all(name in out for name in items)
