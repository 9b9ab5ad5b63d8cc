"""Every image-to-image architecture in basicsr's registry as a restorer."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import io
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from torch import nn

from causaliqa.api.errors import InputError
from causaliqa.builtin.restorers.checkpoint import load_checkpoint
from causaliqa.builtin.restorers.padding import Adapted

__all__ = ["architectures", "build"]

_REMOVED = "torchvision.transforms.functional_tensor"
"""basicsr 1.4.2 imports one function from it; torchvision 0.17 dropped the module."""

_CHANNELS = ("num_in_ch", "num_out_ch", "in_channels", "out_channels", "num_colors")
"""Arguments that are 3 (RGB) where an architecture has no default for them."""


@contextlib.contextmanager
def _functional_tensor() -> Iterator[None]:
    """Supply the removed module for the duration of basicsr's import only."""
    try:
        importlib.import_module(_REMOVED)
    except ImportError:
        from torchvision.transforms import functional

        stand_in = ModuleType(_REMOVED)
        stand_in.rgb_to_grayscale = functional.rgb_to_grayscale  # type: ignore[attr-defined]
        sys.modules[_REMOVED] = stand_in
        try:
            yield
        finally:
            del sys.modules[_REMOVED]
    else:
        yield


def architectures() -> dict[str, type[nn.Module]]:
    """Return every architecture in basicsr's registry by name.

    Raises:
        InputError: basicsr is not installed, or its import fails.
    """
    try:
        # basicsr prints to stdout on import; stdout is for results.
        with _functional_tensor(), contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module("basicsr.archs")
            registry = importlib.import_module("basicsr.utils.registry").ARCH_REGISTRY
    except ImportError as error:
        if error.name == "basicsr":
            raise InputError("basicsr is not installed; `pip install causaliqa[basicsr]` brings it") from error
        raise InputError(
            f"basicsr cannot be imported: {error}; `pip install causaliqa[basicsr]` brings what it needs"
        ) from error
    # A third-party EDSR does not hide basicsr's, which is registered with a suffix then.
    found: dict[str, type[nn.Module]] = dict(iter(registry))
    return {name.removesuffix("_basicsr"): arch for name, arch in found.items()} | found


def _multiple(network: nn.Module) -> int:
    """Return what the sides of the input must be multiples of: attention windows, or pixel unshuffling."""
    windows = [w for m in network.modules() if isinstance(w := getattr(m, "window_size", 1), int)]
    scale = getattr(network, "scale", 4)
    folded = 4 // scale if type(network).__name__ == "RRDBNet" and scale in (1, 2) else 1
    return max(*windows, folded)


def build(
    *,
    arch: str,
    checkpoint: str | os.PathLike[str] | None = None,
    package: str | None = None,
    multiple: int | None = None,
    input_range: float = 1.0,
    **options: Any,
) -> nn.Module:
    """Build an architecture by its name in basicsr's registry.

    Args:
        arch: its name, for example ``EDSR``.
        checkpoint: a ``.pth`` or ``.safetensors`` file; without one the weights are random.
        package: module to import first, where a third-party package registers the architecture.
        multiple: what the sides of its input must be multiples of; by default found from the architecture.
        input_range: its value of white, 1 or 255.
        options: arguments of the architecture; channels are 3 where it has no default for them.

    Raises:
        InputError: basicsr is missing, the name is unknown, an argument is wrong, or the checkpoint does not fit.
    """
    archs = architectures()
    if package is not None:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise InputError(f"basicsr:{arch}: package {package!r} cannot be imported: {error}") from error
        archs = architectures()
    if arch not in archs:
        near = " or ".join(map(repr, difflib.get_close_matches(arch, archs, n=3)))
        hint = f" Did you mean {near}?" if near else ""
        names = ", ".join(sorted({n.removesuffix("_basicsr") for n in archs}))
        raise InputError(f"basicsr has no architecture {arch!r}.{hint} It has {names}")
    parameters = inspect.signature(archs[arch]).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    options = {**{name: 3 for name in needed if name in _CHANNELS}, **options}
    if missing := [name for name in needed if name not in options]:
        raise InputError(f"basicsr:{arch} needs {', '.join(missing)}; pass basicsr:{arch}:{missing[0]}=VALUE")
    try:
        network = archs[arch](**options)
    except (TypeError, ValueError, AttributeError) as error:
        known = ", ".join(p.name for p in parameters)
        raise InputError(f"basicsr:{arch} cannot be built: {error}; it takes {known}") from error
    if checkpoint is not None:
        load_checkpoint(network, checkpoint)
    wrapped = Adapted(network, multiple=multiple or _multiple(network), input_range=input_range)
    return wrapped.eval().requires_grad_(False)
