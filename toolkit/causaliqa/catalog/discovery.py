"""Plugins as their distributions announce them: metadata only, nothing is imported."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from causaliqa.api import hookspecs
from causaliqa.api.errors import PluginError
from causaliqa.utils.text import brief

__all__ = ["EntryPoint", "discover", "normalised"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EntryPoint:
    """One plugin as its distribution announces it; nothing is imported yet."""

    distribution: str
    """Distribution name."""
    version: str
    """Distribution version."""
    name: str
    """Entry-point name."""
    load: Callable[[], Any]
    """Imports and returns the plugin object."""
    module: str = ""
    """What it points to, for people."""

    @property
    def canonical(self) -> str:
        """``distribution:entry``, unique on a machine."""
        return f"{self.distribution}:{self.name}"

    @property
    def provider(self) -> str:
        """Name and version of the distribution, for messages."""
        return f"{self.distribution} {self.version}".strip()


def normalised(name: str) -> str:
    """Normalise a distribution name as PEP 503 does."""
    return re.sub(r"[-_.]+", "-", name).lower()


def discover(path: Sequence[str] | None = None) -> list[EntryPoint]:
    """Return every entry point of our group, sorted by distribution and name.

    Raises:
        PluginError: the metadata of an installed package is malformed.
    """
    import entrypoints

    found = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            listed = entrypoints.get_group_all(hookspecs.ENTRY_POINT_GROUP, path=path)
        except Exception as error:
            raise PluginError(
                "plugins cannot be discovered: the entry points of an installed package are malformed "
                f"({brief(error)}); reinstall that package"
            ) from error
    for entry in listed:
        distro = entry.distro
        found.append(
            EntryPoint(
                distribution=normalised(distro.name) if distro else "unknown",
                version=(distro.version or "") if distro else "",
                name=entry.name,
                load=entry.load,
                module=":".join(filter(None, (entry.module_name, entry.object_name))),
            )
        )
    for warning in caught:
        logger.warning("plugin skipped: %s", warning.message)
    return sorted(found, key=lambda e: (e.distribution, e.name))
