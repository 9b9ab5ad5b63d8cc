"""What is installed, and what of it is broken."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

import causaliqa
from causaliqa.api.errors import CausaliqaError
from causaliqa.catalog.host import PluginHost
from causaliqa.utils.caches import cache_root, temporary_root, writable_root

__all__ = ["Check", "anonymous", "packages", "plugins", "probed", "system"]

_ALONE = (
    ("torch", "cuda", "numba", "compiled code", "pyiqa after torch"),
    ("pyiqa first",),
    ("torchvision", "basicsr"),
)
"""Probes that share a process."""
_VARIABLES = ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "TORCH_HOME", "OMP_NUM_THREADS", "HF_ENDPOINT")
"""Variables of the environment that matter, beside our own."""
_TIMEOUT = 180.0
"""Seconds until a probe counts as hanging."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One finding."""

    name: str
    """What was looked at."""
    state: Literal["ok", "missing", "broken"]
    """``missing`` is no fault: it is optional."""
    told: str
    """What was found, and for what is broken what to do."""


def system() -> dict[str, str]:
    """Return the machine and the Python that run this, as text for people.

    Example:
        >>> system()["causaliqa"] == causaliqa.__version__
        True
    """
    facts = {
        "causaliqa": causaliqa.__version__,
        "installed in": str(Path(causaliqa.__file__).parent),
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "cpu cores": f"{_usable_cores()} usable of {os.cpu_count()}",
        "memory": _memory(),
        "cache": _cache(),
    }
    for name in sorted(os.environ):
        if name.startswith("CAUSALIQA_") or name in _VARIABLES:
            facts[name] = os.environ[name]
    return facts


def _cache() -> str:
    """Return the folder of downloads with its room, and what is used instead if it cannot be written to."""
    usual, used = cache_root(), writable_root()
    if used is None:
        return f"{usual} cannot be written to, nor can {temporary_root()}; set XDG_CACHE_HOME to a folder that can"
    instead = "" if used == usual else f"{usual} cannot be written to (set XDG_CACHE_HOME); instead "
    return f"{instead}{used / 'weights'}, {shutil.disk_usage(used).free / 2**30:.1f} GiB free"


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> str:
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return "unknown"
    return f"{pages * size / 2**30:.1f} GiB"


def packages() -> Iterator[Check]:
    """Yield every package that causaliqa needs, and whether its version will do."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(line) for line in requires("causaliqa") or ()]
        installed = version("causaliqa")
    except PackageNotFoundError:
        yield Check(name="causaliqa", state="broken", told="runs from a folder and is not installed; pip install it")
        return
    if installed != causaliqa.__version__:
        told = f"{installed} is installed, but {causaliqa.__version__} runs; pip install it again"
        yield Check(name="causaliqa", state="broken", told=told)
    for requirement in sorted(wanted, key=lambda r: r.name.lower()):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            told = f"not installed, expected {requirement}; pip install '{requirement}'"
            yield Check(name=requirement.name, state="broken", told=told)
            continue
        fits = requirement.specifier.contains(found, prereleases=True)
        told = found if fits else f"got {found}, expected {requirement.specifier}; pip install '{requirement}'"
        yield Check(name=requirement.name, state="ok" if fits else "broken", told=told)


def probed(python: str = sys.executable) -> Iterator[Check]:
    """Yield what works when it is really called, each group in a process of its own."""
    with ThreadPoolExecutor(len(_ALONE)) as pool:
        for checks in pool.map(lambda names: _probe(python, names), _ALONE):
            yield from checks


def _probe(python: str, names: Sequence[str]) -> list[Check]:
    # This package may run without being installed; whatever shadows others here shadows them there, too.
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(Path(causaliqa.__file__).parents[1])]))
    line = [python, "-m", "causaliqa.report.doctor_probes", *names]
    environment = {**os.environ, "PYTHONPATH": path}
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=_TIMEOUT, check=False, env=environment)
        out, why = done.stdout, f"its process ended with code {done.returncode}"
    except subprocess.TimeoutExpired as error:
        out, why = _text(error.stdout), f"no answer for {_TIMEOUT:.0f} s"
    checks = [Check(name=name, state=state, told=told) for name, state, told in map(json.loads, out.splitlines())]
    if rest := list(names[len(checks) :]):
        checks.append(Check(name=rest[0], state="broken", told=why))
        checks += _probe(python, rest[1:]) if rest[1:] else []
    return checks


def _text(out: str | bytes | None) -> str:
    return out.decode(errors="replace") if isinstance(out, bytes) else out or ""


def plugins(host: PluginHost) -> Iterator[Check]:
    """Yield every plugin, loaded."""
    try:
        for status in host.statuses(check=True):
            fine = status.state in ("ok", "blocked")
            provides = ", ".join(status.names) or status.state
            told = provides if fine else f"{status.state}: {status.error}"
            name = f"{status.canonical} {status.version}"
            yield Check(name=name, state="ok" if fine else "broken", told=told)
    except CausaliqaError as error:
        yield Check(name="plugins", state="broken", told=str(error))


def anonymous(text: str) -> str:
    """Return a text without the name of its user: the home folder and the user name become ``~``.

    Example:
        >>> str(Path.home()) in anonymous(f"{Path.home()}/x")
        False
    """
    with suppress(RuntimeError):  # no home is known
        home = str(Path.home())
        text = text.replace(home, "~") if len(home) > 1 else text
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        return text
    return re.sub(rf"(?<![\w.-]){re.escape(user)}(?![\w-])", "~", text)
