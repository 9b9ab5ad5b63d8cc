"""The networks of a grid of causal effect maps, as a YAML file lists them."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import InputError
from causaliqa.effects.names import NetworkRequest, label_of
from causaliqa.utils import safe_yaml
from causaliqa.utils.safe_yaml import shown

if TYPE_CHECKING:
    from causaliqa.api.protocols import Degradation, Restorer

__all__ = ["BenchNetwork", "bench_networks", "read_networks"]


@dataclass(frozen=True, kw_only=True)
class BenchNetwork:
    """One network of a grid.

    Example:
        >>> BenchNetwork(network="tiny_edsr_x4", task="sr", year=2017).label
        'tiny_edsr_x4'
    """

    network: str | Restorer
    """As ``causaliqa cem`` takes it: NAME[:key=value,...], path/to/file.py:factory, or the network itself."""
    name: str = ""
    """What tables, pictures and folders call it; by default what ``causaliqa cem`` calls it."""
    task: str | None = None
    """sr, denoise, derain or that of a plugin; by default that of the grid."""
    scale: int | None = None
    """Enlargement for sr; by default that of a network given by name, else 4."""
    checkpoint: str | Path | None = None
    """A .pth or .safetensors file of the network."""
    options: str = ""
    """Arguments of the architecture, KEY=VALUE[,KEY=VALUE]."""
    degradation: str | Degradation | None = None
    """NAME[:key=value,...] in place of that of the task."""
    year: int | None = None
    """Year of publication."""

    @property
    def label(self) -> str:
        """Its name, or what ``causaliqa cem`` calls it."""
        return self.name or label_of(self.network)

    @property
    def folder(self) -> str:
        """Name of its folder: letters, digits and ``._+-`` of the label, ``_`` for everything else."""
        return re.sub(r"[^\w.+-]+", "_", self.label).lstrip(".") or "_"

    def request(self, task: str | None) -> NetworkRequest:
        """Return the network for :class:`causaliqa.effects.job.MapRun`.

        Args:
            task: of the grid, where the network has none of its own.
        """
        return NetworkRequest(
            network=self.network,
            task=self.task or task,
            scale=self.scale,
            checkpoint=self.checkpoint,
            arch_options=self.options,
        )


_KINDS: dict[str, tuple[type, str]] = {
    **dict.fromkeys(("network", "name", "task", "checkpoint", "options", "degradation"), (str, "text")),
    **dict.fromkeys(("scale", "year"), (int, "a whole number")),
}


def read_networks(path: str | os.PathLike[str]) -> tuple[BenchNetwork, ...]:
    """Read a YAML file: a list of mappings with the fields of :class:`BenchNetwork`.

    Paths in it are taken as on the command line, from the current folder.

    Raises:
        InputError: the file cannot be read, or holds something else; the message names file and key.
    """
    where = Path(path)
    try:
        text = where.read_text(encoding="utf-8")
        found = safe_yaml.load(text)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InputError(f"{where}: cannot be read: {reason}; expected a YAML list of networks") from error
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error
    return bench_networks(found, str(where))


def bench_networks(found: Any, where: str = "networks") -> tuple[BenchNetwork, ...]:
    """Return the networks of a list of mappings or :class:`BenchNetwork`.

    Args:
        found: the list.
        where: what messages call it.

    Raises:
        InputError: it is something else, or two networks would share a folder.

    Example:
        >>> [entry.label for entry in bench_networks([{"network": "tiny_edsr_x4", "name": "EDSR", "year": 2017}])]
        ['EDSR']
        >>> bench_networks([{"network": "tiny_edsr_x4", "yaer": 2017}], "nets.yaml")
        Traceback (most recent call last):
        causaliqa.api.errors.InputError: nets.yaml: 0.yaer: unknown key. Did you mean 'year'?
    """
    if isinstance(found, str | Mapping) or not isinstance(found, Sequence) or not found:
        raise InputError(f"{where}: got {shown(found)}, expected a list of networks: [{{network: NAME, ...}}, ...]")
    networks = tuple(
        item if isinstance(item, BenchNetwork) else _network(item, f"{where}: {number}")
        for number, item in enumerate(found)
    )
    # Case is no difference to some file systems.
    folders = [entry.folder.casefold() for entry in networks]
    for number, folder in enumerate(folders):
        if (first := folders.index(folder)) != number:
            raise InputError(
                f"{where}: {number}.name: {networks[number].label!r} has the folder of entry {first}; give it another "
                "name"
            )
    return networks


def _network(item: Any, where: str) -> BenchNetwork:
    """Return the network of one entry."""
    if isinstance(item, str) or callable(item):
        item = {"network": item}
    if not isinstance(item, Mapping) or "network" not in item:
        raise InputError(f"{where}.network: got {shown(item)}, expected a mapping with network: NAME")
    known = [field.name for field in fields(BenchNetwork)]
    for key, value in item.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"An entry takes {', '.join(known)}"
            raise InputError(f"{where}.{key}: unknown key. {hint}")
        kind, said = _KINDS[key]
        free = key in ("network", "degradation", "checkpoint") and not isinstance(value, int | float | list | dict)
        if value is not None and not free and (not isinstance(value, kind) or isinstance(value, bool)):
            raise InputError(f"{where}.{key}: got {shown(value)}, expected {said}")
    try:
        made = BenchNetwork(**{str(key): value for key, value in item.items() if value is not None})
        made.request(None)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return made
