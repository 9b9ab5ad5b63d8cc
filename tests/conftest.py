"""Fixtures shared by all tests: small images, tiny backbones, the research data where it is."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
from contextlib import closing
from importlib.metadata import entry_points
from pathlib import Path

import entrypoints
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


def stored(store):
    """Return the scores in a store that a run may be writing to; none if there is nothing to read yet."""
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
            return {score for (score,) in db.execute("SELECT score FROM scores")}
    except sqlite3.Error:
        return set()


FOREIGN = {
    re.sub(r"[-_.]+", "-", entry.dist.name).lower()
    for entry in entry_points(group="causaliqa.plugins")
    if entry.dist is not None
}
"""Distributions with plugins in the environment of the tests; those that a test makes are not among them."""


_all_entry_points = entrypoints.get_group_all


def _own_entry_points(group, path=None):
    found = _all_entry_points(group, path=path)
    names = [re.sub(r"[-_.]+", "-", entry.distro.name).lower() if entry.distro else "" for entry in found]
    return [entry for entry, name in zip(found, names, strict=True) if path is not None or name not in FOREIGN]


# Here and not in a fixture: some tests are parametrised over the catalogue, which is made at collection.
entrypoints.get_group_all = _own_entry_points


class _Popen(subprocess.Popen):
    """A process that does not load the plugins which happen to be installed."""

    def __init__(self, *args, env=None, **kwargs):
        if FOREIGN:
            env = {"CAUSALIQA_DISABLE_PLUGINS": ",".join(sorted(FOREIGN)), **(os.environ if env is None else env)}
        super().__init__(*args, env=env, **kwargs)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    """No test sees the user's cache, registry or switches."""
    for name in [n for n in os.environ if n.startswith("CAUSALIQA_") and n != "CAUSALIQA_TEST_DATA"]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(subprocess, "Popen", _Popen)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("CAUSALIQA_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")


@pytest.fixture(scope="session")
def data() -> Path:
    """The shared research data; tests that need it carry the marker ``data``."""
    folder = Path(os.environ.get("CAUSALIQA_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "INDEX.md").is_file():
        pytest.skip(f"research data not found in {folder}")
    return folder


@pytest.fixture(scope="session")
def vgg_weights(data) -> Path:
    """Trained VGG16 convolutions."""
    return data / "weights" / "vgg16_features_rgb_imagenet_norm.pth"


def photo(side: int = 64, name: str = "astronaut.png") -> np.ndarray:
    """Return a crop of a photograph that scikit-image ships, uint8."""
    import skimage

    path = Path(skimage.__file__).parent / "data" / name
    image = Image.open(path).convert("RGB").resize((256, 256), Image.Resampling.LANCZOS)
    return np.asarray(image)[60 : 60 + side, 80 : 80 + side]


@pytest.fixture
def pair_files(tmp_path) -> tuple[Path, Path]:
    """A distorted image and its reference as files, 64 x 64."""
    ref = photo()
    noise = np.random.default_rng(0).normal(0, 20, ref.shape)
    paths = tmp_path / "img.png", tmp_path / "ref.png"
    Image.fromarray(np.clip(ref + noise, 0, 255).astype(np.uint8)).save(paths[0])
    Image.fromarray(ref).save(paths[1])
    return paths


@pytest.fixture
def manifest(tmp_path) -> Path:
    """A manifest of eight pairs: noise of rising strength on two references; dmos rises with it."""
    folder = tmp_path / "set"
    folder.mkdir()
    lines = ["ref,dist,dmos,type"]
    rng = np.random.default_rng(1)
    for number, name in enumerate(("astronaut.png", "coffee.png")):
        ref = photo(name=name)
        Image.fromarray(ref).save(folder / f"ref{number}.png")
        for level in range(1, 5):
            dist = np.clip(ref + rng.normal(0, 8 * level, ref.shape), 0, 255).astype(np.uint8)
            Image.fromarray(dist).save(folder / f"d{number}_{level}.png")
            lines.append(f"ref{number}.png,d{number}_{level}.png,{level + 0.1 * number},noise{number}")
    path = folder / "noisy.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def tiny():
    """A backbone of two small random stages, and its record: a metric in milliseconds."""
    import torch
    from torch import nn

    from causaliqa.api.specs import BackboneSpec
    from causaliqa.builtin.backbones._stages import StagedBackbone, freeze

    torch.manual_seed(0)
    stages = [
        nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()),
        nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU()),
    ]
    net = freeze(StagedBackbone(stages, channels=[6, 8], reduction=[1, 2]))

    def spec(**changes):
        facts = {"name": "tiny", "factory": lambda: net, "summary": "tiny", "licence": "Apache-2.0", "mass": "share"}
        return BackboneSpec(**{**facts, **changes})

    return net, spec


EVIL = "a|b_c & 5% $x$ #{~^\\} </script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def evil():
    """A name of a metric that means something in HTML, LaTeX and Markdown."""
    return EVIL


def score_rows(n=24, metrics=("good", EVIL, "=weak"), datasets=("first", "second")):
    """Return rows whose metrics are worse one by one; six references, three types, four levels."""
    import pandas as pd

    rng = np.random.default_rng(5)
    label = np.linspace(1, 9, n)
    parts = []
    for dataset in datasets:
        for k, name in enumerate(metrics):
            parts.append(
                pd.DataFrame(
                    {
                        "dataset": dataset,
                        "metric": name,
                        "ref": [f"r{j % 6}.png" for j in range(n)],
                        "dist": [f"i{j}.png" for j in range(n)],
                        "label": label,
                        "type": [("blur", "<b>noise</b>", "jpeg")[j % 3] for j in range(n)],
                        "level": [str((1, 2, 10)[j % 3]) for j in range(n)],
                        "split": "",
                        "score": label + rng.normal(0, 0.3 + 1.5 * k, n),
                        "error": "",
                        "seconds": 0.25,
                        "label_lower_better": False,
                        "lower_better": False,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="session")
def rows():
    """Scores of three metrics on two data sets."""
    return score_rows()


@pytest.fixture(scope="session")
def table(rows):
    """Their leaderboard."""
    from causaliqa.evaluation.rank import rank

    return rank(rows, draws=200)


@pytest.fixture
def run(capsys):
    """Call the command line; returns exit code, stdout and stderr."""
    from causaliqa.cli import main

    def call(*argv):
        try:
            code = main([str(a) for a in argv])
        except SystemExit as stop:
            code = stop.code
        out = capsys.readouterr()
        return code, out.out, out.err

    return call
