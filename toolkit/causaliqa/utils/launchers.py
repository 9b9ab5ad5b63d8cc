"""Shard of a process: as given by the user, or from the environment of SLURM or torchrun."""

from __future__ import annotations

import os
from collections.abc import Mapping

from causaliqa.api.errors import InputError

__all__ = ["shard_of"]


def shard_of(text: str, environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Return index (from 1) and count of ``I/N``; ``auto`` reads the environment of a SLURM array, srun or torchrun.

    If the tasks of an array start several processes each, the shards are numbered over all of them.

    Raises:
        InputError: the text is neither, no launcher is found, or its numbering has gaps.

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
    # torchrun counts over all nodes of srun, so it takes precedence.
    inner = _counted(environment, "RANK", ("WORLD_SIZE",)) or _counted(
        environment, "SLURM_PROCID", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
    )
    outer = _array_task(environment)
    if inner is None and outer is None:
        raise InputError(
            "--shard auto: got none of SLURM_ARRAY_TASK_ID, SLURM_PROCID and RANK in the environment; "
            "start it with a SLURM array, srun or torchrun, or use --shard I/N"
        )
    (task, tasks), (rank, ranks) = outer or (0, 1), inner or (0, 1)
    return task * ranks + rank + 1, tasks * ranks


def _array_task(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Return index (from 0) and number of tasks of a SLURM array; None without one."""
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
            "use --shard I/N, or --array=1-N"
        )
    return (at - first) // step, count


def _counted(environment: Mapping[str, str], place: str, counts: tuple[str, ...]) -> tuple[int, int] | None:
    """Return index (from 0) and number of processes; None unless a launcher sets both."""
    known = next((name for name in counts if name in environment), None)
    if place not in environment or known is None:
        return None
    rank, count = _whole(environment, place), _whole(environment, known)
    if rank >= count:
        raise InputError(f"--shard auto: got {place}={rank} and {known}={count}, expected an index below the count")
    return rank, count


def _whole(environment: Mapping[str, str], name: str, default: str = "") -> int:
    text = environment.get(name, default)
    if not text.isdecimal():
        raise InputError(f"--shard auto: {name} is {text!r}, expected a whole number; use --shard I/N")
    return int(text)
