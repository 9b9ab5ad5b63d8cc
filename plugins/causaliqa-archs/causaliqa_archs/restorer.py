"""A network behind causaliqa's restorer contract, built from a file or by name."""

from __future__ import annotations

import os
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from causaliqa import CausaliqaError, InputError
from causaliqa.io.weights import load_state
from causaliqa_archs.hints import hint, read_vector
from causaliqa_archs.identify import Fit, candidates, compare, nearest, network_class
from causaliqa_archs.networks.base import Network, State
from causaliqa_archs.table import ARCHITECTURES
from causaliqa_archs.value_range import likely_range

__all__ = ["ArchRestorer", "build", "build_named"]


class ArchRestorer(nn.Module):
    """A network as ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``, of any size; gradients reach the input.

    Sizes that the network cannot take are padded by reflection, and the output is cut back. It is not clipped.

    Args:
        network: what restores.
        arch: its architecture.
    """

    def __init__(self, network: Network, arch: str) -> None:
        super().__init__()
        self.network, self.arch = network, arch
        self.scale, self.tasks = network.scale, ARCHITECTURES[arch].tasks

    def forward(self, img: Tensor) -> Tensor:
        """Restore ``(N, 3, h, w)``."""
        height, width = img.shape[2:]
        multiple, smallest = self.network.multiple, self.network.smallest
        for dim, side in ((2, height), (3, width)):
            img = _reflect(img, dim, -(-max(side, smallest) // multiple) * multiple)
        return self.network.restore(img)[..., : height * self.scale, : width * self.scale]

    def extra_repr(self) -> str:
        return f"{self.arch}, scale={self.scale}"


def _reflect(img: Tensor, dim: int, wanted: int) -> Tensor:
    """Reflect beyond the last row or column, as often as a small image needs."""
    size = img.shape[dim]
    if wanted == size:
        return img
    turn = max(1, 2 * size - 2)
    places = [min(k % turn, turn - k % turn) % size for k in range(wanted)]
    return img.index_select(dim, torch.tensor(places, device=img.device))


def build(*, file: str | os.PathLike[str], arch: str | None = None, **options: Any) -> ArchRestorer:
    """Build the network that a checkpoint is of; nothing in it is executed.

    Args:
        file: path of a ``.pth`` or ``.safetensors`` file.
        arch: its architecture, where several fit.
        options: arguments of the architecture's class that replace what the file tells, and ``input_range``, what the
            network expects white to be.

    Raises:
        InputError: there is no such file, no architecture fits it or several do, or an option is wrong.
    """
    return _from_file(Path(file).expanduser(), arch, options)


def _from_file(path: Path, arch: str | None, options: dict[str, Any]) -> ArchRestorer:
    if not path.is_file():
        raise InputError(f"archs: got {str(path)!r}, which is no file; expected a .pth or .safetensors checkpoint")
    try:
        state = load_state(path)
    except CausaliqaError as error:
        raise InputError(f"archs: {error}") from error
    fit = _one_fit(state, path, arch)
    told = {**fit.options, **options}
    for key, value in fit.options.items():
        if value is None and told[key] is None and key != "input_range":
            told[key] = hint(fit.name, key, path)
    if told.get("input_range", 1.0) is None:
        told["input_range"] = likely_range(lambda white: _loaded(fit, {**told, "input_range": white}, path))
    return _loaded(fit, told, path)


def _loaded(fit: Fit, options: dict[str, Any], path: Path) -> ArchRestorer:
    """Build the network and load the checkpoint into it.

    Raises:
        InputError: it does not fit a network with these options.
    """
    network = _network(fit.name, dict(options))
    own = network.state_dict()
    wrong = [key for key, value in fit.state.items() if key not in own or own[key].shape != value.shape]
    wrong += [key for key in own if key not in fit.state and not network.may_lack(key)]
    if wrong:
        raise InputError(f"archs: {path.name!r} does not fit {fit.name} with these options: {', '.join(wrong[:4])}")
    network.load_state_dict(dict(fit.state), strict=False)
    return ArchRestorer(network, fit.name).eval()


def build_named(
    *, name: str, checkpoint: str | os.PathLike[str] | None = None, seed: int = 0, **options: Any
) -> ArchRestorer:
    """Build an architecture by its name, with the weights of a checkpoint or with random ones.

    Args:
        name: the architecture.
        checkpoint: a ``.pth`` or ``.safetensors`` file of it; it tells all options.
        seed: decides the random weights.
        options: arguments of the architecture's class, and ``input_range``.

    Raises:
        InputError: the checkpoint is not of this architecture, or an option is wrong.

    Example:
        >>> build_named(name="edsr", width=8, blocks=1)(torch.rand(2, 3, 6, 5)).shape
        torch.Size([2, 3, 24, 20])
    """
    options = {**ARCHITECTURES[name].fixed, **options}
    if checkpoint is not None:
        return _from_file(Path(checkpoint).expanduser(), name, options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ArchRestorer(_network(name, options), name).eval()


def _one_fit(state: State, path: Path, arch: str | None) -> Fit:
    """Return the only architecture that fits, or the one that was asked for."""
    if arch is not None:
        if arch not in ARCHITECTURES:
            raise InputError(f"archs: got arch={arch!r}, expected one of {', '.join(ARCHITECTURES)}")
        fit = compare(state, arch)
        if fit is None or fit.differences:
            keys = ", ".join(fit.differences[:4] if fit else list(state)[:4])
            fitting = ", ".join(f.name for f in candidates(state)) or "none known here"
            raise InputError(f"archs: {path.name!r} is not of {arch} ({keys}); architectures that fit: {fitting}")
        return fit
    fits = candidates(state)
    if len(fits) > 1:
        names = " and ".join(fit.name for fit in fits)
        raise InputError(f"archs: {path.name!r} fits {names} alike; say which with arch={fits[0].name}")
    if not fits:
        near = "; ".join(f"{fit.name}, but for {', '.join(fit.differences[:3])}" for fit in nearest(state))
        raise InputError(
            f"archs: {path.name!r} with {len(state)} tensors is of no architecture known here; near: {near or 'none'}. "
            "spandrel:FILE knows others, and path/to/file.py:factory takes any network"
        )
    return fits[0]


def _network(name: str, options: dict[str, Any]) -> Network:
    """Build the network of an architecture.

    Raises:
        InputError: it takes no such option, or not this value.
    """
    cls = network_class(name)
    known = [*signature(cls).parameters]
    input_range = None if "input_range" in known else options.pop("input_range", None)
    if unknown := [key for key in options if key not in known]:
        extra = [] if "input_range" in known else ["input_range"]
        raise InputError(f"archs: {name} has no option {unknown[0]!r}; it takes {', '.join([*known, *extra])}")
    if isinstance(options.get("degradation"), str | os.PathLike):
        options["degradation"] = read_vector(options["degradation"])
    try:
        network = cls(**options)
    except (TypeError, ValueError, ArithmeticError, LookupError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"archs: {name} cannot be built with {options}: {reason}") from error
    if input_range is not None:
        if cls.restore is not Network.restore:
            raise InputError(f"archs: {name} has a fixed value range; got input_range={input_range}")
        network.input_range = input_range
    return network.eval().requires_grad_(False)
