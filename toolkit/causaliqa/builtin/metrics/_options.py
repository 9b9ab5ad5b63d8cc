"""Checks of options that several metrics take."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["check_choices", "check_window_and_seed"]


def check_choices(name: str, values: Sequence[str], allowed: Sequence[str], *, what: str = "each") -> None:
    """Raise unless every value is allowed and stands once.

    Args:
        name: the option.
        values: what was given.
        allowed: what can be given.
        what: what a value is, for the message.

    Raises:
        ValueError: a value is unknown or stands twice.
    """
    if wrong := [v for v in values if v not in allowed]:
        raise ValueError(f"{name}: got {wrong[0]!r}, expected {' or '.join(allowed)}")
    if len(set(values)) < len(values):
        raise ValueError(f"{name}: got {'+'.join(values)}, expected {what} once")


def check_window_and_seed(window: object, seed: object) -> None:
    """Raise unless the window is a positive whole number and the seed is one, or 0.

    Raises:
        ValueError: one of them is something else.
    """
    if not isinstance(window, int) or window < 1:
        raise ValueError(f"window: got {window!r}, expected a positive whole number")
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed: got {seed!r}, expected a whole number, 0 or more")
