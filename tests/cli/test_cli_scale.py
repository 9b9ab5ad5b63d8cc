"""Real workers: local processes and a Dask cluster on loopback, killed while they work; nothing finished is lost."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from causaliqa.io.images import load_image
from conftest import photo, stored

pytestmark = pytest.mark.slow

LOGGING = """
    import os, signal, time
    import causaliqa

    @causaliqa.hookimpl
    def causaliqa_metrics():
        facts = {"summary": "writes down what it does", "licence": "MIT", "lower_better": True}
        return [causaliqa.MetricSpec(name="logging", factory=build, **facts)]

    def note(what):
        with open(os.environ["SCALE_LOG"], "a") as log:
            log.write(f"{os.getpid()} {what}\\n")

    def build(*, wait=0.0, deadly=-1.0):
        import torch

        class Logging(torch.nn.Module):
            def forward(self, img, ref):
                score = (img - ref).square().mean((1, 2, 3))
                if abs(float(score) - deadly) < 1e-9:
                    os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(wait)
                while os.path.exists(os.environ["SCALE_LOG"] + ".hold"):
                    time.sleep(0.02)
                note(f"score {float(score):.17g}")
                return score

        note("build")
        return Logging()
"""
REFS, LEVELS = 4, 12


@pytest.fixture
def wide(tmp_path):
    """48 pairs in 8 units."""
    folder = tmp_path / "wide"
    folder.mkdir()
    rng = np.random.default_rng(2)
    lines = ["ref,dist,dmos,type"]
    for number, name in enumerate(("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")):
        ref = photo(48, name=name)
        Image.fromarray(ref).save(folder / f"r{number}.png")
        for level in range(1, LEVELS + 1):
            dist = np.clip(ref + rng.normal(0, 4 * level, ref.shape), 0, 255).astype(np.uint8)
            Image.fromarray(dist).save(folder / f"d{number}_{level}.png")
            lines.append(f"r{number}.png,d{number}_{level}.png,{level + 0.1 * number},{'ab'[level % 2]}")
    order = rng.permutation(len(lines) - 1) + 1
    path = folder / "wide.csv"
    path.write_text("\n".join([lines[0], *(lines[k] for k in order)]) + "\n")
    return path


@pytest.fixture
def log(tmp_path, monkeypatch):
    """An installed plugin with a metric that writes down what it builds and computes."""
    site = tmp_path / "site"
    info = site / "logging_metric-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "logging_metric.py").write_text(textwrap.dedent(LOGGING))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: logging-metric\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[causaliqa.plugins]\nlogging = logging_metric\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, sys.path)]))
    monkeypatch.setenv("SCALE_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path / "log"


def command(*argv):
    return [sys.executable, "-m", "causaliqa", *map(str, argv)]


def board(*argv, code=0):
    """Return table and messages of a leaderboard."""
    line = command("leaderboard", "--device", "cpu", "--format", "csv", *argv)
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def read(log):
    """Return the workers that built, and the scores that were computed, in order."""
    lines = [line.split() for line in log.read_text().splitlines()]
    return [line[0] for line in lines if line[1] == "build"], [float(line[2]) for line in lines if line[1] == "score"]


def wait_for(ready, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not (found := ready()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)
    return found


def workers_of(log):
    return sorted(set(read(log)[0])) if log.is_file() else []


@pytest.fixture
def whole(wide, log):
    """The table of one process."""
    table, _ = board("--data", wide, "--metric", "logging", "--by", "type")
    assert len(read(log)[1]) == REFS * LEVELS
    log.unlink()
    return table


def test_three_jobs_give_the_table_of_one_and_load_a_metric_once(wide, log, whole, tmp_path):
    asked = ("--data", wide, "--metric", "logging", "--by", "type", "--jobs", 3)
    store = ("--store", tmp_path / "s.sqlite")
    assert board(*asked, *store)[0] == whole
    built, computed = read(log)
    # One is built by this process, for its facts.
    assert 2 <= len(built) == len(set(built)) <= 4
    assert len(computed) == len(set(computed)) == REFS * LEVELS
    assert board(*asked, *store)[0] == whole
    assert read(log)[1] == computed
    # Shards and jobs go together.
    shards = [tmp_path / f"{k}-of-2.sqlite" for k in (1, 2)]
    for k in (1, 2):
        board(*asked, "--shard", f"{k}/2", "--store", tmp_path / "{shard}.sqlite")
    log.unlink()
    assert board(*asked, "--merge", *shards)[0] == whole
    assert read(log)[1] == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_worker_and_goes_on(wide, log, tmp_path, how):
    store = tmp_path / "s.sqlite"
    asked = ("leaderboard", "--data", wide, "--metric", "logging:wait=0.1", "--device", "cpu", "--format", "csv")
    line = command(*asked, "--jobs", 2, "--store", store)
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(stored(store)) >= 8, process)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGKILL: -signal.SIGKILL}[how]
    assert "Traceback" not in err
    kept = stored(store)
    time.sleep(1)
    before = len(read(log)[1])
    time.sleep(1)
    assert len(read(log)[1]) == before  # nobody works any more
    assert 8 <= len(kept) < REFS * LEVELS
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    log_after = read(log)[1]
    assert all(log_after.count(score) == 1 for score in kept)
    # What two workers had under way was lost with them.
    assert len(log_after) <= REFS * LEVELS + 2 * 8
    assert set(log_after) == stored(store)
    assert f",{REFS * LEVELS},0," in done.stdout


def test_killed_workers_cost_nothing(wide, log, whole, tmp_path):
    asked = ("--data", wide, "--metric", "logging:wait=0.1", "--by", "type", "--device", "cpu")
    line = command("leaderboard", *asked, "--jobs", 3, "--store", tmp_path / "s.sqlite", "--format", "csv")
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(workers_of(log)) >= 3, process)
    victims = [pid for pid in workers_of(log) if int(pid) != process.pid]
    for pid in victims[:2]:
        os.kill(int(pid), signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.replace("logging:wait=0.1", "logging") == whole
    assert len(set(read(log)[1])) == REFS * LEVELS


def test_an_image_that_kills_its_worker_costs_its_unit_and_says_so(wide, log, tmp_path):
    img, ref = (load_image(wide.parent / name) for name in ("d1_5.png", "r1.png"))
    score = float((img - ref).square().mean((1, 2, 3)))
    rows = tmp_path / "rows.csv"
    asked = ("--data", wide, "--metric", f"logging:deadly={score!r}")
    out, err = board(*asked, "--rows", rows, "--jobs", 2, code=1)
    lost = [line for line in rows.read_text().splitlines() if "every worker that received this crashed" in line]
    assert 1 <= len(lost) <= 8
    assert "every worker that received this crashed" in err
    assert f",{REFS * LEVELS - len(lost)},{len(lost)}," in out
    # Once here and once in each process: two, and three that were replaced, at most.
    assert len(read(log)[0]) <= 6


@pytest.fixture
def cluster(tmp_path, log):
    """A real scheduler on loopback; returns its address and what starts a worker."""
    processes = []
    file = tmp_path / "scheduler.json"

    def start(*argv):
        out = (tmp_path / f"dask{len(processes)}.log").open("w")
        line = [sys.executable, "-m", "dask", *map(str, argv)]
        processes.append(subprocess.Popen(line, stdout=out, stderr=subprocess.STDOUT, cwd=tmp_path))
        return processes[-1]

    scheduler = start("scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--scheduler-file", file)
    wait_for(file.is_file, scheduler)

    def worker():
        line = ("--nthreads", 1, "--no-nanny", "--no-dashboard", "--local-directory", tmp_path / "scratch")
        return start("worker", "--scheduler-file", file, *line)

    address = wait_for(lambda: re.search(r"tcp://[\d.:]+", file.read_text()), scheduler).group()
    yield address, worker
    for process in processes[::-1]:
        process.kill()
        process.wait()


def cluster_size(address):
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return len(client.nthreads())


def test_a_cluster_loses_one_worker_and_wins_another(wide, whole, log, cluster, tmp_path):
    address, worker = cluster
    store = tmp_path / "s.sqlite"
    asked = ("--data", wide, "--metric", "logging:wait=0.3", "--by", "type", "--device", "cpu")
    line = command("leaderboard", *asked, "--scheduler", address, "--store", store, "--format", "csv")
    workers = [worker() for _ in range(3)]
    wait_for(lambda: cluster_size(address) == 3, workers[0])
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    wait_for(lambda: len(stored(store)) >= 8 and len(workers_of(log)) >= 4, process)
    # Everybody waits, so that one is killed at work and the late one finds something to do.
    hold = log.with_name(f"{log.name}.hold")
    hold.touch()
    kept = stored(store)
    workers[0].send_signal(signal.SIGKILL)
    late = worker()
    wait_for(lambda: str(late.pid) in workers_of(log), process)
    hold.unlink()
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert out.replace("logging:wait=0.3", "logging") == whole
    built, computed = read(log)
    assert len(built) == len(set(built)) == 5
    assert len(set(computed)) == REFS * LEVELS
    assert all(computed.count(score) == 1 for score in kept & set(computed))
    # The killed worker had one unit at work; nothing else was computed twice.
    assert len(computed) < REFS * LEVELS + 8
    again, _ = board(*asked[:-2], "--scheduler", address, "--store", store)
    assert again == out
    assert read(log)[1] == computed


@pytest.fixture
def images(tmp_path):
    for name in ("astronaut.png", "coffee.png", "chelsea.png"):
        Image.fromarray(photo(48, name=name)).save(tmp_path / f"{Path(name).stem}.png")
    return sorted(tmp_path.glob("*.png"))


CEM = ("--task", "denoise", "--roi", "16,16,8,8", "--coarse", 1, "--fine", 2, "--sampler", "zero", "--device", "cpu")
NET = """
import os, time, torch
def build():
    with open(os.environ["SCALE_LOG"], "a") as log:
        log.write(f"{os.getpid()} build\\n")
    return torch.nn.AvgPool2d(5, stride=1, padding=2)
"""


def test_maps_on_a_cluster_and_in_processes_are_those_of_one(images, log, cluster, tmp_path):
    address, worker = cluster
    (tmp_path / "net.py").write_text(NET)
    for _ in range(2):
        worker()
    ways = {"one": (), "jobs": ("--jobs", 2), "cluster": ("--scheduler", address)}
    lines = {}
    for way, extra in ways.items():
        # The network is named by a relative path, which workers elsewhere must understand.
        asked = command("cem", "net.py:build", *images, *CEM, *extra, "--out", way)
        done = subprocess.run(asked, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=200)
        assert done.returncode == 0, done.stderr
        lines[way] = done.stdout.replace(f"{way}/", "")
    assert lines["one"] == lines["jobs"] == lines["cluster"]
    assert [line.rpartition("\t")[2] for line in lines["one"].splitlines()] == ["astronaut", "chelsea", "coffee"]
    for image in images:
        maps = [np.load(tmp_path / way / image.stem / "cem.npz") for way in ways]
        for name in maps[0].files:
            for other in maps[1:]:
                np.testing.assert_array_equal(maps[0][name], other[name])
    assert len(read(log)[0]) <= 1 + 3 + 3


def test_a_grid_on_a_cluster_is_that_of_one_process(images, log, cluster, tmp_path):
    address, worker = cluster
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "nets.yaml").write_text("- {network: net.py:build, name: mean}\n- tiny_dncnn_50\n")
    for _ in range(2):
        worker()
    tables = {}
    for way, extra in {"one": (), "cluster": ("--scheduler", address)}.items():
        asked = command("cem-bench", "nets.yaml", *images[:2], *CEM, *extra, "--lam", "--format", "csv", "--out", way)
        done = subprocess.run(asked, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=200)
        assert done.returncode == 0, done.stderr
        assert "mean: 2 maps" in done.stderr
        tables[way] = done.stdout
    assert tables["one"] == tables["cluster"]
    for network in ("mean", "tiny_dncnn_50"):
        for image in images[:2]:
            one, other = (tmp_path / way / network / image.stem for way in tables)
            for name in ("cem.npz", "lam/lam.npz"):
                with np.load(one / name) as a, np.load(other / name) as b:
                    assert a.files == b.files
                    assert all(np.array_equal(a[key], b[key], equal_nan=True) for key in a.files)
    # Forecast and maps of the first run, the forecast of the second, and both workers; attribution builds its own.
    makers = {line.split()[0] for line in read(log)[0]}
    assert len(makers) >= 3
    missing = command("cem-bench", "nets.yaml", images[0], *CEM, "--scheduler", "tcp://127.0.0.1:9", "--out", "none")
    done = subprocess.run(missing, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=200)
    assert done.returncode == 2 and "tcp://127.0.0.1:9" in done.stderr and "Traceback" not in done.stderr


def test_a_cluster_that_does_not_see_our_files_is_told_in_one_line(wide, log, cluster, tmp_path):
    address, worker = cluster
    worker()
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    asked = ("leaderboard", "--data", wide, "--metric", "logging:wait=0.3", "--device", "cpu", "--scheduler", address)
    process = subprocess.Popen(command(*asked), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=hidden)
    # Once the run has begun, the folder that it was started in goes away.
    wait_for(lambda: log.is_file() and len(read(log)[1]) > 2, process)
    hidden.rmdir()
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert "does not see" in err
    assert "use a folder that all machines share" in err
    assert "Traceback" not in err
