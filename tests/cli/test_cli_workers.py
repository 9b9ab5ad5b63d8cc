"""Who does the work: ``--jobs``, ``--scheduler`` and ``--shard`` as users write them."""

import sqlite3
from contextlib import closing

import pytest

from causaliqa.api.errors import InputError
from causaliqa.utils.launchers import shard_of

ARRAY = {
    "SLURM_ARRAY_TASK_ID": "3",
    "SLURM_ARRAY_TASK_MIN": "1",
    "SLURM_ARRAY_TASK_MAX": "8",
    "SLURM_ARRAY_TASK_COUNT": "8",
}
SRUN = {"SLURM_PROCID": "1", "SLURM_NTASKS": "4"}
TORCHRUN = {"RANK": "5", "WORLD_SIZE": "6"}
LAUNCHERS = ("SLURM_", "RANK", "WORLD_SIZE")


@pytest.mark.parametrize(
    ("environment", "share"),
    [
        (ARRAY, (3, 8)),
        ({**ARRAY, "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "7"}, (4, 8)),
        ({"SLURM_ARRAY_TASK_ID": "10", "SLURM_ARRAY_TASK_MIN": "4", "SLURM_ARRAY_TASK_MAX": "10",
          "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_STEP": "3"}, (3, 3)),
        (SRUN, (2, 4)),
        ({**SRUN, "SLURM_STEP_NUM_TASKS": "2"}, (2, 2)),
        (TORCHRUN, (6, 6)),
        # torchrun inside of srun counts all processes; an array multiplies both.
        ({**SRUN, **TORCHRUN}, (6, 6)),
        ({**ARRAY, **SRUN}, (10, 32)),
        ({**ARRAY, **TORCHRUN}, (18, 48)),
    ],
)  # fmt: skip
def test_launchers_are_understood(environment, share):
    assert shard_of("auto", environment) == share


@pytest.mark.parametrize("tasks", [1, 5])
@pytest.mark.parametrize("ranks", [1, 3])
def test_tasks_of_an_array_with_several_processes_share_everything_once(tasks, ranks):
    seen = []
    for task in range(10, 10 + tasks):
        for rank in range(ranks):
            array = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_MIN": 10, "SLURM_ARRAY_TASK_COUNT": tasks}
            environment = {**array, "RANK": rank, "WORLD_SIZE": ranks}
            seen.append(shard_of("auto", {k: str(v) for k, v in environment.items()}))
    assert sorted(seen) == [(k, tasks * ranks) for k in range(1, tasks * ranks + 1)]


@pytest.mark.parametrize(
    ("text", "environment", "words"),
    [
        ("auto", {}, "none of SLURM_ARRAY_TASK_ID, SLURM_PROCID and RANK"),
        ("auto", {**ARRAY, "SLURM_ARRAY_TASK_MAX": "20"}, "without gaps"),
        ("auto", {**ARRAY, "SLURM_ARRAY_TASK_ID": "x"}, "SLURM_ARRAY_TASK_ID is 'x'"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_COUNT is ''"),
        ("auto", {"RANK": "4", "WORLD_SIZE": "4"}, "below the count"),
        ("0/3", {}, "got '0/3'"),
        ("4/3", {}, "got '4/3'"),
        ("3", {}, "or auto"),
    ],
)
def test_what_is_no_share_is_said(text, environment, words):
    with pytest.raises(InputError, match="--shard") as caught:
        shard_of(text, environment)
    assert words in str(caught.value)


@pytest.fixture
def launched(monkeypatch):
    """Take the launcher of the tests themselves away, and set another."""
    import os

    for name in [name for name in os.environ if name.startswith(LAUNCHERS)]:
        monkeypatch.delenv(name)

    def launch(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))

    return launch


def test_shards_of_a_launcher_are_stored_apart_and_merged(run, manifest, tmp_path, launched):
    asked = ("leaderboard", "--data", manifest, "--metric", "psnr", "--device", "cpu")
    whole = run(*asked, "--format", "csv")[1]
    for rank in (0, 1):
        launched(RANK=rank, WORLD_SIZE=2)
        code, out, err = run(*asked, "--shard", "auto", "--store", tmp_path / "s-{shard}.sqlite")
        assert (code, out) == (0, "")
        assert f"shard {rank + 1}/2" in err
    stores = [tmp_path / f"s-{number}-of-2.sqlite" for number in (1, 2)]
    for store in stores:
        with closing(sqlite3.connect(store)) as db:
            assert db.execute("SELECT count(*) FROM scores").fetchone() == (4,)
    assert run(*asked, "--merge", *stores, "--format", "csv")[1] == whole


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--jobs", 0), "--jobs: got 0, expected 1 or more"),
        (("--jobs", 2, "--scheduler", "tcp://here:1"), "got both"),
        (("--shard", "auto", "--store", "s.sqlite"), "--shard auto: got none of"),
        (("--shard", "3/2", "--store", "s.sqlite"), "expected I/N"),
    ],
)
@pytest.mark.parametrize("command", ["leaderboard", "cem"])
def test_bad_usage_is_one_line_and_exit_2(run, manifest, tmp_path, launched, monkeypatch, extra, words, command):
    monkeypatch.chdir(tmp_path)
    image = manifest.parent / "ref0.png"
    asked = {
        "leaderboard": ("--data", manifest, "--metric", "psnr"),
        "cem": ("tiny_dncnn_50", image, "--task", "denoise", "--roi", "16,24,16,16", "--out", "o"),
    }[command]
    more = [x for x in extra if command == "leaderboard" or x not in ("--store", "s.sqlite")]
    code, out, err = run(command, *asked, *more)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
