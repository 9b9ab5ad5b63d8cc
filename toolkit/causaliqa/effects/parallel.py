"""Units of work by local processes or a cluster, yielded in the order in which they were asked for."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from causaliqa.api.errors import InputError
from causaliqa.utils.progress import progress_bar
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from causaliqa.utils.executors import WorkerLostError

__all__ = ["in_workers"]

_LOG = logging.getLogger(__name__)

Unit = TypeVar("Unit")
Result = TypeVar("Result")


def in_workers(
    work: Callable[[Unit], Result], units: Sequence[Unit], *, jobs: int, scheduler: str | None, progress: bool
) -> Iterator[tuple[Unit, Result | WorkerLostError]]:
    """Yield every unit with its result, in order.

    Args:
        work: applied to every unit in a worker; errors that it raises end the run.
        units: hashable, and unlike each other.
        jobs: local processes.
        scheduler: address of a Dask scheduler instead.
        progress: show a progress bar on stderr.

    Raises:
        InputError: the work cannot be sent to another process.
        CausaliqaError: the work raised it.
    """
    from causaliqa.utils.executors import carry_out, worker_pool  # loads asyncio

    try:
        pickle.dumps((work, units))
    except Exception as error:
        raise InputError(
            f"jobs: got objects that cannot be sent to workers ({brief(error, 200)}); pass names, or functions and "
            "classes of a module, or leave jobs and scheduler out"
        ) from error
    _LOG.info("%d maps by %s", len(units), scheduler or f"{jobs} processes")
    pool = worker_pool(jobs, scheduler)
    if pool is None:
        raise InputError(f"jobs: got {jobs} without a scheduler, expected 2 or more")
    waiting = list(units)
    results: dict[Unit, Result | WorkerLostError] = {}
    with pool, progress_bar(len(units), "maps", "map", shown=progress) as bar:
        for unit, result in carry_out(pool, work, units):
            results[unit] = result
            bar.update(1)
            while waiting and waiting[0] in results:
                yield waiting[0], results.pop(waiting.pop(0))
