"""Contract of an intervention sampler."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Generator, Tensor

from causaliqa.api.protocols import PlacedSampler
from causaliqa.api.specs import SamplerSpec
from causaliqa.testing._common import AnySubject, check_repeats, photo, subject

__all__ = ["check_sampler"]

_COUNTS = (1, 5)
_SIZES = (4, 8, 16)


def check_sampler(sampler: str | SamplerSpec, **options: Any) -> None:
    """Check that a sampler draws valid patches, reproducibly from the state of a generator.

    Clauses: import, interface, output, range, determinism, input. The sampler in ``screening`` is checked, too.

    Args:
        sampler: name of an installed sampler, or a spec.
        options: options to build it with.

    Raises:
        ContractError: a clause is broken; the message gives the clause and a remedy.

    Example:
        >>> check_sampler("noise")
    """
    made = subject(sampler, SamplerSpec)
    built = made.catalog.create(SamplerSpec, made.name, **options)
    for one in (built, getattr(built, "screening", None)):
        if one is None:
            continue
        if isinstance(one, PlacedSampler):
            _check_placed(made, one)
        elif callable(one):
            _check_drawn(made, one)
        else:
            made.fail("interface", "expected sampler(n, size, generator) or sampler.in_place(img, y, x, height, width)")


def _drawn(sampler: Any, count: int, size: int) -> Any:
    return sampler(count, size, Generator().manual_seed(5))


def _placed(sampler: PlacedSampler, img: Tensor, y: int, x: int, height: int, width: int) -> Tensor:
    return sampler.in_place(img, y, x, height, width, generator=Generator().manual_seed(5))


def _check_drawn(made: AnySubject, sampler: Any) -> None:
    for count in _COUNTS:
        for size in _SIZES:
            call = partial(_drawn, sampler, count, size)
            drawn = check_repeats(made, call, what="one generator state gives different patches")
            _check_patch(made, drawn, (count, 3, size, size))


def _check_placed(made: AnySubject, sampler: PlacedSampler) -> None:
    img = photo(48, 64)[0]
    for y, x, height, width in ((0, 0, 8, 8), (40, 56, 8, 8), (16, 24, 8, 4), (44, 60, 4, 4)):
        call = partial(_placed, sampler, img, y, x, height, width)
        drawn = check_repeats(made, call, img, what="one generator state gives different patches")
        _check_patch(made, drawn, (3, height, width))


def _check_patch(made: AnySubject, drawn: Any, expected: tuple[int, ...]) -> None:
    if not isinstance(drawn, Tensor) or tuple(drawn.shape) != expected or not drawn.is_floating_point():
        got = f"{tuple(drawn.shape)} {drawn.dtype}" if isinstance(drawn, Tensor) else type(drawn).__name__
        made.fail("output", f"got {got}, expected floats of shape {expected}")
    if not bool(drawn.isfinite().all()) or float(drawn.min()) < -1e-6 or float(drawn.max()) > 1 + 1e-6:
        made.fail("range", f"values from {float(drawn.min()):.3g} to {float(drawn.max()):.3g}, expected RGB in [0, 1]")
