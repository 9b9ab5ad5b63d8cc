"""What a leaderboard is asked for: names, paths and numbers. Nothing is resolved, so that it can be sent and stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from causaliqa.api.data import PairDataset
from causaliqa.api.errors import InputError
from causaliqa.api.protocols import Metric
from causaliqa.catalog.training import origins_of
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.utils.launchers import shard_of

__all__ = ["LeaderboardRun"]


@dataclass(frozen=True, kw_only=True)
class LeaderboardRun:
    """Everything that decides the rows of a leaderboard, and who computes them.

    Raises:
        InputError: options contradict each other or are out of range.

    Example:
        >>> LeaderboardRun(data=("set.csv",), metrics=("psnr",), store=Path("s-{shard}.sqlite"), shard="2/3").store_file
        PosixPath('s-2-of-3.sqlite')
    """

    data: tuple[str | PairDataset, ...]
    """Labelled pairs: ``MANIFEST.csv``, ``NAME=ROOT`` of an archive, or a data set that is read already."""
    metrics: tuple[str, ...] = ()
    """Metrics by name, ``NAME[:key=value,...]``; ``NAME:lower_better=true`` declares a column of :attr:`scores`."""
    objects: Mapping[str, Metric] = field(default_factory=dict)
    """Metrics that are built already, by the label that the table shows."""
    preset: str | None = None
    """List of metrics in registry.yaml."""
    scores: tuple[str, ...] = ()
    """Files of scores that were computed elsewhere, ``[PREFIX=]FILE.csv``."""
    allow_outside: bool = False
    """Paths in a manifest may lead out of its folder."""
    licences: Literal["any", "permissive"] = "any"
    """``permissive`` refuses metrics and weights that are not Apache-2.0, MIT or BSD."""
    store: Path | None = None
    """File that keeps every score; ``{shard}`` in its name stands for I-of-N."""
    merge: tuple[Path, ...] = ()
    """Stores whose scores are taken over first."""
    shard: str | None = None
    """``I/N``, or ``auto`` to ask the environment of SLURM or torchrun: score this share of the references only."""
    device: str | None = None
    """Torch device; None for CUDA where there is one, else the CPU."""
    seed: int = 0
    """Seed of metrics that take one."""
    prepare: Preparation = AS_THEY_ARE
    """What is done to every pair before it is scored; part of the key of every score."""
    limit: int | None = None
    """First so many pairs of every data set only."""
    unseen: bool = False
    """Leave results on a metric's own training data out of the tables; its scores are computed and stored all the
    same."""
    part_of: tuple[str, ...] = ()
    """``NAME=SET``: the images of the data set NAME come from SET, so what was trained on SET has seen them."""
    strict: bool = False
    """Stop at the first failure instead of writing it into a row."""
    jobs: int = 1
    """Local processes that do the work."""
    scheduler: str | None = None
    """Address of a Dask scheduler whose workers do the work instead."""
    progress: bool = True
    """Show a progress bar on stderr."""

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise InputError(f"jobs: got {self.jobs}, expected 1 or more")
        if self.scheduler and self.jobs != 1:
            raise InputError("jobs and scheduler: got both; the cluster has workers of its own, leave jobs out")
        if self.shard and self.store is None:
            raise InputError("shard: --store FILE is missing, where the scores of a share go; every share has its own")
        if self.shard and self.scores:
            raise InputError("shard: got --scores, which belong to the run that merges the shards; leave them out")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"limit: got {self.limit}, expected 1 or more")
        origins_of(self.part_of)
        if self.objects and self.uses_workers:
            names = ", ".join(self.objects)
            raise InputError(f"metrics: got objects ({names}), which workers cannot build; pass names, or jobs=1")

    @property
    def uses_workers(self) -> bool:
        """Whether other processes do the work."""
        return bool(self.scheduler) or self.jobs > 1

    @property
    def origins(self) -> dict[str, str]:
        """Data sets that the images of others come from, see :attr:`part_of`."""
        return origins_of(self.part_of)

    @property
    def shard_place(self) -> tuple[int, int] | None:
        """Number (from 1) and count of the shards; None without :attr:`shard`."""
        return shard_of(self.shard) if self.shard else None

    @property
    def store_file(self) -> Path | None:
        """The store, with the number of the shard in its name where it asks for it."""
        if self.store is None or self.shard_place is None:
            return self.store
        number, count = self.shard_place
        return Path(str(self.store).replace("{shard}", f"{number}-of-{count}"))
