import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from causaliqa.api.errors import InputError
from causaliqa.builtin.degradations.paper import GaussianNoise
from causaliqa.builtin.samplers.ablations import UniformNoise
from causaliqa.effects.causal_effect_map import CausalEffectMap
from causaliqa.effects.journal import Journal
from causaliqa.functional.degrade import generator_for

SCRIPT = """
import sys, time
sys.path.insert(0, {here!r})
from test_resume import slow_map
slow_map({journal!r}, pause=0.02)
"""


class Slow(nn.Module):
    """A local network that can be made to take its time."""

    pause = 0.0

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1)).eval()

    def forward(self, x):
        time.sleep(self.pause)
        return self.layers(x)


def slow_map(journal, pause=0.0, **changes):
    net = Slow()
    net.pause = pause
    options = {"degradation": GaussianNoise(sigma=25), "sampler": UniformNoise(), "fine": 6, "tolerance": 1e-6}
    img = torch.rand(3, 48, 48, generator=generator_for(5))
    return CausalEffectMap(net).attribute(img, (16, 16, 16, 16), resume=journal, **{**options, **changes})


def test_killed_and_resumed_is_the_uninterrupted_map(tmp_path):
    whole = slow_map(None)
    journal = tmp_path / "cem.journal"
    script = SCRIPT.format(here=str(Path(__file__).parent), journal=str(journal))
    process = subprocess.Popen([sys.executable, "-c", script], env=os.environ)
    lines, deadline = 0, time.monotonic() + 180
    while lines < 17 and time.monotonic() < deadline:
        time.sleep(0.01)
        lines = journal.read_bytes().count(b"\n") if journal.is_file() else 0
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    # Into the fine stage, and not through it.
    kept = journal.read_bytes().count(b"\n") - 1
    reached = whole.facts["patches_reached"]
    assert reached < kept < reached + whole.facts["patches_sensitive"]

    steps = []
    again = slow_map(journal, progress=lambda done, known: steps.append(done))
    assert len(steps) == reached + whole.facts["patches_sensitive"] - kept
    for name in ("effect", "count", "sem", "samples"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    assert again.facts["inferences"] == whole.facts["inferences"]


def test_an_unfinished_line_is_cut_off(tmp_path):
    whole = slow_map(None)
    journal = tmp_path / "cem.journal"
    slow_map(journal)
    content = journal.read_bytes()
    journal.write_bytes(content[: len(content) * 2 // 3])
    again = slow_map(journal)
    np.testing.assert_array_equal(again.samples, whole.samples)
    assert sorted(journal.read_bytes().splitlines()) == sorted(content.splitlines())


def test_nothing_is_made_twice(tmp_path):
    journal = tmp_path / "cem.journal"
    first, calls = slow_map(journal), []
    second = slow_map(journal, progress=lambda *n: calls.append(n))
    assert calls == []
    np.testing.assert_array_equal(first.effect, second.effect)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seed": 1}, "seed"),
        ({"fine": 7}, "plan"),
        ({"degradation": GaussianNoise(sigma=26)}, "image"),
        ({"prune": False}, "crop"),
    ],
)
def test_another_run_is_refused(tmp_path, change, word):
    journal = tmp_path / "cem.journal"
    slow_map(journal)
    with pytest.raises(InputError, match=f"another run: .*{word}"):
        slow_map(journal, **change)


def test_other_weights_are_another_run(tmp_path):
    with Journal(tmp_path / "j", {"network": "a", "seed": 0}):
        pass
    with pytest.raises(InputError, match="network differ"):
        Journal(tmp_path / "j", {"network": "b", "seed": 0})


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("remember the milk\n")
    with pytest.raises(InputError, match="no file of a run"):
        Journal(path, {})
    assert path.read_text() == "remember the milk\n"


def test_numbers_survive_to_the_last_bit(tmp_path):
    values = np.random.default_rng(0).standard_normal(100) * 10.0 ** np.arange(-50, 50)
    with Journal(tmp_path / "j", {}) as journal:
        journal.add("fine", 3, values)
    assert json.loads((tmp_path / "j").read_text().splitlines()[1])["patch"] == 3
    with Journal(tmp_path / "j", {}) as again:
        np.testing.assert_array_equal(again.seen["fine", 3], values)


@pytest.mark.parametrize("at", np.linspace(0, 0.999, 12).tolist())
def test_a_damaged_byte_costs_one_line_and_never_a_digit(tmp_path, caplog, at):
    whole, journal = slow_map(None), tmp_path / "cem.journal"
    slow_map(journal)
    content = bytearray(journal.read_bytes())
    place = int(at * len(content))
    content[place] ^= 0x04
    journal.write_bytes(content)
    steps = []
    again = slow_map(journal, progress=lambda *n: steps.append(n))
    np.testing.assert_array_equal(again.samples, whole.samples)
    in_head = place < content.index(b"\n")
    assert len(steps) == (0 if in_head else 1)
    assert "left out 1 damaged lines" in caplog.text
    assert sorted(journal.read_bytes().splitlines()) == sorted(_fresh(tmp_path / "other"))


def _fresh(journal):
    slow_map(journal)
    return journal.read_bytes().splitlines()


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b'{"schema": 2, "sett'])
def test_an_empty_file_is_a_new_one(tmp_path, content):
    (tmp_path / "j").write_bytes(content)
    with Journal(tmp_path / "j", {"a": 1}) as journal:
        journal.add("fine", 0, np.ones(2))
    with Journal(tmp_path / "j", {"a": 1}) as again:
        assert list(again.seen) == [("fine", 0)]


def test_lines_of_another_run_are_never_taken(tmp_path):
    for name, settings in (("a", {"seed": 0}), ("b", {"seed": 1})):
        with Journal(tmp_path / name, settings) as journal:
            journal.add("fine", 0, np.full(2, settings["seed"]))
    mixed = (tmp_path / "a").read_bytes().splitlines()[:1] + (tmp_path / "b").read_bytes().splitlines()[1:]
    (tmp_path / "a").write_bytes(b"\n".join(mixed) + b"\n")
    with Journal(tmp_path / "a", {"seed": 0}) as journal:
        assert journal.seen == {}


def test_a_second_run_at_the_same_time_is_refused_and_the_first_goes_on(tmp_path):
    with Journal(tmp_path / "j", {}) as first:
        first.add("fine", 0, np.ones(1))
        with pytest.raises(InputError, match="another run is writing"):
            Journal(tmp_path / "j", {})
        first.add("fine", 1, np.ones(1))
    with Journal(tmp_path / "j", {}) as again:
        assert len(again.seen) == 2
