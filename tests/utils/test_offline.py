"""--offline and CAUSALIQA_OFFLINE=1: no connection is tried, and what lacks a file says so at once."""

import http.client
import os
import subprocess
import sys
import urllib.request

import pytest

from causaliqa.utils.offline import enforce

FORBID = """
import socket

def refuse(*args, **kwargs):
    open(%r, "a").write(repr(args) + "\\n")
    raise AssertionError("a socket was opened")

socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse
"""
"""A sitecustomize: every attempt to connect or to look a host up is written down, and fails."""


@pytest.fixture
def cli(tmp_path):
    """Run the command line in a process without sockets; returns exit code, stderr and the attempts."""
    (tmp_path / "site").mkdir()
    attempts = tmp_path / "attempts"
    (tmp_path / "site" / "sitecustomize.py").write_text(FORBID % str(attempts))
    paths = [str(tmp_path / "site"), *(p for p in sys.path if p)]

    def call(*argv, **environment):
        clean = {k: v for k, v in os.environ.items() if "OFFLINE" not in k}
        # No hub of this machine's user may have the files.
        homes = {"HF_HOME": str(tmp_path / "hf"), "TORCH_HOME": str(tmp_path / "torch")}
        done = subprocess.run(
            [sys.executable, "-m", "causaliqa", *map(str, argv)],
            env={**clean, **homes, "PYTHONPATH": os.pathsep.join(paths), **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stderr, attempts.read_text() if attempts.exists() else ""

    return call


def test_the_trap_works(cli):
    code, err, attempts = cli("weights", "fetch", "vgg16-397923af.pth")
    assert code == 1
    assert "a socket was opened" in err
    assert "download.pytorch.org" in attempts


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("causal_vgg", "CAUSALIQA_OFFLINE is set"),
        ("lpips", "CAUSALIQA_OFFLINE is set, so download.pytorch.org is not contacted"),
        ("musiq", "weights of pyiqa's 'musiq' are not here and cannot be downloaded"),
        ("topiq_fr", "weights of pyiqa's 'topiq_fr' are not here and cannot be downloaded"),
    ],
)
@pytest.mark.parametrize("how", ["flag", "environment"])
def test_a_missing_file_is_said_without_a_socket(cli, pair_files, metric, words, how):
    flag, environment = (["--offline"], {}) if how == "flag" else ([], {"CAUSALIQA_OFFLINE": "1"})
    code, err, attempts = cli(*flag, "score", metric, *pair_files, **environment)
    assert attempts == ""
    assert code == 1
    assert words in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_table_needs_no_network(cli, manifest):
    """Weights from pip packages, pyiqa's classical metrics, and one that is not here: a line for each, exit 1."""
    metrics = ("causal_effnet_lite0", "psnr", "ssim", "lpips", "topiq_fr")
    code, err, attempts = cli(
        "--offline", "leaderboard", "--data", manifest, *(f"--metric={m}" for m in metrics), "--limit", "2"
    )
    assert attempts == ""
    assert code == 1
    assert [m for m in metrics if f"causaliqa: {m} failed" in err] == ["lpips", "topiq_fr"]


@pytest.mark.parametrize(
    "line", [["list", "metrics"], ["plugins"], ["weights", "verify"], ["weights", "fetch"], ["data", "list"]]
)
def test_commands_that_look_things_up_open_no_socket(cli, line):
    _, err, attempts = cli("--offline", *line)
    assert attempts == ""
    assert "Traceback" not in err


def test_what_is_on_this_machine_may_be_asked():
    enforce()
    for address in ("http://127.0.0.1:1/x", "http://localhost:1/x"):
        with pytest.raises(OSError, match=r"refused|Cannot assign"):
            urllib.request.urlopen(address, timeout=5)


@pytest.mark.parametrize("host", ["example.org", "192.0.2.1"])
def test_others_are_refused_before_their_name_is_looked_up(monkeypatch, host):
    enforce()
    monkeypatch.setattr("socket.create_connection", lambda *a, **k: pytest.fail("connected"))
    with pytest.raises(OSError, match=f"CAUSALIQA_OFFLINE is set, so {host} is not contacted"):
        http.client.HTTPConnection(host).connect()


def test_the_switch_can_be_taken_back(monkeypatch):
    enforce()
    monkeypatch.delenv("CAUSALIQA_OFFLINE")
    asked = []
    connection = http.client.HTTPConnection("example.org")
    monkeypatch.setattr(connection, "_create_connection", lambda address, *more: asked.append(address))
    with pytest.raises(AttributeError):  # None is no socket
        connection.connect()
    assert asked == [("example.org", 80)]


def test_hubs_that_are_imported_already_are_told(monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    enforce()
    assert constants.HF_HUB_OFFLINE
