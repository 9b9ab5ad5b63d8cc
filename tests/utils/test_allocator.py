"""Freed memory is kept where glibc can be told to, and nothing happens elsewhere."""

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from causaliqa.utils import allocator

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are glibc's")

# Each block has 64 MB, 16384 pages: above every threshold that glibc would accept.
_PROGRAM = """
import resource, sys
import numpy as np
from causaliqa.utils.allocator import keep_freed_memory
took = keep_freed_memory() if sys.argv[1] == "keep" else None
np.ones(1 << 23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(1 << 23)
print(took, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _run(what, **variables):
    env = {name: value for name, value in os.environ.items() if name not in allocator._SETTINGS} | variables
    # numpy asks for huge pages, which hide what is counted here.
    command = [sys.executable, "-c", _PROGRAM, what]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**env, "NUMPY_MADVISE_HUGEPAGE": "0"}
    )
    took, faults = done.stdout.split()
    return took, int(faults)


@needs_glibc
def test_freed_memory_is_used_again_without_page_faults():
    _, usual = _run("leave")
    took, kept = _run("keep")
    assert took == "True"
    assert usual > 50_000
    assert kept < 5_000


@needs_glibc
def test_settings_of_the_user_stay():
    took, faults = _run("keep", MALLOC_MMAP_THRESHOLD_="4096")
    assert took == "False"
    assert faults > 50_000


@pytest.mark.parametrize("name", allocator._SETTINGS)
def test_every_setting_of_the_user_counts(name, monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(ctypes, "CDLL", _library(1))
    monkeypatch.setenv(name, "1")
    assert not allocator.keep_freed_memory()
    monkeypatch.setenv(name, "")
    for other in allocator._SETTINGS:
        monkeypatch.delenv(other, raising=False)
    assert allocator.keep_freed_memory()


def _library(answer):
    """Return a stand-in for ``ctypes.CDLL`` whose mallopt gives ``answer``."""

    class Library:
        def __init__(self, name):
            if answer is None:
                raise OSError("no C library")

            def mallopt(parameter, value):
                return answer

            if answer != "missing":
                self.mallopt = mallopt

    return Library


@pytest.mark.parametrize("answer", [0, None, "missing"])
def test_does_nothing_where_it_is_refused(answer, monkeypatch):
    for name in allocator._SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(ctypes, "CDLL", _library(answer))
    assert not allocator.keep_freed_memory()


def test_does_nothing_with_another_c_library(monkeypatch):
    for name in allocator._SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(ctypes, "CDLL", _library(1))
    assert not allocator.keep_freed_memory()
