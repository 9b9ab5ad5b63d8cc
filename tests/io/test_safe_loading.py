"""Safe loading: what a file of weights could do, and does not."""

import ast
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from causaliqa.api.errors import WeightsError
from causaliqa.io.weights import cache_folder, load_state

ROOT = Path(__file__).parents[2]


class _Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


def bomb(kind: str) -> bytes:
    """A file that creates ``exploded`` when it is unpickled."""
    buffer = io.BytesIO()
    if kind == "pickle":
        return pickle.dumps(_Bomb(), protocol=2)
    if kind == "numpy":
        np.save(buffer, np.array([_Bomb()], dtype=object), allow_pickle=True)
    elif kind == "tar":
        # What torch read before 0.1.10, and what it executes before 2.6.
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name in ("storages", "tensors", "pickle"):
                data = pickle.dumps(_Bomb(), protocol=2)
                facts = tarfile.TarInfo(name)
                facts.size = len(data)
                archive.addfile(facts, io.BytesIO(data))
    else:
        torch.save({"a": _Bomb()}, buffer, _use_new_zipfile_serialization=kind == "zip")
    return buffer.getvalue()


BOMBS = ("pickle", "zip", "legacy", "tar", "numpy")


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".safetensors"])
@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_bomb_is_refused_and_not_executed(tmp_path, monkeypatch, kind, suffix):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"bomb{suffix}"
    path.write_bytes(bomb(kind))
    with pytest.raises(WeightsError, match=r"bomb.* cannot be loaded: .*; expected a state dict") as caught:
        load_state(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bomb("zip"), r"it would call \w*io\.open, nothing was executed"),
        (b"no file of torch's", "no torch checkpoint"),
    ],
)
def test_the_message_does_not_advise_to_execute_the_file(tmp_path, content, words):
    (tmp_path / "n.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=words) as caught:
        load_state(tmp_path / "n.pth")
    assert "weights_only" not in str(caught.value)


def test_the_bombs_are_real(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.load(io.BytesIO(bomb("zip")), weights_only=False)
    assert (tmp_path / "exploded").exists()


@pytest.mark.parametrize("where", ["weights", "cache", "checkpoint", "pyiqa"])
def test_a_bomb_reaches_no_network_from_the_command_line(tmp_path, monkeypatch, run, pair_files, where):
    """As weights= of a metric, as the file in the cache, as a checkpoint, as a file of pyiqa's."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bomb.pth"
    path.write_bytes(bomb("zip"))
    if where == "cache":
        cache_folder().mkdir(parents=True)
        path = path.rename(cache_folder() / "mine.pth")
        (tmp_path / "registry.yaml").write_text(
            "weights:\n  mine.pth: {licence: MIT}\n"
            "backbones:\n  mine: {timm: tf_efficientnet_lite0, weights: mine.pth, licence: MIT}\n"
        )
    line = {
        "weights": ["score", f"causal_vgg:weights={path}", *pair_files],
        "cache": ["score", "causal_mine", *pair_files],
        "checkpoint": [
            *("cem", "tiny_dncnn_50", pair_files[0], "--task", "denoise", "--roi", "8,8,8,8"),
            *("--checkpoint", path, "--out", tmp_path / "map"),
        ],
        "pyiqa": ["score", f"brisque:pretrained_model_path={path}", *pair_files],
    }[where]
    code, out, err = run(*line, "--device", "cpu")
    assert (code, out) == (1 if where == "cache" else 2, "")
    assert [line for line in err.splitlines() if line.startswith("causaliqa: error: weights")], err
    assert "Traceback" not in err
    assert not (tmp_path / "exploded").exists()


def test_only_what_the_user_trusts_is_unpickled_for_pyiqa(tmp_path, monkeypatch, run, pair_files):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bomb.pth").write_bytes(bomb("zip"))
    monkeypatch.setenv("CAUSALIQA_TRUST_PYIQA", "1")
    run("score", "brisque:pretrained_model_path=bomb.pth", *pair_files)
    assert (tmp_path / "exploded").exists()


def test_every_load_in_the_code_says_that_it_executes_nothing():
    """torch.load with weights_only=True, numpy's load without pickles, YAML's safe loader, and no pickle at all."""
    wrong, seen = [], 0
    files = [p for part in ("toolkit", "plugins", "benchmarks") for p in (ROOT / part).rglob("*.py")]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            call, told = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            seen += call.endswith(".load")
            bad = (
                (call == "torch.load" and told.get("weights_only") != "True")
                or (call == "np.load" and told.get("allow_pickle", "False") != "False")
                or call in ("yaml.load", "yaml.unsafe_load", "yaml.full_load", "eval", "exec", "torch.hub.load")
                or (
                    call.split(".")[0] in ("pickle", "joblib", "dill", "marshal", "shelve")
                    and call.endswith(("load", "loads", "open", "Unpickler"))
                )
            )
            if bad and "tests" not in path.parts:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {call}")
    assert wrong == []
    assert seen > 3
