"""Functions that read files take text and paths alike."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from causaliqa.api.data import ScoreKey, ScoreRow
from causaliqa.evaluation.recovery import recover
from causaliqa.evaluation.store import ScoreStore
from causaliqa.io.images import image_size, load_image
from causaliqa.io.manifest import read_manifest
from causaliqa.io.score_files import read_scores
from causaliqa.io.weights import load_into, load_state, sha256
from causaliqa.report.merge import is_store, read_rows, read_store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "m.csv").write_text("ref,dist,mos\na.png,a.png,3\n")
    (tmp_path / "s.csv").write_text("dist,mine\na.png,0.5\n")
    (tmp_path / "rows.csv").write_text(
        "dataset,metric,label,score,label_lower_better,lower_better\nd,m,1,0.5,False,True\n"
    )
    torch.save({"weight": torch.ones(1, 1), "bias": torch.zeros(1)}, tmp_path / "w.pth")
    key = ScoreKey(metric="psnr", version="1", dataset="d", img_hash="a", ref_hash="b", protocol="1")
    with ScoreStore(tmp_path / "store.sqlite") as store:
        store.put(key, ScoreRow(dataset="d", metric="psnr", ref="r", dist="i", label=3.0, score=30.5))
    return tmp_path


def test_text_and_paths_give_the_same(folder: Path) -> None:
    def same(function, name):
        one, other = function(str(folder / name)), function(folder / name)
        assert repr(one) == repr(other)
        return one

    assert len(same(read_manifest, "m.csv")) == 1
    assert same(read_scores, "s.csv").metrics == ("mine",)
    assert same(image_size, "a.png") == (9, 8)
    assert same(load_image, "a.png").shape == (1, 3, 8, 9)
    assert len(same(sha256, "w.pth")) == 64
    assert same(load_state, "w.pth").keys() == {"weight", "bias"}
    assert same(is_store, "store.sqlite")
    assert len(same(read_rows, "rows.csv").rows) == 1
    assert len(same(lambda path: read_store(path, {}), "store.sqlite").rows) == 1
    layer = torch.nn.Linear(1, 1)
    load_into(layer, str(folder / "w.pth"))
    assert float(layer.weight.detach()) == 1
    assert recover(str(folder / "store.sqlite"), str(folder / "new.sqlite")).scores == 1
