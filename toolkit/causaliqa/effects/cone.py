"""What a patch changes in every layer of a network, and only the part of it that the region of interest depends on.

A network is run once on the input without intervention, and all that it computes is kept. An intervention changes a box
of the input, and of every further result a box that grows from layer to layer; the region needs a box that shrinks.
Only where both overlap something has to be computed, everything else is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from causaliqa.effects.cone_steps import Convolution, Rule, is_constant, on_parts, rule_of
from causaliqa.effects.grid import Box

__all__ = ["MOST", "Cone"]

MOST = 2**31
"""Bytes of results that are kept; networks with more of them run as a whole."""


@dataclass(frozen=True)
class _Result:
    """Stands among the arguments of an operation for an earlier result, by its number."""

    number: int


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One operation as it ran."""

    func: Any
    args: Any
    kwargs: Any
    rule: Rule
    inputs: tuple[int, ...]
    """Numbers of the results that it takes."""
    part: int | None
    """Which of several outputs its result is."""

    @property
    def in_place(self) -> bool:
        return bool(self.func._schema.is_mutable)


class _UnknownStepError(Exception):
    """An operation through which boxes cannot be followed."""


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps every result that depends on an image, and how it was made."""

    def __init__(self, img: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.values: list[Tensor] = [img]
        self.steps: list[_Step | None] = [None]
        self._numbers = {id(img): 0}
        self._alive = [img]
        """Tensors that carry a number: while they live, no other gets their id."""
        self._bytes = 0

    def number_of(self, tensor: Tensor) -> int:
        """Return the number of a result.

        Raises:
            _UnknownStepError: it is none.
        """
        if id(tensor) not in self._numbers:
            raise _UnknownStepError("output")
        return self._numbers[id(tensor)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves, _ = tree_flatten((args, kwargs))
        if func._schema.is_mutable:
            self._save(leaves)
        made = func(*args, **kwargs)
        inputs = tuple(self._numbers[id(v)] for v in leaves if id(v) in self._numbers)
        if not inputs:
            return made
        if is_constant(func):
            self._keep(made, None)
            return made
        constants = [v for v in leaves if isinstance(v, Tensor) and id(v) not in self._numbers]
        rule = rule_of(func, args, constants, made)
        named = any(id(v) in self._numbers for v in kwargs.values())
        if rule is None or named or not self._follows(rule, leaves, inputs, made):
            raise _UnknownStepError(str(func))
        func, args, kwargs = on_parts(func, args, kwargs, made)
        leaves, tree = tree_flatten((args, kwargs))
        marked = [_Result(self._numbers[id(v)]) if id(v) in self._numbers else v for v in leaves]
        own_args, own_kwargs = tree_unflatten(marked, tree)
        several = isinstance(made, (list, tuple))
        for k, output in enumerate(made if several else [made]):
            if isinstance(output, Tensor) and output.dim() == 4:
                part = k if several else None
                self._keep(
                    output, _Step(func=func, args=own_args, kwargs=own_kwargs, rule=rule, inputs=inputs, part=part)
                )
        return made

    def _follows(self, rule: Rule, leaves: list[Any], inputs: tuple[int, ...], made: Any) -> bool:
        """Say whether images of one size, and of no more than a convolution takes, became images."""
        images = [v for v in (made if isinstance(made, (list, tuple)) else [made]) if v.dim() == 4]
        same = len({self.values[k].shape[-2:] for k in inputs}) == 1
        return (
            bool(images)
            and same
            and (not isinstance(rule, Convolution) or (len(inputs) == 1 and id(leaves[0]) in self._numbers))
        )

    def _save(self, changing: list[Any]) -> None:
        """Copy results that share their memory with tensors that are about to be changed in place."""
        places = {v.untyped_storage().data_ptr() for v in changing if isinstance(v, Tensor)}
        for number, value in enumerate(self.values):
            if value.untyped_storage().data_ptr() in places:
                self.values[number] = value.clone()

    def _keep(self, value: Tensor, step: _Step | None) -> None:
        self._bytes += value.numel() * value.element_size()
        if self._bytes > MOST:
            raise _UnknownStepError(f"results of more than {MOST / 2**30:.0f} GB")
        self._numbers[id(value)] = len(self.steps)
        self._alive.append(value)
        self.steps.append(step)
        self.values.append(value)


def _around(first: Box | None, second: Box | None) -> Box | None:
    """Return the smallest box that holds both."""
    if first is None or second is None:
        return first or second
    return Box(
        min(first.top, second.top),
        min(first.left, second.left),
        max(first.bottom, second.bottom),
        max(first.right, second.right),
    )


def _shared(first: Box | None, second: Box | None) -> Box | None:
    """Return what two boxes share, None if that is nothing."""
    return first.meet(second) if first is not None and second is not None and first.overlaps(second) else None


def _cut(values: Tensor, box: Box, corner: Box) -> Tensor:
    """Return a box of values that begin at the corner of another."""
    place = box.seen_from(corner)
    return values[..., place.top : place.bottom, place.left : place.right]


class Cone:
    """A network that computes the region of interest from what has changed in its input.

    Args:
        forward: runs the network on an image ``(1, 3, h, w)``.
        img: the input without intervention, ``(1, 3, h, w)``.
        region: of the output, in its pixels.

    Raises:
        ValueError: an operation of the network is not one of those through which boxes can be followed.

    Example:
        >>> from torch.nn import Conv2d, ReLU, Sequential
        >>> net = Sequential(Conv2d(3, 4, 3, padding=1), ReLU(), Conv2d(4, 3, 3, padding=1))
        >>> img = torch.rand(1, 3, 20, 20)
        >>> with torch.no_grad():
        ...     cone = Cone(net, img, Box(8, 8, 12, 12))
        ...     img[..., 5:7, 5:7] = 0
        ...     torch.allclose(cone(img), net(img)[..., 8:12, 8:12], atol=1e-6)
        True
    """

    def __init__(self, forward: Callable[[Tensor], Tensor], img: Tensor, region: Box) -> None:
        try:
            # In inference mode, torch would announce operations before it takes them apart.
            with torch.inference_mode(False), torch.no_grad():
                recorder = _Recorder(img := img.clone())
                with recorder:
                    out = forward(img)
            last = recorder.number_of(out)
        except _UnknownStepError as error:
            raise ValueError(
                f"cone: got a network with {error}, expected convolutions and pointwise operations"
            ) from error
        self._region, self._last = region, last
        self._steps = recorder.steps
        self._limits = [Box(0, 0, *value.shape[-2:]) for value in recorder.values]
        self._needed = self._needs()
        self._whole = self._multiplications(self._limits)
        self._plans: dict[Box, list[Box | None]] = {}
        self._base = recorder.values[0]
        self._borders = self._widest_borders()
        self._values = [self._known(k, recorder.values[k]) for k in range(len(self._steps))]

    def _widest_borders(self) -> dict[int, tuple[int, int]]:
        """Return, for every result that may be read, the widest border of zeros that a convolution puts around it."""
        found: dict[int, tuple[int, int]] = {self._last: (0, 0)}
        for step, box in zip(self._steps, self._needed, strict=True):
            for k in step.inputs if step is not None and box is not None else ():
                rows, cols = step.rule.padding if step and isinstance(step.rule, Convolution) else (0, 0)
                before = found.get(k, (0, 0))
                found[k] = max(before[0], rows), max(before[1], cols)
        return found

    def _known(self, number: int, value: Tensor) -> Tensor:
        """Return a result with its border; of one that is not read, nothing."""
        if number not in self._borders:
            return value.new_empty(0)
        rows, cols = self._borders[number]
        return F.pad(value, (cols, cols, rows, rows)) if rows or cols else value

    def _needs(self) -> list[Box | None]:
        """Return the part of every result that the region depends on."""
        found: list[Box | None] = [None] * len(self._steps)
        found[self._last] = self._region
        for number in range(self._last, 0, -1):
            step, box = self._steps[number], found[number]
            if step is None or box is None:
                continue
            for k in step.inputs:
                found[k] = _shared(_around(found[k], step.rule.needed(step.rule.aligned(box))), self._limits[k])
        return found

    def plan(self, changed: Box) -> list[Box | None]:
        """Return the part of every result that has to be computed when a box of the input has changed."""
        if changed not in self._plans:
            boxes: list[Box | None] = [changed]
            for number, step in enumerate(self._steps[1:], 1):
                box = None
                for k in step.inputs if step else ():
                    mine = boxes[k]
                    box = _around(box, step.rule.changed(mine) if step and mine else None)
                box = _shared(_shared(box, self._limits[number]), self._needed[number])
                boxes.append(step.rule.aligned(box) if step and box else None)
            self._plans[changed] = boxes
        return self._plans[changed]

    @property
    def steps(self) -> int:
        """Operations that the region depends on."""
        return sum(step is not None and box is not None for step, box in zip(self._steps, self._needed, strict=True))

    def share(self, changed: Sequence[Box]) -> float:
        """Return the multiplications of convolutions for some changes, as a share of those of the whole network."""
        return sum(self._multiplications(self.plan(box)) for box in changed) / max(1, self._whole * len(changed))

    def saved(self, changed: Sequence[Box]) -> float:
        """Return the mean number of multiplications of convolutions that are left out for some changes."""
        return self._whole * (1 - self.share(changed))

    def _multiplications(self, parts: Sequence[Box | None]) -> int:
        return sum(
            step.args[1].numel() * box.height * box.width
            for step, box in zip(self._steps, parts, strict=True)
            if step is not None and box is not None and isinstance(step.rule, Convolution)
        )

    def __call__(self, img: Tensor) -> Tensor:
        """Return the region of the output, ``(1, 3, height, width)``, for an input ``(1, 3, h, w)``."""
        rows, cols = ((img != self._base).any(1)[0].any(axis).nonzero()[:, 0].tolist() for axis in (1, 0))
        news: dict[int, Tensor] = {}
        plan: list[Box | None] = []
        if rows:
            box = Box(rows[0], cols[0], rows[-1] + 1, cols[-1] + 1)
            plan = self.plan(box)
            news[0] = img[..., box.top : box.bottom, box.left : box.right]
            for number, (step, place) in enumerate(zip(self._steps, plan, strict=True)):
                if step is not None and place is not None:
                    news[number] = self._computed(step, place, news, plan)
        return self._part(self._last, self._region, news, plan).clone()

    def _computed(self, step: _Step, place: Box, news: dict[int, Tensor], plan: list[Box | None]) -> Tensor:
        """Carry out an operation for a part of its result."""
        box = step.rule.needed(place)

        def window(value: Any) -> Any:
            if not isinstance(value, _Result):
                return value
            part = self._part(value.number, box, news, plan)
            return part.clone() if step.in_place else part

        args = [[window(v) for v in arg] if isinstance(arg, list) else window(arg) for arg in step.args]
        made = step.func(*args, **step.kwargs)
        result: Tensor = made if step.part is None else made[step.part]
        return result

    def _part(self, number: int, box: Box, news: dict[int, Tensor], plan: list[Box | None]) -> Tensor:
        """Return a part of a result, zeros around it included, where it has changed and where it has not."""
        place = plan[number] if number in news else None
        if place == box:
            return news[number]
        rows, cols = self._borders[number]
        part = _cut(self._values[number], box, Box(-rows, -cols, 0, 0))
        seen = _shared(place, box)
        if seen is None or place is None:
            return part
        part = part.clone()
        _cut(part, seen, box).copy_(_cut(news[number], seen, place))
        return part
