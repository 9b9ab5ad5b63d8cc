"""Permissive licences."""

from __future__ import annotations

import re
from collections.abc import Iterable

from causaliqa.api.errors import InputError

__all__ = ["check_permissive", "is_permissive"]

_PERMISSIVE = re.compile(r"Apache-2\.0|MIT|BSD-\w+(-\w+)*")


def is_permissive(licence: str) -> bool:
    """Return whether a licence is Apache-2.0, MIT or BSD; of several, all must be.

    Args:
        licence: SPDX expressions or texts joined by ``;`` or ``AND``; text in brackets is ignored.

    Example:
        >>> is_permissive("Apache-2.0; weights BSD-3-Clause (torchvision weights, trained on ImageNet)")
        True
        >>> [is_permissive(text) for text in ("PolyForm-Noncommercial-1.0.0 (pyiqa)", "that of the network", "")]
        [False, False, False]
    """
    plain = re.sub(r"\([^)]*\)", "", licence)
    parts = [part.strip().removeprefix("weights").strip() for part in re.split(r";|\bAND\b", plain)]
    return all(any(_PERMISSIVE.fullmatch(one.strip()) for one in part.split(" OR ")) for part in parts)


def check_permissive(request: str, parts: Iterable[tuple[str, str]]) -> None:
    """Refuse a metric unless everything that it is made of is free for any purpose.

    Args:
        request: the metric, for the message.
        parts: what it is made of, and the licence of each.

    Raises:
        InputError: naming the first part that is not, and its licence.
    """
    for what, licence in parts:
        if not is_permissive(licence):
            raise InputError(f"--license permissive: {what} has the licence {licence!r}; leave {request!r} out")
