"""Lines of causal_speed.csv, written as they are found: a long run that is stopped leaves what it has."""

from __future__ import annotations

import csv
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

FIELDS = ("subject", "seconds", "runs", "ratio", "against", "goal", "holds", "machine")


class Results:
    """Lines of a result with the facts of the machine, among them how busy it was."""

    def __init__(self, out: Path | None, facts: str) -> None:
        self.out, self.lines = out, []
        self.facts = f"{platform.machine()}, {os.cpu_count()} cores, {facts}"

    def add(
        self,
        subject: str,
        seconds: Sequence[float],
        base: Sequence[float] | None = None,
        against: str = "",
        *,
        most: float | None = None,
    ) -> None:
        """Add a subject that took ``seconds`` in its rounds, beside another one of the same rounds."""
        ratio = None if base is None else statistics.median(a / b for a, b in zip(seconds, base, strict=True))
        self._write(subject, statistics.median(seconds), len(seconds), ratio, against, most)

    def note(self, subject: str, value: float, ratio: float | None = None, against: str = "") -> None:
        """Add a value that was found once."""
        self._write(subject, value, 1, ratio, against, None)

    def _write(
        self, subject: str, value: float, runs: int, ratio: float | None, against: str, most: float | None
    ) -> None:
        holds = "" if most is None or ratio is None else "yes" if ratio <= most else "no"
        shown = "" if ratio is None else f"{ratio:.3g}"
        facts = f"{self.facts}, load {os.getloadavg()[0]:.0f}"
        goal = "" if most is None else f"at most {most}"
        self.lines.append((subject, f"{value:.4g}", runs, shown, against, goal, holds, facts))
        print(f"{subject}: {value:.4g}, {shown} {against} {goal} {holds}", file=sys.stderr)
        file = self.out.open("w", newline="", encoding="utf-8") if self.out else None
        if file is not None:
            with file:
                csv.writer(file, lineterminator="\n").writerows([FIELDS, *self.lines])
