"""Evaluate a foreign network without changing it."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Snapshot", "first_parameter", "modules_in", "untouched"]

_DEPTH = 5
"""How many objects deep a callable is searched for modules."""
_MOST = 2000
"""Objects that are searched at most, and elements of a list or dict."""


def modules_in(thing: Any) -> list[nn.Module]:
    """Return every module that a callable is or holds, as far as it can be seen, outermost first.

    Searched are closures, defaults, globals that a function names, ``functools.partial``, bound methods, attributes of
    objects and of their classes, lists, tuples and dicts, and submodules; not names that are looked up inside strings.

    Example:
        >>> net = nn.Sequential(nn.ReLU())
        >>> modules_in(lambda x: net(x)) == [net, net[0]]
        True
    """
    found: dict[int, nn.Module] = {}
    seen: dict[int, Any] = {}
    level = [thing]
    for _ in range(_DEPTH):
        following: list[Any] = []
        for item in level:
            if id(item) in seen or len(seen) > _MOST:
                continue
            seen[id(item)] = item
            if isinstance(item, nn.Module):
                for module in item.modules():
                    found.setdefault(id(module), module)
                    following += _attributes(module)
            else:
                following += _parts(item)
        level = following
    return list(found.values())


def first_parameter(thing: Any) -> nn.Parameter | None:
    """Return the first parameter of the modules that a callable is or holds, None if they have none.

    Example:
        >>> first_parameter(nn.Linear(2, 1)).device.type, first_parameter(abs)
        ('cpu', None)
    """
    return next((p for module in modules_in(thing) for p in module.parameters(recurse=False)), None)


def _attributes(module: nn.Module) -> list[Any]:
    """Return what a module holds outside the dicts of torch, and the function that it runs."""
    if isinstance(module, torch.jit.ScriptModule):
        return []
    own = [v for k, v in vars(module).items() if k not in ("_modules", "_parameters", "_buffers") and _is_open(v)]
    return own if type(module).__module__.startswith("torch.") else [*own, type(module).forward]


def _parts(item: Any) -> list[Any]:
    if isinstance(item, types.MethodType):
        return [item.__self__, item.__func__]
    if isinstance(item, functools.partial):
        return [item.func, *item.args, *item.keywords.values(), vars(item)]
    if isinstance(item, dict | list | tuple | set | frozenset):
        values = item.values() if isinstance(item, dict) else item
        return [value for value in list(values)[:_MOST] if _is_open(value)]
    if isinstance(item, types.FunctionType):
        return _of_function(item)
    if isinstance(item, type) or not hasattr(item, "__dict__"):
        return []
    classes = [value for kind in type(item).__mro__[:-1] for value in vars(kind).values()]
    held = [*vars(item).values(), *(c for c in classes if isinstance(c, nn.Module))]
    call = next((vars(kind)["__call__"] for kind in type(item).__mro__ if "__call__" in vars(kind)), None)
    return [value for value in (*held, call) if _is_open(value)]


def _of_function(function: types.FunctionType) -> list[Any]:
    held = [cell.cell_contents for cell in function.__closure__ or () if cell != types.CellType()]
    named = [function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__]
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return [value for value in (*held, *named, *defaults, *vars(function).values()) if _is_open(value)]


def _names(code: types.CodeType) -> set[str]:
    """Return the global names of a function and of the functions inside it."""
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _is_open(value: Any) -> bool:
    """Whether a value can hold modules and is not part of a library."""
    plain = (types.ModuleType, type, Tensor, str, bytes, int, float, complex, torch.dtype, torch.device)
    if value is None or isinstance(value, plain):
        return False
    if isinstance(value, nn.Module):
        return True
    return not str(getattr(value, "__module__", "")).startswith(("torch.nn", "torch.utils", "numpy"))


class Snapshot:
    """Modes, tensors, gradients and attributes of modules, to be put back after they ran.

    Args:
        modules: all of them, submodules included.
    """

    def __init__(self, modules: list[nn.Module]) -> None:
        self._modules = modules
        self._modes = [getattr(module, "training", False) for module in modules]
        self._dicts = [(held, dict(held)) for module in modules for held in _dicts(module)]
        self._lists = [(held, list(held)) for module in modules for held in _lists(module)]
        tensors = [t for m in modules for t in (*m.parameters(recurse=False), *m.buffers(recurse=False))]
        self._tensors = list({id(t): t for t in tensors}.values())
        self._buffers = list({id(b): b for m in modules for b in m.buffers(recurse=False)}.values())
        self._data = [t.data for t in self._tensors]
        self._copies = {id(t): t.detach().clone() for t in self._tensors}
        self._versions = [_version(b) for b in self._buffers]
        self._flags = [t.requires_grad for t in self._tensors]
        self._grads = [(t.grad, None if t.grad is None else t.grad.clone()) for t in self._tensors if t.is_leaf]

    def restore_buffers(self) -> None:
        """Put back the buffers that changed since, so that every call of a network starts from the same state."""
        for buffer, version in zip(self._buffers, self._versions, strict=True):
            if version != _version(buffer):
                _write(buffer, self._copies[id(buffer)])
        self._versions = [_version(b) for b in self._buffers]

    def restore(self) -> None:
        """Put everything back, without calling any code of the modules."""
        for held, before in self._dicts:
            if held.keys() != before.keys() or any(held[key] is not value for key, value in before.items()):
                held.clear()
                held.update(before)
        for items, listed in self._lists:
            items[:] = listed
        for tensor, data, flag in zip(self._tensors, self._data, self._flags, strict=True):
            if tensor.data_ptr() != data.data_ptr() or tensor.dtype != data.dtype or tensor.shape != data.shape:
                tensor.data = data
            _write(tensor, self._copies[id(tensor)])
            if tensor.is_leaf:
                tensor.requires_grad_(flag)
        for tensor, (grad, copy) in zip((t for t in self._tensors if t.is_leaf), self._grads, strict=True):
            tensor.grad = grad
            if grad is not None and copy is not None:
                _write(grad, copy)
        for module, mode in zip(self._modules, self._modes, strict=True):
            if getattr(module, "training", mode) != mode:
                module.training = mode


def _dicts(module: nn.Module) -> list[dict[str, Any]]:
    if isinstance(module, torch.jit.ScriptModule):
        return []
    plain = [value for key, value in vars(module).items() if type(value) is dict and not key.startswith("_")]
    return [module._modules, module._parameters, module._buffers, *plain, vars(module)]


def _lists(module: nn.Module) -> list[list[Any]]:
    script = isinstance(module, torch.jit.ScriptModule)
    return [] if script else [v for k, v in vars(module).items() if type(v) is list and not k.startswith("_")]


def _version(tensor: Tensor) -> int:
    """Return torch's count of changes; tensors made in inference mode have none and are always taken for changed."""
    return -1 if tensor.is_inference() else int(tensor._version)


def _write(tensor: Tensor, copy: Tensor) -> None:
    with torch.no_grad():
        if not torch.equal(tensor, copy):
            tensor.data.copy_(copy)


@contextlib.contextmanager
def untouched(thing: Callable[..., Any]) -> Iterator[Snapshot]:
    """Set every module of a callable to evaluation mode, and put all of them back afterwards, whatever happens.

    Put back are the modes of all submodules, parameters, buffers, gradients and their flags, and attributes.

    Args:
        thing: a module, or any callable; see :func:`modules_in`.

    Example:
        >>> net = nn.BatchNorm2d(3)
        >>> with untouched(net):
        ...     net.training
        False
        >>> net.training
        True
    """
    modules = modules_in(thing)
    kept = Snapshot(modules)
    try:
        for module in modules:
            if getattr(module, "training", False):
                # Exported and frozen modules have no eval(); some networks do more in it than set the flag.
                with contextlib.suppress(NotImplementedError, AttributeError, RuntimeError):
                    module.eval()
                if module.training:
                    module.training = False
        yield kept
    finally:
        kept.restore()
