"""What was computed last from images and a backbone, for all metrics that share the backbone."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

__all__ = ["Memory", "memory_of"]

T = TypeVar("T")

LIMIT = 2**28
"""Bytes that are kept per backbone."""
COUNT = 12
"""Results that are kept per backbone: images, references and pairs under a few settings."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Entry:
    """A result and what it was made of."""

    key: Hashable
    images: tuple[Tensor, ...]
    value: Any
    storages: dict[int, int]
    """Bytes of memory that it keeps alive, by address; results may share some."""

    def is_of(self, key: Hashable, images: Sequence[Tensor]) -> bool:
        return self.key == key and all(map(torch.equal, self.images, images))


class Memory:
    """The latest results of one backbone, found again by the values of the images they were made of.

    A tensor that is the same object may hold another image, so values are compared. Results of weights that have been
    changed since are forgotten; a change through ``tensor.data`` is not noticed, because torch does not count it.
    Nothing is kept while gradients are recorded.

    Args:
        limit: bytes that are kept at most, though one reference is kept whatever its size.
        count: results that are kept at most.

    Example:
        >>> memory, net = Memory(), nn.Conv2d(3, 4, 3)
        >>> x = torch.rand(1, 3, 8, 8)
        >>> with torch.no_grad():
        ...     memory.recall(net, "maps", (x,), net) is memory.recall(net, "maps", (x.clone(),), net)
        True
    """

    def __init__(self, limit: int = LIMIT, count: int = COUNT) -> None:
        self.limit = limit
        self.count = count
        self._weights: object = None
        self._kept: list[_Entry] = []
        """Latest used last."""
        self._lock = threading.Lock()

    def recall(
        self,
        backbone: nn.Module,
        what: Hashable,
        images: Sequence[Tensor],
        make: Callable[..., T],
        *,
        reference: bool = False,
    ) -> T:
        """Return ``make(*images)``, from memory if it was made of the same values, weights and settings before.

        Args:
            backbone: whose memory this is.
            what: what is made: everything that it depends on besides the images and the backbone.
            images: what it is made of.
            make: returns tensors, or lists, tuples or dataclasses of them; they must not be changed by anybody.
            reference: the images are references, which more images will be compared with.
        """
        weights = None if torch.is_grad_enabled() else _weights(backbone)
        if weights is None:
            return make(*images)
        key = (what, _mode(), *((v.shape, v.stride(), v.dtype, v.device) for v in images))
        with self._lock:
            if weights != self._weights:
                self._kept.clear()
                self._weights = weights
            for entry in reversed(self._kept):
                if entry.is_of(key, images):
                    self._kept.remove(entry)
                    self._kept.append(entry)
                    return cast("T", entry.value)
        # Copies: the tensors are the caller's, who may fill them with another image.
        own = tuple(v.clone() for v in images)
        value = make(*own)
        self._keep(_Entry(key=key, images=own, value=value, storages=dict(_storages((own, value)))), weights, reference)
        return value

    def _keep(self, entry: _Entry, weights: object, reference: bool) -> None:
        """Keep a result; large ones of images that are no references would only displace the reference."""
        if not reference and sum(entry.storages.values()) > self.limit / 2:
            return
        with self._lock:
            if weights != self._weights:  # by another thread meanwhile
                return
            self._kept.append(entry)
            while len(self._kept) > 1 and (len(self._kept) > self.count or self._size() > self.limit):
                del self._kept[0]

    def _size(self) -> int:
        return sum({address: size for kept in self._kept for address, size in kept.storages.items()}.values())


_MEMORIES: WeakKeyDictionary[nn.Module, Memory] = WeakKeyDictionary()


def memory_of(backbone: nn.Module) -> Memory:
    """Return the memory of a backbone, which lives as long as it does and is no part of it: copies have their own."""
    return _MEMORIES.setdefault(backbone, Memory())


def _weights(backbone: nn.Module) -> tuple[tuple[int, int], ...] | None:
    """Return what changes with the weights; None if changes are not counted."""
    found: list[tuple[int, int]] = []
    modules = [backbone]
    # parameters() and buffers() would take three times as long: a twentieth of a small backbone's time.
    for module in modules:
        modules.extend(child for child in module._modules.values() if child is not None)
        for tensors in (module._parameters, module._buffers):
            for tensor in tensors.values():
                if tensor is None:
                    continue
                if tensor.is_inference():
                    return None
                found.append((tensor.data_ptr(), tensor._version))
    return tuple(found)


def _mode() -> Hashable:
    """Return what else decides about the last bits of a result, or about where it can be used."""
    return torch.is_inference_mode_enabled(), *_autocast(), torch.get_num_threads()


def _autocast() -> tuple[bool, bool]:
    """Return whether autocast is on, for GPUs and for the CPU."""
    try:
        return torch.is_autocast_enabled(), torch.is_autocast_enabled("cpu")
    except TypeError:  # before torch 2.4
        return torch.is_autocast_enabled(), torch.is_autocast_cpu_enabled()


def _storages(value: Any) -> Iterator[tuple[int, int]]:
    """Yield address and bytes of the memory behind every tensor."""
    if isinstance(value, Tensor):
        yield value.untyped_storage().data_ptr(), value.untyped_storage().nbytes()
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _storages(item)
    elif dataclasses.is_dataclass(value):
        yield from _storages(tuple(vars(value).values()))
