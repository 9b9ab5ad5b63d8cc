"""Every error that causaliqa raises on purpose, and the exit code that the command line gives it.

Messages follow one form: what failed, what was got, what was expected, what to do.
"""

from __future__ import annotations

__all__ = [
    "AmbiguousNameError",
    "CausaliqaError",
    "ImageError",
    "InputError",
    "ManifestError",
    "OutputError",
    "PluginError",
    "RegistryError",
    "UnknownNameError",
    "WeightsError",
]


class CausaliqaError(Exception):
    """Base of all errors raised on purpose; a job failed (exit code 1)."""

    exit_code = 1


class InputError(CausaliqaError, ValueError):
    """Bad usage or bad input; nothing was computed (exit code 2)."""

    exit_code = 2


class UnknownNameError(InputError, LookupError):
    """No record has the name that was asked for."""


class AmbiguousNameError(InputError, LookupError):
    """Two plugins claim the name that was asked for."""


class ImageError(InputError):
    """An image is missing, unreadable or of the wrong size."""


class ManifestError(InputError):
    """A manifest or a label in it cannot be used."""


class RegistryError(InputError):
    """A registry.yaml holds something that it must not hold."""


class OutputError(CausaliqaError):
    """A file cannot be written: the disk is full, or may only be read."""


class WeightsError(CausaliqaError):
    """A weights file is missing, damaged or not the one that was expected."""


class PluginError(CausaliqaError):
    """A plugin failed to load, to register or to build what it promised."""
