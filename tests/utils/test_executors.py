"""Pools of workers: what comes back, which worker crashes, and what is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.utils.executors import DaskPool, LocalPool, WorkerLostError, carry_out


def double(number):
    return 2 * number


def who(_):
    time.sleep(0.2)
    return os.getpid()


def refuse(_):
    raise InputError("no such thing")


def stumble(_):
    raise ZeroDivisionError("by nought")


def die_once(path):
    """End like a killed process the first time, and answer the second."""
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def die_of_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def threads(_):
    import torch

    return torch.get_num_threads()


def linger(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(120)


def answers(function, units, jobs=2):
    with LocalPool(jobs) as team:
        return dict(carry_out(team, function, units))


def is_running(pid):
    """Say whether a process works; one that nobody has waited for yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def ends(pid):
    deadline = time.monotonic() + 30
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(pid)


class Here:
    """A team of one that works at once, to see what the loop itself does."""

    crash_errors, max_attempts = (ConnectionError,), 3

    def __init__(self):
        self.given = []

    def slots(self):
        return 2

    def submit(self, function, unit):
        from concurrent.futures import Future

        self.given.append(unit)
        future = Future()
        try:
            future.set_result(function(unit))
        except BaseException as error:
            future.set_exception(error)
        return future


def test_units_are_taken_when_there_is_a_place_for_them():
    team, taken = Here(), []

    def units():
        for number in range(5):
            taken.append(number)
            yield number

    results = carry_out(team, double, units())
    _, first = next(results)
    assert len(taken) == 2
    assert sorted([first, *(result for _, result in results)]) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("deaths", [1, 2, 3])
def test_a_unit_is_handed_out_three_times_at_most(deaths):
    left = [None] * deaths

    def fragile(unit):
        if unit == "bad" and left:
            left.pop()
            raise ConnectionError
        return unit

    team = Here()
    found = dict(carry_out(team, fragile, ["good", "bad"]))
    assert found["good"] == "good"
    assert team.given.count("bad") == min(deaths + 1, 3)
    assert isinstance(found["bad"], WorkerLostError) == (deaths == 3)


def test_a_cluster_that_has_gone_is_said_so():
    from concurrent.futures import CancelledError

    def gone(_):
        raise CancelledError

    with pytest.raises(CausaliqaError, match="scheduler was lost; finished work is kept"):
        list(carry_out(Here(), gone, [1]))


def test_no_units_start_no_process():
    assert answers(double, []) == {}


@pytest.mark.parametrize("jobs", [0, -1])
def test_a_team_has_workers(jobs):
    with pytest.raises(InputError, match="expected 1 or more"):
        LocalPool(jobs)


@pytest.mark.slow
def test_what_a_function_raises_arrives_in_one_line():
    with pytest.raises(InputError, match="no such thing"):
        answers(refuse, [1], jobs=1)
    with pytest.raises(CausaliqaError, match="a worker failed: ZeroDivisionError: by nought"):
        answers(stumble, [1], jobs=1)


@pytest.mark.slow
def test_processes_share_units_and_threads(monkeypatch):
    found = answers(who, range(4))
    assert len(set(found.values())) == 2
    assert os.getpid() not in found.values()
    assert all(ends(pid) for pid in found.values())
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert set(answers(threads, range(3)).values()) == {1}


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_only_its_unit_is_done_again(tmp_path):
    assert answers(die_once, [str(tmp_path / "died")]) == {str(tmp_path / "died"): "alive"}


@pytest.mark.slow
def test_a_unit_that_kills_every_worker_costs_itself_only():
    found = answers(die_of_three, range(8))
    assert isinstance(found.pop(3), WorkerLostError)
    assert found == {number: number for number in range(8) if number != 3}


MAIN = """
import sys
sys.path.insert(0, {here!r})
from causaliqa.utils.executors import LocalPool, carry_out
from test_executors import linger

if __name__ == "__main__":
    with LocalPool(1) as team:
        list(carry_out(team, linger, [{file!r}]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_the_process_that_started_them(tmp_path, how):
    script, file = tmp_path / "main.py", tmp_path / "pid"
    script.write_text(MAIN.format(here=str(Path(__file__).parent), file=str(file)))
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (file.is_file() and file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    pid = int(file.read_text())
    assert is_running(pid)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert ends(pid)


def test_a_scheduler_that_is_not_there_is_named():
    with pytest.raises(InputError, match="no/where:1' does not answer"):
        DaskPool("tcp://no/where:1", timeout=0.5)
    with pytest.raises(InputError, match="expected an address such as"):
        DaskPool("smoke://signals:1", timeout=0.5)


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'causaliqa\[dask\]'"):
        DaskPool("tcp://localhost:8786")
