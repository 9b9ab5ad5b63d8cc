"""Work in other processes: a pool of workers on this machine or on a Dask cluster, and the loop that feeds it.

Independent of metrics and maps. A unit of work is one argument of a function; both must be picklable.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, ProcessPoolExecutor, wait
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.utils.allocator import keep_freed_memory
from causaliqa.utils.garbage import collect_rarely
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DaskPool", "LocalPool", "WorkerLostError", "WorkerPool", "carry_out"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")

_MAX_ATTEMPTS = 3
"""Worker crashes after which a unit is given up."""

_GONE = "the scheduler was lost; finished work is kept, run the same command again to continue"


class WorkerLostError(CausaliqaError):
    """Every worker that received a unit crashed."""


class WorkerPool(Protocol):
    """Workers that process one unit at a time; a context manager that ends them."""

    @property
    def crash_errors(self) -> tuple[type[BaseException], ...]:
        """Exception types that mean the worker crashed."""
        ...

    @property
    def max_attempts(self) -> int:
        """Attempts for a unit whose worker crashed."""
        ...

    def slots(self) -> int:
        """Return the number of units that may be in flight now; it can grow."""
        ...

    def submit(self, function: Callable[[Unit], Result], unit: Unit) -> Future[Result]:
        """Submit a unit; at most :meth:`slots` may be in flight."""
        ...

    def __enter__(self) -> Self:
        """Return itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers; unfinished units are dropped."""
        ...


def carry_out(
    pool: WorkerPool, function: Callable[[Unit], Result], units: Iterable[Unit]
) -> Iterator[tuple[Unit, Result | WorkerLostError]]:
    """Yield every unit with its result as it completes, in any order.

    Units are taken from the iterable when a worker is free. A unit whose worker crashed is submitted again.

    Args:
        pool: workers.
        function: applied to every unit; must be importable from a module.
        units: arguments of the function.

    Raises:
        CausaliqaError: the function raised an error; other exceptions are converted to this type.

    Example:
        >>> with LocalPool(2) as pool:
        ...     sorted(result for _, result in carry_out(pool, abs, [-1, 2, -3]))
        [1, 2, 3]
    """
    rest = iter(units)
    in_flight: dict[Future[Result], tuple[Unit, int]] = {}
    while True:
        for unit in islice(rest, max(0, pool.slots() - len(in_flight))):
            in_flight[pool.submit(function, unit)] = unit, 1
        if not in_flight:
            return
        # The timeout lets workers that join receive units before another one completes.
        for future in wait(in_flight, timeout=5, return_when=FIRST_COMPLETED).done:
            unit, count = in_flight.pop(future)
            try:
                yield unit, _result(future, pool)
            except WorkerLostError as error:
                if count < pool.max_attempts:
                    in_flight[pool.submit(function, unit)] = unit, count + 1
                else:
                    yield unit, error


def _result(future: Future[Result], pool: WorkerPool) -> Result:
    try:
        return future.result()
    except pool.crash_errors as error:
        raise WorkerLostError("every worker that received this crashed; is there enough memory?") from error
    except CausaliqaError:
        raise
    except CancelledError as error:
        raise CausaliqaError(_GONE) from error
    except Exception as error:
        raise CausaliqaError(
            f"a worker failed: {brief(error)}; expected the same packages as here on every worker"
        ) from error


class LocalPool:
    """Processes on this machine that share torch's threads and the GPUs.

    Every slot has a pool of one process, so that a crash is attributed to its unit and affects no other.

    Args:
        jobs: number of processes.

    Raises:
        InputError: ``jobs`` is below 1.
    """

    crash_errors: tuple[type[BaseException], ...] = (BrokenExecutor,)
    max_attempts = _MAX_ATTEMPTS

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise InputError(f"jobs: got {jobs}, expected 1 or more")
        self._context = multiprocessing.get_context("spawn")
        self._pools: list[ProcessPoolExecutor | None] = [None] * jobs
        self._submitted: list[Future[Any] | None] = [None] * jobs
        self._read_end, self._write_end = self._context.Pipe(duplex=False)

    def slots(self) -> int:
        return len(self._pools)

    def submit(self, function: Callable[[Unit], Result], unit: Unit) -> Future[Result]:
        slot = next(k for k, given in enumerate(self._submitted) if given is None or given.done())
        try:
            future = (self._pools[slot] or self._start(slot)).submit(function, unit)
        except BrokenExecutor:
            future = self._start(slot).submit(function, unit)
        self._submitted[slot] = future
        return future

    def _start(self, slot: int) -> ProcessPoolExecutor:
        start = (self._read_end, slot, len(self._pools))
        pool = ProcessPoolExecutor(1, mp_context=self._context, initializer=_begin, initargs=start)
        self._pools[slot] = pool
        return pool

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pools = [pool for pool in self._pools if pool is not None]
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        # Ends workers that are still busy.
        self._write_end.close()
        for pool in pools:
            pool.shutdown(wait=True)
        self._read_end.close()


def _begin(alive: Connection, slot: int, jobs: int) -> None:
    """Initialise a worker: end with the parent process, ignore Ctrl-C, share cores and GPUs."""
    keep_freed_memory()
    collect_rarely()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
    if torch.cuda.is_available():
        torch.cuda.set_device(slot % torch.cuda.device_count())


def _end_with(alive: Connection) -> None:
    """End this process as soon as the parent's end of the pipe is closed, also after a kill."""
    multiprocessing.connection.wait([alive])
    os._exit(1)


class DaskPool:
    """The workers of a Dask cluster, which may join and leave; the cluster keeps running afterwards.

    Args:
        address: address of the scheduler, for example ``tcp://node1:8786``.
        timeout: seconds to wait for the connection.

    Raises:
        InputError: Dask is not installed, or the scheduler does not answer.
    """

    max_attempts = 1  # The scheduler retries by itself, three times.

    def __init__(self, address: str, *, timeout: float = 10) -> None:
        try:
            from distributed import Client, KilledWorker
        except ImportError as error:
            raise InputError("a scheduler needs Dask: pip install 'causaliqa[dask]'") from error
        self.crash_errors: tuple[type[BaseException], ...] = (KilledWorker,)
        try:
            self._client = Client(address, timeout=timeout, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"scheduler {address!r} does not answer ({brief(error, 150, kind=False)}); "
                "expected an address such as tcp://HOST:8786, as `dask scheduler` prints it"
            ) from error

    def slots(self) -> int:
        try:
            workers = len(self._client.nthreads())
        except OSError as error:
            raise CausaliqaError(_GONE) from error
        # Two per worker, so that none idles.
        return 2 * max(1, workers)

    def submit(self, function: Callable[[Unit], Result], unit: Unit) -> Future[Result]:
        future: Future[Result] = Future()
        # pure=False: equal units are computed separately.
        self._client.submit(function, unit, pure=False).add_done_callback(partial(_hand_over, future))
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The scheduler drops units without a waiting client.
        self._client.close()


def worker_pool(jobs: int, scheduler: str | None) -> WorkerPool | None:
    """Return the workers that were asked for; None where this process does the work.

    Raises:
        InputError: there is no scheduler at the address.
    """
    if scheduler:
        return DaskPool(scheduler)
    return LocalPool(jobs) if jobs > 1 else None


def _hand_over(future: Future[Any], remote: Any) -> None:
    """Copy the outcome of a Dask future to a standard future."""
    # Dask's own executor writes a traceback to stderr for every cancelled unit.
    try:
        future.set_result(remote.result())
    except asyncio.CancelledError:
        future.set_exception(CancelledError())
    except Exception as error:
        future.set_exception(error)
