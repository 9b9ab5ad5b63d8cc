"""What a leaderboard collects: metrics that cannot be built, shards and their merging, runs that are killed."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from PIL import Image

from conftest import stored


def test_a_metric_that_cannot_be_built_costs_its_rows_only(run, manifest):
    """The weights of causal_vgg are not here, and nothing is downloaded in tests."""
    line = ("leaderboard", "--data", manifest, "--metric", "psnr", "--metric", "causal_vgg", "--device", "cpu")
    code, out, err = run(*line, "--format", "json")
    assert code == 1
    table = {row["metric"]: row for row in json.loads(out)["rows"]}
    assert (table["psnr"]["n"], table["psnr"]["n_failed"]) == (8, 0)
    assert (table["causal_vgg"]["n"], table["causal_vgg"]["n_failed"]) == (0, 8)
    assert "causal_vgg failed on d0_1.png and 7 more: not built: weights file vgg16-397923af.pth" in err
    code, out, err = run(*line, "--strict")
    assert (code, out) == (1, "")
    assert "vgg16-397923af.pth" in err


def test_what_a_metric_prints_while_it_is_built_is_no_result(run, manifest, monkeypatch):
    from causaliqa.catalog import catalog

    build = catalog.Catalog.create_metric
    monkeypatch.setattr(catalog.Catalog, "create_metric", lambda *a, **k: print("Fetching: x") or build(*a, **k))
    code, out, err = run("leaderboard", "--data", manifest, "--metric", "psnr", "--format", "json", "--device", "cpu")
    assert (code, json.loads(out)["schema"], "Fetching" in err) == (0, 1, True)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/", "-1/2", "1/0"])
def test_bad_shards(run, manifest, tmp_path, text):
    line = ("leaderboard", "--data", manifest, "--metric", "psnr", "--store", tmp_path / "s.sqlite")
    code, _, err = run(*line, f"--shard={text}")
    assert code == 2
    assert "expected I/N with I from 1 to N" in err


def test_a_shard_needs_a_store_and_takes_no_scores(run, manifest, tmp_path):
    line = ("leaderboard", "--data", manifest, "--metric", "psnr", "--shard", "1/2")
    for more, words in (
        ((), "--shard: --store FILE is missing"),
        (("--store", tmp_path / "s.sqlite", "--scores", manifest), "--shard: got --scores"),
    ):
        code, _, err = run(*line, *more)
        assert code == 2
        assert words in err


def test_a_share_may_be_empty(run, manifest, tmp_path):
    store = tmp_path / "s.sqlite"
    line = ("leaderboard", "--data", manifest, "--metric", "psnr", "--by", "type", "--device", "cpu")
    code, out, err = run(*line, "--store", store, "--shard", "3/3")
    assert (code, out) == (0, "")
    assert f"shard 3/3: 0 scores are in {store}" in err
    code, out, err = run(*line, "--merge", store)
    assert code == 0
    assert f"{store}: 0 scores taken over" in err


def test_nothing_to_merge_into(run, manifest, tmp_path):
    line = ("leaderboard", "--data", manifest, "--scores", manifest, "--metric", "x:lower_better=true")
    manifest.write_text(manifest.read_text().replace("type", "x").replace("noise", ""))
    code, _, err = run(*line, "--merge", tmp_path / "s.sqlite")
    assert code == 2
    assert "--merge: got no metric" in err
    code, _, err = run("leaderboard", "--data", manifest, "--metric", "psnr", "--merge", tmp_path / "s.sqlite")
    assert code == 2
    assert "there is no such file" in err


def test_shares_are_disjoint_complete_and_whole_references(manifest):
    from causaliqa.evaluation.sharding import shard
    from causaliqa.io.manifest import read_manifest

    dataset = read_manifest(manifest)
    shares = [shard(dataset, number, 3).pairs for number in (1, 2, 3)]
    assert sorted(pair.dist for share in shares for pair in share) == sorted(pair.dist for pair in dataset.pairs)
    assert [len({pair.ref for pair in share}) for share in shares] == [1, 1, 0]
    assert [len(share) for share in shares] == [4, 4, 0]


@pytest.fixture
def wide(tmp_path):
    """Twelve pairs of four references in folders."""
    folder = tmp_path / "wide"
    (folder / "dist").mkdir(parents=True)
    rng = random.Random(0)
    lines = ["ref,dist,mos,type"]
    for ref in range(4):
        colour = tuple(rng.randrange(256) for _ in range(3))
        image = Image.radial_gradient("L").resize((48, 48)).convert("RGB")
        image = Image.blend(image, Image.new("RGB", image.size, colour), 0.3)
        image.save(folder / f"r{ref}.png")
        for level in (1, 2, 3):
            noise = Image.effect_noise(image.size, 40 * level).convert("RGB")
            Image.blend(image, noise, 0.1 * level).save(folder / "dist" / f"{ref}_{level}.png")
            lines.append(f"r{ref}.png,dist/{ref}_{level}.png,{5 - level + 0.1 * ref},{'ab'[level % 2]}")
    rng.shuffle(lines[1:])
    path = folder / "wide.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


COUNTING = """
    import os, time
    import causaliqa

    @causaliqa.hookimpl
    def causaliqa_metrics():
        facts = {"summary": "counts", "licence": "MIT", "lower_better": True}
        return [causaliqa.MetricSpec(name="counting", factory=build, **facts)]

    def build(*, wait=0.0):
        import torch

        class Counting(torch.nn.Module):
            def forward(self, img, ref):
                score = (img - ref).square().mean((1, 2, 3))
                time.sleep(wait)
                with open(os.environ["COUNTING_LOG"], "a") as log:
                    print(f"{float(score):.17g}", file=log)
                return score

        return Counting()
"""


@pytest.fixture
def counting(tmp_path, monkeypatch):
    """An installed plugin with a metric that writes down what it computes; returns the log."""
    site = tmp_path / "site"
    (site / "counting-1.0.dist-info").mkdir(parents=True)
    (site / "counting.py").write_text(textwrap.dedent(COUNTING))
    (site / "counting-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
    entry = "[causaliqa.plugins]\ncounting = counting\n"
    (site / "counting-1.0.dist-info" / "entry_points.txt").write_text(entry)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, sys.path)]))
    monkeypatch.setenv("COUNTING_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def command(*argv):
    return [sys.executable, "-m", "causaliqa", "leaderboard", "--device", "cpu", *map(str, argv)]


def table(*argv):
    done = subprocess.run(command(*argv, "--format", "csv"), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.slow
def test_three_shards_merged_equal_one_process_byte_for_byte(wide, counting, tmp_path):
    asked = ("--data", wide, "--metric", "counting", "--metric", "counting:wait=0.001", "--by", "type")
    whole = table(*asked)
    assert len(list(csv.DictReader(whole.decode().splitlines()))) == 4
    counting.unlink()
    stores = [tmp_path / f"{number}.sqlite" for number in (1, 2, 3)]
    for number, store in enumerate(stores, start=1):
        assert table(*asked, "--shard", f"{number}/3", "--store", store) == b""
    computed = counting.read_text().split()
    assert len(computed) == 24
    assert table(*asked, "--merge", *stores) == whole
    assert table(*asked, "--store", tmp_path / "all.sqlite", "--merge", *reversed(stores)) == whole
    moved = wide.parent.rename(tmp_path / "moved") / wide.name
    assert table("--data", moved, *asked[2:], "--store", tmp_path / "all.sqlite") == whole
    assert counting.read_text().split() == computed


@pytest.mark.slow
def test_five_kills_change_nothing_and_recompute_nothing(wide, counting, tmp_path):
    """SIGKILL at random; what the store holds is never computed again, and the table is that of a quiet run."""
    asked = ("--data", wide, "--metric", "counting:wait=0.5")
    store, rng = tmp_path / "s.sqlite", random.Random(5)
    finished: list[set[float]] = []
    for _ in range(5):
        known = stored(store)
        process = subprocess.Popen(command(*asked, "--store", store), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 120
        while len(stored(store)) <= len(known) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        finished.append(stored(store))
    assert process.returncode == -signal.SIGKILL
    assert all(len(before) < len(after) for before, after in zip([set(), *finished], finished, strict=False))
    assert len(finished[-1]) < 12
    done = table(*asked, "--store", store)
    computed = [float(line) for line in counting.read_text().split()]
    # A pair may be cut off between its score and the store, once a kill; what was stored is computed once.
    assert len(set(computed)) == 12
    assert len(computed) <= 12 + 5
    assert all(computed.count(score) == 1 for score in finished[-1])
    counting.unlink()
    assert table(*asked) == done
    assert len(counting.read_text().split()) == 12
