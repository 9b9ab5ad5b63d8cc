"""A process that has scored can be forked, and can score in several threads."""

import subprocess
import sys

import pytest

from causaliqa.functional.threads import share_work

_SCORES = """
import multiprocessing, sys
from concurrent.futures import ThreadPoolExecutor
import torch
from torch.utils.data import DataLoader, Dataset
from causaliqa.functional.threads import one_thread_after_fork
from causaliqa.functional.transport import level_response

torch.set_num_threads(int(sys.argv[1]))
maps = torch.rand(6, 40, 16, 16, generator=torch.Generator().manual_seed(0))
net = torch.nn.Conv2d(40, 40, 3, padding=1)

def score(k):
    one_thread_after_fork()
    with torch.no_grad():
        x = net(maps[k : k + 1])[0].abs()
    made = level_response(x, x + maps[k], window=8, mode="share", noise=torch.zeros(4, 64), strengths=[0.1])
    return round(float(made.ot.sum()), 4)

class Scores(Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, k):
        return score(k)

if __name__ == "__main__":
    first = [score(k) for k in range(4)]
    for workers in (1, 2):  # the second pool is forked from a process that has forked before
        with multiprocessing.get_context("fork").Pool(workers) as pool:
            print(pool.map(score, range(4)) == first, flush=True)
    loader = DataLoader(Scores(), batch_size=1, num_workers=2, multiprocessing_context="fork")
    print([round(float(v), 4) for v in loader] == first, flush=True)
    with ThreadPoolExecutor(4) as pool:
        print(list(pool.map(score, range(4))) == first, flush=True)
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_pools_loaders_and_threads_score_after_a_score_in_the_parent(threads, tmp_path):
    (tmp_path / "case.py").write_text(_SCORES)
    line = [sys.executable, "case.py", str(threads)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False)
    assert done.stdout.split() == ["True"] * 4, done.stderr[-2000:]


def test_the_work_is_shared_and_every_part_done_once():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        seen = []
        share_work(lambda k, threads: seen.append((k, threads)), 9)
        assert sorted(seen) == [(0, 3), (1, 3), (2, 3)]
        seen.clear()
        share_work(lambda k, threads: seen.append((k, threads)), 2)
        assert sorted(seen) == [(0, 2), (1, 2)]
        with pytest.raises(ZeroDivisionError):
            share_work(lambda k, threads: 1 // (k - 1), 9)
    finally:
        torch.set_num_threads(before)
