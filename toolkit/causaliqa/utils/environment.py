"""The switches of the environment, read in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["Environment", "is_set"]


def is_set(variable: str) -> bool:
    """Say whether a variable of the environment is switched on: any value other than empty or 0."""
    return os.environ.get(variable, "") not in ("", "0")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What the environment asks for."""

    disabled_plugins: tuple[str, ...] = ()
    """``CAUSALIQA_DISABLE_PLUGINS``: distributions or entry points that are not imported; ``*`` for all."""
    strict_plugins: bool = False
    """``CAUSALIQA_STRICT_PLUGINS``: a plugin that fails is an error."""
    registry: str | None = None
    """``CAUSALIQA_REGISTRY``: the user's registry.yaml."""

    @classmethod
    def current(cls) -> Environment:
        """Read the variables now."""
        disabled = os.environ.get("CAUSALIQA_DISABLE_PLUGINS", "").split(",")
        return cls(
            disabled_plugins=tuple(name.strip() for name in disabled if name.strip()),
            strict_plugins=is_set("CAUSALIQA_STRICT_PLUGINS"),
            registry=os.environ.get("CAUSALIQA_REGISTRY") or None,
        )
