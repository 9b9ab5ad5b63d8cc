"""Names of interpolations; imports nothing, so that the command line can list them."""

__all__ = ["INTERPOLATIONS"]

INTERPOLATIONS = ("akima", "pchip")
"""Interpolations of quality over rate; the cubic polynomial of 2001 is left out: it swings between its points."""
