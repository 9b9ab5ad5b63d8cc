"""Scores and maps are the same to the last bit, whoever computes them, in which order, and with how many threads."""

import itertools
import os
import random
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from causaliqa.catalog.build import fixed_weights
from causaliqa.catalog.workers import build_metric
from causaliqa.evaluation.evaluate import evaluate
from causaliqa.evaluation.store import ScoreStore
from causaliqa.io.manifest import read_manifest
from conftest import photo

REQUESTS = (
    "psnr",
    "ssim",
    "fsim",
    "vif",
    "causal_effnet_lite0:pretrained=false,seed=3",
    "causal_effnet_lite0:terms=md",
)
"""Sums over the image, a transform, filters, and deep features; ``fsim`` and ``vif`` round by the number of threads."""


@pytest.fixture
def photographs(tmp_path):
    """Four pairs on two references, large enough for torch to share them among threads."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(4)
    lines = ["ref,dist,dmos"]
    for number, name in enumerate(("astronaut.png", "coffee.png")):
        ref = np.asarray(Image.fromarray(photo(190, name=name)).resize((220, 160)))
        Image.fromarray(ref).save(folder / f"r{number}.png")
        for level in (1, 3):
            dist = np.clip(ref + rng.normal(0, 9 * level, ref.shape), 0, 255).astype(np.uint8)
            Image.fromarray(dist).save(folder / f"d{number}_{level}.png")
            lines.append(f"r{number}.png,d{number}_{level}.png,{level + 0.1 * number}")
    path = folder / "photographs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def several_threads():
    """Let a test set torch's threads."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def shuffled(manifest, seed):
    head, *lines = manifest.read_text().splitlines()
    random.Random(seed).shuffle(lines)
    path = manifest.with_name(f"shuffled{seed}.csv")
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def scores_of(frame):
    """Return the scores by metric and image, as they are."""
    assert (frame["error"] == "").all(), frame["error"].unique()
    names = frame["dist"].map(lambda name: name.rpartition("/")[2])
    return dict(zip(zip(frame["metric"], names, strict=True), frame["score"], strict=True))


def build_metric_of(request):
    from causaliqa.catalog.create import default_catalog

    return build_metric(default_catalog(), request, "cpu", 0)


@pytest.mark.slow
def test_scores_do_not_depend_on_threads_order_or_store(photographs, several_threads, tmp_path):
    expected = None
    orders = (photographs, shuffled(photographs, 1))
    ways = itertools.product((1, 2), range(len(orders)), (False, True))
    for threads, order, stored in ways:
        several_threads(threads)
        dataset = read_manifest(orders[order])
        # Built anew, with random weights drawn anew.
        metrics = {request: build_metric_of(request) for request in REQUESTS}
        if stored:
            with ScoreStore(tmp_path / f"{threads}{order}.sqlite") as store:
                found = scores_of(evaluate(metrics, dataset, store=store))
                assert scores_of(evaluate(metrics, dataset, store=store)) == found
        else:
            found = scores_of(evaluate(metrics, dataset))
        expected = expected or found
        assert found == expected, (threads, order, stored)
    assert len(expected) == 4 * len(REQUESTS)


@pytest.mark.parametrize("sizes", [(1, 6), (4, 2)])
def test_a_score_does_not_depend_on_its_batch(photographs, sizes):
    """The causal metric takes images one by one; seven of them, as one batch and in two."""
    from causaliqa.io.images import load_image

    metric = build_metric_of("causal_effnet_lite0:pretrained=false,seed=3")
    imgs = torch.cat([load_image(p.dist) for p in (read_manifest(photographs).pairs * 2)[:7]])
    ref = load_image(read_manifest(photographs).pairs[0].ref).expand(7, -1, -1, -1)
    one_by_one = [float(metric(img[None], r[None])) for img, r in zip(imgs, ref, strict=True)]
    assert metric(imgs, ref).tolist() == one_by_one
    parts = [metric(i, r).tolist() for i, r in zip(imgs.split(sizes[0]), ref.split(sizes[0]), strict=True)]
    assert list(itertools.chain(*parts)) == one_by_one


def test_weights_that_are_drawn_are_the_same_in_every_run_and_disturb_nobody():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, second = (build_metric_of("causal_effnet_lite0:pretrained=false") for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), before)
    with fixed_weights():
        one = torch.rand(1)
    assert one != torch.rand(1)


def launch(*argv, threads, cwd):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    line = [sys.executable, "-m", "causaliqa", *map(str, argv)]
    done = subprocess.run(line, env=environment, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_scores_do_not_depend_on_jobs(photographs, tmp_path):
    asked = ["leaderboard", "--data", photographs, "--device", "cpu", "--format", "csv"]
    asked += [part for request in REQUESTS for part in ("--metric", request)]
    found, tables = [], []
    for jobs, threads in ((1, 2), (3, 1)):
        rows = tmp_path / f"rows{jobs}{threads}.csv"
        tables.append(launch(*asked, "--jobs", jobs, "--rows", rows, threads=threads, cwd=tmp_path))
        found.append(scores_of(pd.read_csv(rows, keep_default_na=False)))
    assert found[0] == found[1]
    assert tables[0] == tables[1]


NET = """
import torch
def build():
    # Drawn when it is built, and averaged over the whole image as channel attention does.
    first, last = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 3, 3, padding=1)
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = first, last
        def forward(self, x):
            y = torch.relu(self.first(x))
            return torch.sigmoid(self.last(y * torch.sigmoid(50 * y.mean((2, 3), keepdim=True) - 10)))
    return Net()
"""


@pytest.mark.slow
def test_maps_do_not_depend_on_threads_batches_jobs_or_a_journal(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    images = [tmp_path / "a.png", tmp_path / "b.png"]
    for image, name in zip(images, ("astronaut.png", "coffee.png"), strict=True):
        Image.fromarray(photo(96, name=name)).save(image)
    quick = (
        "--sampler",
        "zero",
        "--task",
        "denoise",
        "--roi",
        "36,36,24,24",
        "--patch-size",
        24,
        "--coarse",
        1,
        "--fine",
        2,
        "--device",
        "cpu",
    )
    ways = {
        "one": (1, ()),
        "threads and batches": (2, ("--batch-size", 7)),
        "jobs": (1, ("--jobs", 3)),
        "again": (1, ()),
    }
    for way, (threads, extra) in ways.items():
        out = "jobs" if way == "again" else way
        launch("cem", "net.py:build", *images, *quick, *extra, "--out", out, threads=threads, cwd=tmp_path)
        for image in images:
            expected = np.load(tmp_path / "one" / image.stem / "cem.npz")
            found = np.load(tmp_path / out / image.stem / "cem.npz")
            for name in expected.files:
                np.testing.assert_array_equal(found[name], expected[name], err_msg=f"{way} {name}")
            assert np.nanmax(np.abs(expected["effect"])) > 0
