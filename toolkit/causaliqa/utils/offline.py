"""No network: what ``--offline`` and ``CAUSALIQA_OFFLINE=1`` mean for us and for packages that download by themselves.

Connections within this machine stay possible, and so do those that carry no HTTP, as between workers of a cluster.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

__all__ = ["VARIABLE", "enforce", "is_offline"]

VARIABLE = "CAUSALIQA_OFFLINE"
"""Set to anything but nothing and 0, it forbids downloads."""

_HUBS = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
"""What Hugging Face's packages read; without it they retry for minutes."""


def is_offline() -> bool:
    """Say whether downloads are forbidden."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


def enforce() -> None:
    """Keep everything in this process from downloading while :func:`is_offline` says so; does nothing otherwise."""
    if not is_offline():
        return
    for name in _HUBS:
        os.environ.setdefault(name, "1")
    if (constants := sys.modules.get("huggingface_hub.constants")) is not None:
        # It read the environment when it was imported.
        constants.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
    _watch()


@lru_cache(maxsize=1)
def _watch() -> None:
    """urllib, requests and torch.hub all announce their connections to Python's audit hooks, which may refuse them."""
    sys.addaudithook(_refuse)


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    if event == "http.client.connect" and is_offline() and not _is_here(str(args[1])):
        raise OSError(f"{VARIABLE} is set, so {args[1]} is not asked")


def _is_here(host: str) -> bool:
    """Say whether a host is this machine.

    >>> [_is_here(host) for host in ("localhost", "127.0.0.1", "::1", "example.org", "10.0.0.1")]
    [True, True, True, False, False]
    """
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
