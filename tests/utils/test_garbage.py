"""Cycles are searched rarely, and what ends is not searched at all."""

import subprocess
import sys

_PROGRAM = """
import atexit, gc, sys
atexit.register(lambda: print("frozen" if gc.get_freeze_count() else "thawed"))  # runs last
if sys.argv[1] == "rarely":
    from causaliqa.utils.garbage import collect_rarely
    collect_rarely()

class Node:
    pass

searches = []
gc.callbacks.append(lambda phase, info: searches.append(info["generation"]) if phase == "start" else None)
kept = [Node() for _ in range(30_000)]
for _ in range(60_000):  # cycles, which only a search frees
    node = Node()
    node.me = node
print(len(searches), sum(isinstance(o, Node) for o in gc.get_objects()), )
"""


def _run(how):
    done = subprocess.run([sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, check=True)
    searches, alive, end = done.stdout.split()
    return int(searches), int(alive), end


def test_fewer_searches_and_none_at_the_end():
    usual, _, thawed = _run("usual")
    rare, alive, frozen = _run("rarely")
    assert usual > 50
    assert 1 <= rare < 5
    assert alive < 90_000  # cycles are freed all the same
    assert (thawed, frozen) == ("thawed", "frozen")
