"""Which licences let anybody use a thing for any purpose."""

from __future__ import annotations

import re

__all__ = ["is_permissive"]

_PERMISSIVE = re.compile(r"Apache-2\.0|MIT|BSD-\w+(-\w+)*")


def is_permissive(licence: str) -> bool:
    """Say whether a licence is Apache-2.0, MIT or one of BSD; where several things have one each, all must be.

    Args:
        licence: SPDX expression or our own words, joined by ``;`` or ``AND``; what stands in brackets is a remark.

    Example:
        >>> is_permissive("Apache-2.0; weights BSD-3-Clause (torchvision weights, trained on ImageNet)")
        True
        >>> [is_permissive(text) for text in ("PolyForm-Noncommercial-1.0.0 (pyiqa)", "that of the network", "")]
        [False, False, False]
    """
    plain = re.sub(r"\([^)]*\)", "", licence)
    parts = [part.strip().removeprefix("weights").strip() for part in re.split(r";|\bAND\b", plain)]
    return all(any(_PERMISSIVE.fullmatch(one.strip()) for one in part.split(" OR ")) for part in parts)
