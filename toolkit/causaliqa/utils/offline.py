"""Offline mode: ``--offline`` and ``CAUSALIQA_OFFLINE=1`` for causaliqa and for packages that download on their own.

Connections to this machine remain possible, and so do those without HTTP, as between workers of a cluster.
"""

from __future__ import annotations

import io
import os
import sys
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from causaliqa.utils.environment import is_set

__all__ = ["VARIABLE", "builder_output", "enforce", "is_offline"]

VARIABLE = "CAUSALIQA_OFFLINE"
"""Any value other than empty or 0 forbids downloads."""

_HUBS = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
"""Variables of Hugging Face's packages, which otherwise retry for minutes."""


def is_offline() -> bool:
    """Return whether downloads are forbidden."""
    return is_set(VARIABLE)


class _NoDownloads(io.TextIOBase):
    """Passes lines on to stderr, but for those that announce a download that will be refused."""

    def __init__(self) -> None:
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip() and not line.startswith("Downloading"):
                sys.stderr.write(f"{line}\n")
        return len(text)


def builder_output() -> Any:
    """Return where packages that build a network may print: stderr, offline without their "Downloading ..."."""
    return _NoDownloads() if is_offline() else sys.stderr


def enforce() -> None:
    """Block downloads by any package in this process while :func:`is_offline`; otherwise do nothing."""
    if not is_offline():
        return
    for name in _HUBS:
        os.environ.setdefault(name, "1")
    if (constants := sys.modules.get("huggingface_hub.constants")) is not None:
        # It reads the environment only at import.
        constants.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
    _watch()


@lru_cache(maxsize=1)
def _watch() -> None:
    """Install an audit hook: urllib, requests and torch.hub raise an audit event before they connect."""
    sys.addaudithook(_refuse)


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    if event == "http.client.connect" and is_offline() and not _is_here(str(args[1])):
        raise OSError(f"{VARIABLE} is set, so {args[1]} is not contacted")


def _is_here(host: str) -> bool:
    """Return whether a host name or address is this machine.

    >>> [_is_here(host) for host in ("localhost", "127.0.0.1", "::1", "example.org", "10.0.0.1")]
    [True, True, True, False, False]
    """
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
