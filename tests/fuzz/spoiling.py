"""Data that was fine and is spoilt, and what must not happen to those who read it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from causaliqa.api.errors import CausaliqaError

SECONDS = 20
"""What nothing may take; a guard against hanging, not a measurement."""

NASTY = st.text(
    alphabet=st.one_of(
        st.sampled_from("\0\r\n\t\"'\\,;:=+-@{}[]&*!|>%#~/.$<_ \u0301\u202e\ufeff\u2028éＡ٣²"), st.characters()
    ),
    max_size=12,
)
_PIECES = (b"", b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\xff" * 8, b"\0" * 64, b"A" * 300, b"\n", b",", b"[" * 50)


@dataclass(frozen=True)
class Parser:
    """One reader: ``feed(data, folder)`` gives it the data; ``data`` makes some."""

    name: str
    data: st.SearchStrategy[Any]
    feed: Callable[[Any, Path], object]
    needs: str = ""
    """A module without which there is nothing to test."""


def _spoil(seed: bytes, steps: list[tuple[str, int, int, bytes]]) -> bytes:
    data = bytearray(seed)
    for how, where, what, piece in steps:
        start = where % (len(data) + 1)
        end = min(len(data), start + what % 64)
        if how == "cut":
            del data[start:]
        elif how == "drop":
            del data[start:end]
        elif how == "insert":
            data[start:start] = piece
        elif how == "over":
            data[start : start + len(piece)] = piece
        elif how == "repeat":
            data[start:start] = data[start:end] * 3
        elif data:
            data[start % len(data)] ^= 1 << what % 8
    return bytes(data)


def spoilt(*seeds: bytes) -> st.SearchStrategy[bytes]:
    """Seeds, some bytes of which were flipped, cut, dropped, repeated or written over."""
    place = st.one_of(st.integers(0, 200), st.integers(0, 1 << 16))
    piece = st.one_of(st.sampled_from(_PIECES), st.binary(max_size=8))
    how = st.sampled_from(["flip", "flip", "flip", "cut", "drop", "insert", "over", "repeat"])
    steps = st.lists(st.tuples(how, place, st.integers(0, 255), piece), max_size=4)
    return st.builds(_spoil, st.sampled_from(seeds), steps)


def text(*seeds: str, free: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    made = free.map(lambda one: one.encode("utf-8", "surrogatepass"))
    return st.one_of(spoilt(*(seed.encode() for seed in seeds)), made, st.binary(max_size=60))


def attempt(parser: Parser, data: Any, folder: Path) -> str:
    """Feed a parser; return what it said, nothing where it took the data. Any other error, and a hang, goes through."""

    def late(*_: object) -> None:
        raise TimeoutError(f"{parser.name} took more than {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        parser.feed(data, folder)
    except CausaliqaError as error:
        said = str(error)
        if not said or len(said) > 5000:
            raise AssertionError(f"{parser.name}: a message of {len(said)} characters") from error
        return said
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return ""
