"""What ``leaderboard`` and ``cem`` share: work in several processes, on several machines, or a part of it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import InputError
from causaliqa.utils.devices import choose_device
from causaliqa.utils.launchers import shard_of

if TYPE_CHECKING:
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.catalog.workers import WorkerContext
    from causaliqa.utils.executors import WorkerPool

__all__ = ["add_arguments", "check", "devices", "is_asked", "tell_shard", "worker_context", "worker_pool"]


def add_arguments(command: Any) -> None:
    """Add who does the work."""
    command.add_argument("--jobs", type=int, default=1, metavar="N", help="work in N local processes (default: 1)")
    command.add_argument(
        "--scheduler", metavar="ADDRESS", help="work on the Dask cluster whose scheduler is there (extra [dask])"
    )


def check(args: argparse.Namespace) -> None:
    """Refuse what makes no sense, before anything is loaded.

    Raises:
        InputError: the number of jobs is not positive, or both kinds of workers were asked for.
    """
    if args.jobs < 1:
        raise InputError(f"--jobs: got {args.jobs}, expected 1 or more")
    if args.scheduler and args.jobs != 1:
        raise InputError("--jobs and --scheduler: got both; the cluster has workers of its own, leave --jobs out")


def worker_pool(args: argparse.Namespace) -> WorkerPool | None:
    """Return the workers that were asked for; None where this process does the work.

    Raises:
        InputError: there is no scheduler at the address.
    """
    from causaliqa.utils.executors import DaskPool, LocalPool

    if args.scheduler:
        return DaskPool(args.scheduler)
    return LocalPool(args.jobs) if args.jobs > 1 else None


def is_asked(args: argparse.Namespace) -> bool:
    """Say whether other processes do the work."""
    return bool(args.scheduler) or args.jobs > 1


def devices(args: argparse.Namespace) -> tuple[str, str]:
    """Return where this process builds, and what to tell of where the work is done.

    Where others do it, this process needs facts only. Workers of a cluster take the best device that they have.

    Raises:
        InputError: torch cannot use the device.
    """
    if args.scheduler:
        return "cpu", args.device or "the best of every worker"
    told = choose_device(args.device)
    return "cpu" if is_asked(args) else told, told


def worker_context(args: argparse.Namespace, catalog: Catalog) -> WorkerContext:
    """Return what a worker needs to resolve names and paths as this process does."""
    from causaliqa.catalog.workers import WorkerContext

    return WorkerContext.of(catalog)


def tell_shard(args: argparse.Namespace) -> tuple[int, int]:
    """Return the share that was asked for, and say on stderr which it is where the user did not."""
    number, count = shard_of(args.shard)
    if args.shard == "auto":
        print(f"causaliqa: shard {number}/{count}", file=sys.stderr)
    return number, count
