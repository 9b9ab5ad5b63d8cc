"""Errors of causaliqa, with their exit codes on the command line.

Messages state what failed, the value found, the value expected, and a remedy.
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
    "WeightsInputError",
]


class CausaliqaError(Exception):
    """Base class of all errors; a job failed (exit code 1)."""

    exit_code = 1


class InputError(CausaliqaError, ValueError):
    """Invalid usage or input; nothing was computed (exit code 2)."""

    exit_code = 2


class UnknownNameError(InputError, LookupError):
    """The requested name is not registered."""


class AmbiguousNameError(InputError, LookupError):
    """Two plugins provide the requested name."""


class ImageError(InputError):
    """An image is missing, unreadable or of the wrong size."""


class ManifestError(InputError):
    """A manifest, a label file or a label in it is not valid."""


class RegistryError(InputError):
    """A registry.yaml is not valid."""


class OutputError(CausaliqaError):
    """A file cannot be written, for example because the disk is full or read-only."""


class WeightsError(CausaliqaError):
    """A weights file is missing, damaged or not the expected one."""


class WeightsInputError(WeightsError, InputError):
    """A weights file that the user chose cannot be loaded, or does not fit (exit code 2)."""

    exit_code = 2


class PluginError(CausaliqaError):
    """A plugin failed to load, to register or to build an object."""
