"""Features of images, computed once for all metrics that use the same backbone."""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["SharedFeatures"]

_NOT_SETTINGS = {"_parameters", "_buffers", "_modules"}


class SharedFeatures:
    """Remember the features of the images that were seen last.

    Features are found again by what they depend on, contents and not names: classes, settings and weights of the
    network, the bytes of the input, and the state of torch that changes rounding. So they are those that the network
    would return, bit for bit, also where two metrics have a network each. Networks whose settings cannot be compared
    (functions among them, say) share with nobody but themselves. Weights that are changed through ``.data`` are not
    noticed, because torch does not count such changes.

    Args:
        limit: bytes of features that are kept at most; the ones not used for longest are dropped.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3)).eval().requires_grad_(False)
        >>> features = SharedFeatures()
        >>> x = torch.rand(1, 3, 8, 8)
        >>> features(net, x)[0] is features(net, x.clone())[0]
        True
    """

    def __init__(self, limit: int = 2**28) -> None:
        self.limit = limit
        self.hits = 0
        self._kept: OrderedDict[Hashable, list[Tensor]] = OrderedDict()
        self._known: weakref.WeakKeyDictionary[nn.Module, tuple[Hashable, bytes]] = weakref.WeakKeyDictionary()
        self._lock = threading.RLock()

    def __call__(self, network: nn.Module, img: Tensor) -> list[Tensor]:
        """Return ``list(network(img))``; do not change the tensors.

        Args:
            network: returns a sequence of feature maps. In training mode, where a gradient is wanted, or on another
                device than the CPU it is simply called.
            img: input of the network, ``(N, 3, H, W)``.
        """
        wants_gradient = torch.is_grad_enabled() and (
            img.requires_grad or any(p.requires_grad for p in network.parameters())
        )
        # Reading an input from another device would make the host wait for it.
        elsewhere = img.device.type != "cpu"
        if elsewhere or wants_gradient or any(module.training for module in network.modules()):
            return list(network(img))
        with self._lock:
            key = (self._identity(network), _contents(img), _rounding())
            if key in self._kept:
                self.hits += 1
                self._kept.move_to_end(key)
                return list(self._kept[key])
        made = list(network(img))
        self._keep(key, made)
        return list(made)

    def _keep(self, key: Hashable, made: list[Tensor]) -> None:
        with self._lock:
            self._kept[key] = made
            sizes = {k: sum(v.numel() * v.element_size() for v in maps) for k, maps in self._kept.items()}
            total = sum(sizes.values())
            while total > self.limit:
                oldest, _ = self._kept.popitem(last=False)
                total -= sizes[oldest]

    def _identity(self, network: nn.Module) -> bytes:
        """Return a hash of classes, settings and weights, which are read again only where they have changed."""
        settings = tuple(_settings(network))
        tensors = [*network.named_parameters(), *network.named_buffers()]
        # Tensors that were made in inference mode do not count their changes.
        countable = not any(v.is_inference() for _, v in tensors)
        versions = tuple((name, v.data_ptr(), v._version) for name, v in tensors) if countable else None
        known = self._known.get(network)
        if countable and known is not None and known[0] == (settings, versions):
            return known[1]
        digest = hashlib.sha256(repr(settings).encode())
        for name, value in tensors:
            digest.update(repr((name, value.dtype, value.shape, value.stride(), value.device)).encode())
            digest.update(_bytes(value))
        self._known[network] = ((settings, versions), digest.digest())
        return digest.digest()


def _settings(network: nn.Module) -> Iterator[tuple[str, ...]]:
    """Yield class and attributes of every module."""
    for name, module in network.named_modules():
        kind = type(module)
        yield name, kind.__module__, kind.__qualname__
        for key, value in sorted(vars(module).items()):
            if key not in _NOT_SETTINGS:
                yield name, key, _text(value)


def _text(value: object, depth: int = 3) -> str:
    """Return a text that is equal only where values are; an address where nothing else can be said."""
    text = repr(value)
    if "tensor(" in text:  # which leaves most of it out
        return f"tensor at {id(value)}"
    if depth and type(value).__repr__ is object.__repr__ and hasattr(value, "__dict__"):
        own = sorted((key, _text(v, depth - 1)) for key, v in vars(value).items())
        return f"{type(value).__module__}.{type(value).__qualname__}{own}"
    return text


def _bytes(x: Tensor) -> Any:
    return x.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()


def _contents(img: Tensor) -> Hashable:
    return img.shape, img.stride(), img.dtype, hashlib.sha256(_bytes(img)).digest()


def _rounding() -> Hashable:
    """What else decides about the last bits of features, or whether they can be used."""
    recent = hasattr(torch, "get_autocast_dtype")  # from torch 2.4 on
    autocast = torch.is_autocast_enabled("cpu") if recent else torch.is_autocast_cpu_enabled()
    return torch.is_inference_mode_enabled(), autocast, torch.get_num_threads()
