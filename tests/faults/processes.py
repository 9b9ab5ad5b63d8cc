"""Real faults: small disks, read-only folders, and processes of the command line that can be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

_METRIC = """
    import os, time
    from pathlib import Path
    import causaliqa

    class Slow:
        lower_better, metric_mode = True, "FR"

        def __call__(self, img, ref):
            with Path(os.environ["CALLS"]).open("a") as file:
                file.write("call\\n")
            time.sleep(float(os.environ.get("PAUSE", "0")))
            return (img - ref).abs().mean((1, 2, 3))

        def to(self, device):
            return self

    @causaliqa.hookimpl
    def causaliqa_metrics():
        yield causaliqa.MetricSpec(name="slow", factory=Slow, summary="slow", licence="MIT", lower_better=True)
"""


def _mount(*argv: str) -> None:
    if subprocess.run(["mount", *argv], capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MiB that is left with as many bytes as asked for; call it again to make room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder))
    filler = folder / "filler"

    def leave(free: int) -> Path:
        filler.unlink(missing_ok=True)
        room = os.statvfs(folder)
        with filler.open("wb") as file:
            file.write(bytes(max(0, room.f_bavail * room.f_frsize - free)))
        return folder

    yield leave
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def read_only(tmp_path):
    """A folder with a file that nobody may change, whatever the permissions say."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    (folder / "old").write_text("old")
    _mount("--bind", str(folder), str(folder))
    try:
        _mount("-o", "remount,ro,bind", str(folder))
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class Command:
    """The command line as processes of its own, with a metric that counts how often it is called."""

    def __init__(self, folder: Path) -> None:
        plugins = folder / "plugins"
        facts = plugins / "slow-1.0.dist-info"
        facts.mkdir(parents=True)
        (plugins / "slow_metric.py").write_text(textwrap.dedent(_METRIC))
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text("[causaliqa.plugins]\nslow = slow_metric\n")
        self.calls_file = folder / "calls"
        path = os.pathsep.join([str(plugins), *filter(None, sys.path)])
        self.environment = {**os.environ, "PYTHONPATH": path, "CALLS": str(self.calls_file), "TMPDIR": str(folder)}
        self.environment.pop("PYTHONUNBUFFERED", None)

    @property
    def calls(self) -> int:
        return self.calls_file.read_text().count("\n") if self.calls_file.exists() else 0

    def start(self, *argv: object, pause: float = 0.0, **options: object) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "causaliqa", *map(str, argv)]
        environment = {**self.environment, "PAUSE": str(pause)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(line, text=True, env=environment, **pipes)

    def __call__(self, *argv: object, **options: object) -> subprocess.CompletedProcess[str]:
        process = self.start(*argv, **options)
        out, err = process.communicate(timeout=240)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @staticmethod
    def told(done: subprocess.CompletedProcess[str]) -> list[str]:
        """Return what causaliqa said, without progress bars."""
        lines = [part for line in done.stderr.splitlines() for part in line.split("\r")]
        return [line for line in lines if line.startswith("causaliqa: ")]

    def until(self, process: subprocess.Popen[str], calls: int) -> None:
        """Wait for so many calls of the metric or the network."""
        deadline = time.monotonic() + 120
        while self.calls < calls and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        assert self.calls >= calls, process.communicate()[1]


@pytest.fixture
def command(tmp_path):
    return Command(tmp_path)
