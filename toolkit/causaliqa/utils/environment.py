"""Environment variables of the toolkit, read in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Environment", "is_set"]


def is_set(variable: str) -> bool:
    """Return whether an environment variable is switched on: any value other than empty or 0."""
    return os.environ.get(variable, "") not in ("", "0")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Settings from environment variables."""

    disabled_plugins: tuple[str, ...] = ()
    """``CAUSALIQA_DISABLE_PLUGINS``: distributions or entry points not to import; ``*`` for all."""
    strict_plugins: bool = False
    """``CAUSALIQA_STRICT_PLUGINS``: a failing plugin is an error."""
    registry: str | None = None
    """``CAUSALIQA_REGISTRY``: the user's registry.yaml."""
    offline: bool = False
    """``CAUSALIQA_OFFLINE``: downloads are forbidden."""
    weights: Path | None = None
    """``CAUSALIQA_WEIGHTS``: folder that is searched first for weights files."""
    max_pixels: str = ""
    """``CAUSALIQA_MAX_PIXELS``: most pixels of an image, as given; empty for the default."""

    @classmethod
    def current(cls) -> Environment:
        """Read the variables now."""
        disabled = os.environ.get("CAUSALIQA_DISABLE_PLUGINS", "").split(",")
        return cls(
            disabled_plugins=tuple(name.strip() for name in disabled if name.strip()),
            strict_plugins=is_set("CAUSALIQA_STRICT_PLUGINS"),
            registry=os.environ.get("CAUSALIQA_REGISTRY") or None,
            offline=is_set("CAUSALIQA_OFFLINE"),
            weights=Path(folder) if (folder := os.environ.get("CAUSALIQA_WEIGHTS")) else None,
            max_pixels=os.environ.get("CAUSALIQA_MAX_PIXELS", "").strip(),
        )
