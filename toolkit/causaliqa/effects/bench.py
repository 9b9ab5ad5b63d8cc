"""Causal effect maps of many networks and many images: a grid whose every cell is a map of its own folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import ROI
from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.workers import WorkerContext, process_cache
from causaliqa.effects.bench_file import BenchNetwork
from causaliqa.effects.bench_limit import cost_limit
from causaliqa.effects.job import MapRun, make_map, seen_here
from causaliqa.effects.map_units import MapUnit, map_units
from causaliqa.effects.parallel import in_workers
from causaliqa.effects.settings import CemSettings
from causaliqa.utils.launchers import shard_of
from causaliqa.utils.progress import intervention_bar
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.effects.interventions import Measure
    from causaliqa.effects.lam import Attribution
    from causaliqa.effects.settings import ImageLike

__all__ = ["BenchCell", "BenchRun", "CellResult", "checked_cells", "make_bench", "make_cell"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BenchCell:
    """One map of a grid."""

    number: int
    """Its place in the grid."""
    network: BenchNetwork = field(compare=False)
    """The network."""
    run: MapRun = field(compare=False)
    """What is asked of all maps of the network."""
    unit: MapUnit = field(compare=False)
    """Image, region and folder."""

    @property
    def done(self) -> bool:
        """True if the folder holds a map, of this run or of another one that will be refused."""
        return self.unit.folder is not None and (self.unit.folder / "cem.npz").is_file()


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What was made of one cell."""

    effects: EffectMap
    """The causal effect map."""
    attribution: Attribution | None = None
    """The local attribution map, if one was asked for and made."""
    note: str = ""
    """Why there is no local attribution map, if one was asked for."""


@dataclass(frozen=True, kw_only=True)
class BenchRun:
    """Everything that is asked of a grid.

    Raises:
        InputError: the fields do not fit each other.

    Example:
        >>> run = BenchRun(
        ...     networks=(BenchNetwork(network="tiny_edsr_x4", name="EDSR"),), images=("a.png",), regions=("0,0,8,8",),
        ...     task="sr", out="maps",
        ... )
        >>> [cell.unit.folder.as_posix() for cell in run.cells()]
        ['maps/EDSR/a']
    """

    networks: tuple[BenchNetwork, ...]
    """The networks."""
    images: tuple[ImageLike, ...]
    """Ground truths."""
    regions: tuple[ROI | str | Sequence[int], ...]
    """Regions of interest, in output pixels, or ``auto[:count=N,size=S]``; every one is taken of every image."""
    task: str | None = None
    """Task of networks that name none: sr, denoise, derain or that of a plugin."""
    settings: CemSettings = field(default_factory=CemSettings)
    """Settings of every map."""
    measure: str | Measure = "psnr"
    """Quality of the region: psnr, or any metric by name; in Python also a function (img, ref) -> (N,)."""
    out: str | os.PathLike[str] | None = None
    """Folder of the maps NETWORK/IMAGE, or NETWORK/IMAGE/roi-X-Y-W-H; None writes nothing."""
    figures: str = "png"
    """Formats of the pictures: png, pdf, svg, or several with commas between."""
    overwrite: bool = False
    """Begin anew in folders that hold the maps of other networks, images or settings, instead of refusing them."""
    device: str | None = None
    """Torch device; by default that of a network that is built already, else CUDA where there is one, else the CPU."""
    jobs: int = 1
    """Local processes that make maps."""
    scheduler: str | None = None
    """Address of a Dask scheduler whose workers make maps."""
    shard: str | None = None
    """``I/N`` makes every N-th map from the I-th, ``auto`` the part of this task of a SLURM array, srun or torchrun."""
    lam: bool = False
    """Make the local attribution map beside every causal effect map, too."""
    limit: str = ""
    """What the whole grid may cost: 90s, 30min, 2h, or a number of inferences; a grid whose least cost is higher is
    refused before it begins."""

    def __post_init__(self) -> None:
        if not self.networks:
            raise InputError("networks: got none, expected at least one")
        cost_limit(self.limit)
        for network in self.networks:
            self.map_run(network)

    @property
    def elsewhere(self) -> bool:
        """True if workers make the maps."""
        return bool(self.scheduler) or self.jobs > 1

    def map_run(self, network: BenchNetwork) -> MapRun:
        """Return what is asked of all maps of a network, without its images."""
        degradation = self.settings.degradation if network.degradation is None else network.degradation
        return MapRun(
            network=network.request(self.task),
            images=(),
            regions=(),
            settings=replace(self.settings, degradation=degradation),
            measure=self.measure,
            figures=self.figures,
            overwrite=self.overwrite,
            device=self.device,
            jobs=self.jobs,
            scheduler=self.scheduler,
        )

    def cells(self) -> list[BenchCell]:
        """Return the maps to make, network by network, or those of the shard.

        Raises:
            InputError: two images would share a folder, or no region can be proposed.
        """
        there = None if self.out is None else ""
        units = map_units(self.images, self.regions, there, patch_size=self.settings.patch_size, nested=True)
        found: list[BenchCell] = []
        for network in self.networks:
            run = self.map_run(network)
            for unit in units:
                own = None if self.out is None or unit.folder is None else Path(self.out) / network.folder / unit.folder
                placed = replace(unit, folder=own)
                found.append(BenchCell(number=len(found), network=network, run=run, unit=placed))
        if self.shard is None:
            return found
        number, count = shard_of(self.shard)
        return found[number - 1 :: count]


def checked_cells(run: BenchRun, catalog: Catalog) -> list[BenchCell]:
    """Return the cells after every name was looked up without loading torch.

    Raises:
        InputError: a name is unknown, or an image does not exist.
    """
    for number, network in enumerate(run.networks):
        try:
            run.map_run(network).check(catalog, ())
        except InputError as error:
            raise type(error)(f"networks: {number} ({network.label}): {error}") from error
    for image in run.images:
        if isinstance(image, str | os.PathLike) and not Path(image).is_file():
            raise InputError(f"image {image} does not exist")
    return run.cells()


def make_bench(run: BenchRun, *, progress: bool = True) -> Iterator[tuple[BenchCell, CellResult | CausaliqaError]]:
    """Yield every map of a grid in order, or why it could not be made; a map that fails does not stop the others.

    Args:
        run: what is asked; :func:`causaliqa.effects.bench_forecast.forecast_bench` says what it will cost.
        progress: show progress bars on stderr.

    Raises:
        InputError: a name is unknown, or an image does not exist.
    """
    catalog = default_catalog()
    cells = checked_cells(run, catalog)
    if run.shard == "auto":
        _LOG.warning("shard %d/%d", *shard_of(run.shard))
    if run.elsewhere:
        work = partial(make_cell, run.lam, WorkerContext.of(catalog))
        for cell, result in in_workers(work, cells, jobs=run.jobs, scheduler=run.scheduler, progress=progress):
            missing = None if isinstance(result, CausaliqaError) else seen_here(cell.unit, result.effects)
            yield cell, missing if isinstance(missing, CausaliqaError) else result
        return
    cache: dict[str, Any] = {}
    for cell in cells:
        yield cell, _cell_made(run.lam, catalog, cache, cell, progress=progress)


def make_cell(lam: bool, context: WorkerContext, cell: BenchCell) -> CellResult | CausaliqaError:
    """Make a cell in this process, a worker; return it, or why it could not be made."""
    with context.entered() as catalog:
        return _cell_made(lam, catalog, process_cache(context), cell, progress=False)


def _cell_made(
    lam: bool, catalog: Catalog, cache: dict[str, Any], cell: BenchCell, *, progress: bool
) -> CellResult | CausaliqaError:
    try:
        with intervention_bar(shown=progress) as show:
            made = make_map(cell.run, catalog, cache, cell.unit, show)
        if isinstance(made, CausaliqaError):
            return made
        return _with_attribution(cell, made) if lam else CellResult(effects=made)
    except CausaliqaError as error:
        return error
    except Exception as error:
        return CausaliqaError(brief(error))


def _with_attribution(cell: BenchCell, made: EffectMap) -> CellResult:
    """Return the cell with its local attribution map, made or read."""
    from causaliqa.effects.lam import Attribution
    from causaliqa.effects.local_attribution import local_attribution

    request, settings = cell.run.network, cell.run.settings
    folder = cell.unit.folder / "lam" if cell.unit.folder else None
    try:
        if folder is not None and (folder / "lam.npz").is_file() and not cell.run.overwrite:
            return CellResult(effects=made, attribution=Attribution.load(folder))
        attribution = local_attribution(
            request.network,
            cell.unit.image,
            cell.unit.roi,
            task=request.task,
            degradation=settings.degradation,
            scale=request.scale,
            checkpoint=request.checkpoint,
            arch_options=request.arch_options,
            seed=settings.seed if settings.image_seed is None else settings.image_seed,
            device=cell.run.device,
            effects=made,
            out=folder,
            figures=cell.run.figures,
            overwrite=True,
            progress=False,
        )
    except CausaliqaError as error:
        return CellResult(effects=made, note=str(error))
    return CellResult(effects=made, attribution=attribution)
