"""Find out which architecture a checkpoint is of, and with which options, from its keys and shapes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch

from causaliqa_archs.networks.base import Network, State
from causaliqa_archs.table import ARCHITECTURES

__all__ = ["Fit", "candidates", "compare", "nearest", "network_class"]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How a checkpoint and an architecture go together."""

    name: str
    """Name in :data:`causaliqa_archs.table.ARCHITECTURES`."""
    options: Mapping[str, Any]
    """Arguments of the class; None stands for what no key tells."""
    state: State
    """The checkpoint with the parameter names of the class."""
    differences: tuple[str, ...]
    """Keys that one of them lacks, or that have another shape; none for a candidate."""


def network_class(name: str) -> type[Network]:
    """Return the class of an architecture.

    Example:
        >>> network_class("rcan_ap16").__name__
        'RCAN'
    """
    module, _, cls = ARCHITECTURES[name].network.partition(":")
    found: type[Network] = getattr(import_module(f"causaliqa_archs.networks.{module}"), cls)
    return found


def compare(state: State, name: str) -> Fit | None:
    """Compare a checkpoint with an architecture; None if it has not even the keys that tell the options."""
    cls = network_class(name)
    own = cls.canonical(state)
    try:
        options = cls.options(own)
        if options.get("channels", 3) not in (1, 3) or options.get("scale") == 0:
            return None
        with torch.device("meta"):
            network = cls(**{**cls.assumed, **{key: value for key, value in options.items() if value is not None}})
    except (LookupError, ValueError, ArithmeticError, RuntimeError, TypeError):
        return None  # a key is missing, or there is no network of such numbers
    expected = {key: value.shape for key, value in network.state_dict().items()}
    given = {key: value.shape for key, value in own.items()}
    differences = [
        key
        for key in sorted(expected.keys() | given.keys())
        if expected.get(key) != given.get(key) and not (key not in given and cls.may_lack(key))
    ]
    return Fit(name=name, options=options, state=own, differences=tuple(differences))


def _fits(state: State) -> list[Fit]:
    names = [name for name, arch in ARCHITECTURES.items() if not arch.fixed]
    return [fit for name in names if (fit := compare(state, name)) is not None]


def candidates(state: State) -> list[Fit]:
    """Return every architecture whose keys and shapes are exactly those of a checkpoint.

    Example:
        >>> [fit.name for fit in candidates(network_class("srcnn")().state_dict())]
        ['srcnn']
    """
    return [fit for fit in _fits(state) if not fit.differences]


def nearest(state: State) -> list[Fit]:
    """Return up to three architectures that have at least half of a checkpoint's keys, the nearest first."""
    near = [fit for fit in _fits(state) if 2 * len(fit.differences) <= len(state)]
    return sorted(near, key=lambda fit: len(fit.differences))[:3]
