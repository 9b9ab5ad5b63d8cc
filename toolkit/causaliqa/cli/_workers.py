"""What ``leaderboard`` and ``cem`` share: work in several processes, on several machines, or a part of it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import InputError
from causaliqa.cli import _common

if TYPE_CHECKING:
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.catalog.workers import Workplace
    from causaliqa.utils.executors import Team

__all__ = ["add_arguments", "check", "devices", "is_asked", "shard_of", "team", "tell_shard", "workplace"]


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


def team(args: argparse.Namespace) -> Team | None:
    """Return the workers that were asked for; None where this process does the work.

    Raises:
        InputError: there is no scheduler at the address.
    """
    from causaliqa.utils.executors import DaskTeam, LocalTeam

    if args.scheduler:
        return DaskTeam(args.scheduler)
    return LocalTeam(args.jobs) if args.jobs > 1 else None


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
    told = _common.choose_device(args.device)
    return "cpu" if is_asked(args) else told, told


def workplace(args: argparse.Namespace, catalog: Catalog) -> Workplace:
    """Return what a worker needs to understand names and paths as this process does."""
    from causaliqa.catalog.workers import Workplace

    disabled, strict = _common.plugin_switches(args)
    _, *users = catalog.registry.files
    registry = str(users[-1].resolve()) if users else None
    return Workplace(folder=str(Path.cwd()), registry=registry, disabled=disabled, strict_plugins=strict)


def shard_of(text: str, environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Return number (from 1) and count of ``I/N``; ``auto`` asks the environment of a SLURM array, srun or torchrun.

    Tasks of an array that start several processes each share among all of them.

    Raises:
        InputError: the text is neither, no launcher can be seen, or it counts with gaps.

    Example:
        >>> shard_of("2/3")
        (2, 3)
        >>> array = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_COUNT": "4"}
        >>> shard_of("auto", array), shard_of("auto", {**array, "RANK": "1", "WORLD_SIZE": "2"})
        ((3, 4), (6, 8))
    """
    if text != "auto":
        number, slash, count = text.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise InputError(f"--shard: got {text!r}, expected I/N with I from 1 to N, for example 1/3, or auto")
        return int(number), int(count)
    # torchrun counts over all nodes that srun gave it, so it is asked first.
    inner = _counted(environment, "RANK", ("WORLD_SIZE",)) or _counted(
        environment, "SLURM_PROCID", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
    )
    outer = _array_task(environment)
    if inner is None and outer is None:
        raise InputError(
            "--shard auto: got none of SLURM_ARRAY_TASK_ID, SLURM_PROCID and RANK in the environment; "
            "start it by a SLURM array, srun or torchrun, or say --shard I/N"
        )
    (task, tasks), (rank, ranks) = outer or (0, 1), inner or (0, 1)
    return task * ranks + rank + 1, tasks * ranks


def _array_task(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Return place (from 0) and number of tasks of a SLURM array."""
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return None
    at = _whole(environment, "SLURM_ARRAY_TASK_ID")
    count = _whole(environment, "SLURM_ARRAY_TASK_COUNT")
    first = _whole(environment, "SLURM_ARRAY_TASK_MIN")
    step = max(1, _whole(environment, "SLURM_ARRAY_TASK_STEP", "1"))
    last = _whole(environment, "SLURM_ARRAY_TASK_MAX", str(first + (count - 1) * step))
    if last != first + (count - 1) * step or not first <= at <= last or (at - first) % step:
        raise InputError(
            f"--shard auto: got task {at} of {count} numbered from {first} to {last}, expected numbers without gaps; "
            "say --shard I/N, or --array=1-N"
        )
    return (at - first) // step, count


def _counted(environment: Mapping[str, str], place: str, counts: tuple[str, ...]) -> tuple[int, int] | None:
    """Return place (from 0) and number of processes, where a launcher tells both."""
    known = next((name for name in counts if name in environment), None)
    if place not in environment or known is None:
        return None
    rank, count = _whole(environment, place), _whole(environment, known)
    if rank >= count:
        raise InputError(f"--shard auto: got {place}={rank} and {known}={count}, expected a place below the count")
    return rank, count


def _whole(environment: Mapping[str, str], name: str, default: str = "") -> int:
    text = environment.get(name, default)
    if not text.isdecimal():
        raise InputError(f"--shard auto: {name} is {text!r}, expected a whole number; say --shard I/N")
    return int(text)


def tell_shard(args: argparse.Namespace) -> tuple[int, int]:
    """Return the share that was asked for, and say on stderr which it is where the user did not."""
    number, count = shard_of(args.shard)
    if args.shard == "auto":
        print(f"causaliqa: shard {number}/{count}", file=sys.stderr)
    return number, count
