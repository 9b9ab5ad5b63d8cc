"""What work may cost, as users write it: a duration or a number of inferences."""

from __future__ import annotations

import re

from causaliqa.api.errors import InputError

__all__ = ["cost_limit"]

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def cost_limit(text: str) -> tuple[float, str]:
    """Return a cost and its kind, ``seconds`` or ``inferences``; infinity where the text is empty.

    Raises:
        InputError: the text is neither a duration nor a number.

    Example:
        >>> cost_limit("1.5h"), cost_limit("20000")
        ((5400.0, 'seconds'), (20000.0, 'inferences'))
    """
    if not text:
        return float("inf"), "seconds"
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h|)", text.strip())
    if not found or not float(found[1]) > 0:
        raise InputError(f"limit: got {text!r}, expected a duration such as 90s, 30min, 2h, or a number of inferences")
    return float(found[1]) * _UNITS.get(found[2], 1.0), "seconds" if found[2] else "inferences"
