"""Work in other processes: a team of workers on this machine or on a Dask cluster, and the loop that keeps it busy.

Knows nothing of metrics, maps or names. A unit of work is a function and one argument, both picklable.
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
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DaskPool", "LocalPool", "WorkerLostError", "WorkerPool", "carry_out"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")

_MAX_ATTEMPTS = 3
"""Workers that may die of one unit before it is given up."""

_GONE = "the scheduler has gone; what was finished is kept, start the same command again to go on"


class WorkerLostError(CausaliqaError):
    """The workers that were given a unit died, again and again."""


class WorkerPool(Protocol):
    """Workers that take one unit at a time; a context manager that leaves none behind."""

    @property
    def crash_errors(self) -> tuple[type[BaseException], ...]:
        """What a unit raises whose worker died."""
        ...

    @property
    def max_attempts(self) -> int:
        """How often such a unit is handed out."""
        ...

    def slots(self) -> int:
        """Number of units that may be under way now; it grows where workers join."""
        ...

    def submit(self, function: Callable[[Unit], Result], unit: Unit) -> Future[Result]:
        """Hand out a unit; at most :meth:`slots` at a time."""
        ...

    def __enter__(self) -> Self:
        """Return itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the workers go; what they have not finished is dropped."""
        ...


def carry_out(
    pool: WorkerPool, function: Callable[[Unit], Result], units: Iterable[Unit]
) -> Iterator[tuple[Unit, Result | WorkerLostError]]:
    """Yield every unit with its result as soon as it is there, in any order.

    Units are taken from the iterable when a worker is free for them. One whose worker died is handed out again.

    Args:
        pool: who does the work.
        function: what is done with a unit; a function of a module.
        units: what it is done with.

    Raises:
        CausaliqaError: the function raised it; anything else that it raises becomes one.

    Example:
        >>> with LocalPool(2) as pool:
        ...     sorted(result for _, result in carry_out(pool, abs, [-1, 2, -3]))
        [1, 2, 3]
    """
    rest = iter(units)
    under_way: dict[Future[Result], tuple[Unit, int]] = {}
    while True:
        for unit in islice(rest, max(0, pool.slots() - len(under_way))):
            under_way[pool.submit(function, unit)] = unit, 1
        if not under_way:
            return
        # Where workers may join, look again now and then, though nothing was finished.
        for future in wait(under_way, timeout=5, return_when=FIRST_COMPLETED).done:
            unit, count = under_way.pop(future)
            try:
                yield unit, _result(future, pool)
            except WorkerLostError as error:
                if count < pool.max_attempts:
                    under_way[pool.submit(function, unit)] = unit, count + 1
                else:
                    yield unit, error


def _result(future: Future[Result], pool: WorkerPool) -> Result:
    try:
        return future.result()
    except pool.crash_errors as error:
        raise WorkerLostError("every worker that was given this died; is there enough memory?") from error
    except CausaliqaError:
        raise
    except CancelledError as error:
        raise CausaliqaError(_GONE) from error
    except Exception as error:
        raise CausaliqaError(
            f"a worker failed: {brief(error)}; expected the same packages as here on every worker"
        ) from error


class LocalPool:
    """Processes on this machine, each with its share of the threads that torch would use, and of the GPUs.

    Every slot has a pool of one process: where it dies, it is clear what it died of, and no other unit is touched.

    Args:
        jobs: number of processes.

    Raises:
        InputError: the number is not positive.
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
        # Whoever is still at work ends now.
        self._write_end.close()
        for pool in pools:
            pool.shutdown(wait=True)
        self._read_end.close()


def _begin(life: Connection, slot: int, jobs: int) -> None:
    """Prepare a worker: it ends with this process, leaves Ctrl-C to it, and shares cores and GPUs with the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(life,), daemon=True).start()
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
    if torch.cuda.is_available():
        torch.cuda.set_device(slot % torch.cuda.device_count())


def _end_with(life: Connection) -> None:
    """End this process at once when the other end of the pipe is closed, also by a kill."""
    multiprocessing.connection.wait([life])
    os._exit(1)


class DaskPool:
    """The workers of a Dask cluster; they may come and go. The cluster itself is left as it is.

    Args:
        address: of the scheduler, for example ``tcp://node1:8786``.
        timeout: seconds to wait for its first answer.

    Raises:
        InputError: Dask is not installed, or nobody answers there.
    """

    max_attempts = 1  # The scheduler itself hands out a unit again, three times.

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
        # One more for each, so that none waits for us.
        return 2 * max(1, workers)

    def submit(self, function: Callable[[Unit], Result], unit: Unit) -> Future[Result]:
        future: Future[Result] = Future()
        # Two units may look alike; each is worked on.
        self._client.submit(function, unit, pure=False).add_done_callback(partial(_hand_over, future))
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Units that nobody waits for any more are dropped by the scheduler.
        self._client.close()


def _hand_over(future: Future[Any], remote: Any) -> None:
    """Bring what became of a unit on a cluster to who waits for it."""
    # Dask's own executor writes a traceback to stderr for every unit that is cancelled.
    try:
        future.set_result(remote.result())
    except asyncio.CancelledError:
        future.set_exception(CancelledError())
    except Exception as error:
        future.set_exception(error)
