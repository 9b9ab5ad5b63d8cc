"""Permissive licences."""

from __future__ import annotations

import re

__all__ = ["is_permissive"]

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
