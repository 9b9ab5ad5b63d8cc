"""Causal effect maps of many images and regions by one network, made here or by workers."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import ROI
from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.workers import WorkerContext, missing_on_worker, process_cache
from causaliqa.effects.map_units import MapUnit, map_units
from causaliqa.effects.names import NetworkRequest, check_names, create_measure, label_of, with_objects
from causaliqa.effects.parallel import in_workers
from causaliqa.effects.settings import CemSettings
from causaliqa.utils.figures import formats
from causaliqa.utils.launchers import shard_of
from causaliqa.utils.progress import intervention_bar
from causaliqa.utils.text import brief
from causaliqa.utils.versions import versions

if TYPE_CHECKING:
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.effects.causal_effect_map import Forecast
    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.effects.interventions import Measure
    from causaliqa.effects.settings import ImageLike

__all__ = ["JOURNAL", "MapRun", "MapUnit", "forecast_maps", "make_map", "make_maps", "make_unit", "seen_here"]

_LOG = logging.getLogger(__name__)

JOURNAL = "cem.journal"
"""File with the finished patches of a map, in its folder."""


@dataclass(frozen=True, kw_only=True)
class MapRun:
    """Everything that is asked of a run that makes maps.

    Raises:
        InputError: the fields do not fit each other.

    Example:
        >>> request = NetworkRequest(network="tiny_edsr_x4", task="sr")
        >>> run = MapRun(network=request, images=("a.png", "b.png"), regions=("0,0,8,8",), out="maps")
        >>> [unit.folder.as_posix() for unit in run.units()]
        ['maps/a', 'maps/b']
    """

    network: NetworkRequest
    """The restoration network and its task."""
    images: tuple[ImageLike, ...]
    """Ground truths."""
    regions: tuple[ROI | str | Sequence[int], ...]
    """Regions of interest, in output pixels, or ``auto[:count=N,size=S]``; every one is taken of every image."""
    settings: CemSettings = field(default_factory=CemSettings)
    """Settings of every map."""
    measure: str | Measure = "psnr"
    """Quality of the region: psnr, or any metric by name; in Python also a function (img, ref) -> (N,)."""
    out: str | os.PathLike[str] | None = None
    """Folder of the map; of several maps, of their folders IMAGE/roi-X-Y-W-H; None writes nothing."""
    bound: float | None = None
    """Effect, in the unit of the measure, at which the colour map of the pictures saturates; by default the largest of
    each map."""
    figures: str = "png"
    """Formats of the pictures: png, pdf, svg, or several with commas between."""
    overwrite: bool = False
    """Begin anew in a folder that holds the map of another network, image or settings, instead of refusing it."""
    resume: bool = False
    """Always so, accepted for older scripts: finished patches of the same run in the folder are not made again."""
    device: str | None = None
    """Torch device; by default that of a network that is built already, else CUDA where there is one, else the CPU."""
    jobs: int = 1
    """Local processes that make maps."""
    scheduler: str | None = None
    """Address of a Dask scheduler whose workers make maps."""
    shard: str | None = None
    """``I/N`` makes every N-th map from the I-th, ``auto`` the part of this task of a SLURM array, srun or torchrun."""

    def __post_init__(self) -> None:
        formats(self.figures)
        if self.jobs < 1:
            raise InputError(f"jobs: got {self.jobs}, expected 1 or more")
        if self.scheduler and self.jobs != 1:
            raise InputError("jobs and scheduler: got both; the cluster has workers of its own, leave jobs out")
        if self.resume and self.out is None:
            raise InputError("resume: got no folder to resume from; pass out")

    @property
    def elsewhere(self) -> bool:
        """True if workers make the maps."""
        return bool(self.scheduler) or self.jobs > 1

    def units(self) -> list[MapUnit]:
        """Return the maps to make, or those of the shard.

        One map is written to ``out`` itself; several get folders of their own in it.

        Raises:
            InputError: two images would share a folder, or no region can be proposed.
        """
        found = map_units(self.images, self.regions, self.out, patch_size=self.settings.patch_size)
        if self.shard is None:
            return found
        number, count = shard_of(self.shard)
        return found[number - 1 :: count]

    def check(self, catalog: Catalog, units: Sequence[MapUnit]) -> None:
        """Look up every name without loading torch, and look for the images of some maps.

        Raises:
            InputError: a name is unknown, or an image does not exist.
        """
        self.network.check_names(catalog, self.settings.degradation)
        check_names(catalog, self.settings, self.measure)
        for unit in units:
            if isinstance(unit.image, Path) and not unit.image.is_file():
                raise InputError(f"image {unit.image} does not exist")


class _Maker:
    """A network with everything that its maps are made with, built once.

    Args:
        run: what is asked.
        catalog: resolves the names.
        device: where the network runs.

    Raises:
        CausaliqaError: something cannot be built.
    """

    def __init__(self, run: MapRun, catalog: Catalog, device: str) -> None:
        from causaliqa.effects.causal_effect_map import CausalEffectMap

        self._run = run
        restorer = run.network.restorer(catalog, device)
        degradation = run.network.degradation(catalog, run.settings.degradation, restorer)
        self._settings = with_objects(catalog, replace(run.settings, degradation=degradation), degradation.scale)
        measure = create_measure(catalog, run.measure, run.settings.seed)
        self._cem = CausalEffectMap(restorer, scale=degradation.scale, measure=measure, device=device)

    def forecast(self, unit: MapUnit) -> Forecast:
        """Estimate the cost of a map."""
        return self._cem.forecast(unit.image, unit.roi, self._settings)

    def make(self, unit: MapUnit, progress: Callable[[int, int], None] | bool = False) -> EffectMap:
        """Make a map, or the patches that its journal lacks, and write it."""
        run = self._run
        journal = unit.folder / JOURNAL if unit.folder else None
        made = self._cem.attribute(
            unit.image, unit.roi, self._settings, resume=journal, overwrite=run.overwrite, progress=progress
        )
        task = run.network.task or label_of(run.settings.degradation)
        facts = {"restorer": run.network.label, "task": task, "image": unit.name, **made.facts}
        made = replace(made, facts={**facts, "measure": label_of(run.measure), "versions": versions()})
        if unit.folder is not None:
            title = f"{run.network.label} · {task} · {unit.name}"
            made.save(unit.folder, bound=run.bound, title=title, figures=run.figures)
        return made


def forecast_maps(run: MapRun) -> Iterator[tuple[MapUnit, Forecast]]:
    """Yield what every map of a run would cost; nothing is written.

    Raises:
        CausaliqaError: no map can be made.
    """
    catalog = default_catalog()
    units = run.units()
    run.check(catalog, units)
    maker = _Maker(run, catalog, run.network.place(run.device))
    for unit in units:
        yield unit, maker.forecast(unit)


def make_maps(run: MapRun, *, progress: bool = True) -> Iterator[tuple[MapUnit, EffectMap | CausaliqaError]]:
    """Yield every map of a run in order, or why it could not be made; a map that fails does not stop the others.

    Args:
        run: what is asked.
        progress: show progress bars on stderr.

    Raises:
        CausaliqaError: no map can be made: a name is unknown, or the network cannot be built.
    """
    catalog = default_catalog()
    units = run.units()
    if run.shard == "auto":
        _LOG.warning("shard %d/%d", *shard_of(run.shard))
    run.check(catalog, units)
    # Where workers make the maps, this process builds everything once to find what is wrong with the request.
    maker = _Maker(run, catalog, "cpu" if run.elsewhere else run.network.place(run.device))
    if run.elsewhere:
        if not run.scheduler:
            run.network.place(run.device)
        del maker
        yield from _made_elsewhere(run, WorkerContext.of(catalog), units, progress=progress)
        return
    for unit in units:
        with intervention_bar(shown=progress) as show:
            outcome = _outcome(partial(maker.make, unit, show))
        yield unit, outcome


def _made_elsewhere(
    run: MapRun, context: WorkerContext, units: Sequence[MapUnit], *, progress: bool
) -> Iterator[tuple[MapUnit, EffectMap | CausaliqaError]]:
    work = partial(make_unit, replace(run, images=(), regions=()), context)
    for unit, outcome in in_workers(work, units, jobs=run.jobs, scheduler=run.scheduler, progress=progress):
        yield unit, outcome if isinstance(outcome, CausaliqaError) else seen_here(unit, outcome)


def make_unit(run: MapRun, context: WorkerContext, unit: MapUnit) -> EffectMap | CausaliqaError:
    """Make a map in this process, a worker; return it, or why it could not be made.

    Raises:
        CausaliqaError: no map can be made here: files are missing, or the network cannot be built.
    """
    with context.entered() as catalog:
        if isinstance(unit.image, Path) and not unit.image.parent.is_dir():
            raise missing_on_worker(unit.image.parent)
        return make_map(run, catalog, process_cache(context), unit)


def make_map(
    run: MapRun,
    catalog: Catalog,
    cache: dict[str, Any],
    unit: MapUnit,
    progress: Callable[[int, int], None] | bool = False,
) -> EffectMap | CausaliqaError:
    """Make a map in this process; return it, or why it could not be made.

    Args:
        run: what is asked.
        catalog: resolves the names.
        cache: keeps the network while the run stays the same.
        unit: the map.
        progress: called with interventions made and known to be needed.

    Raises:
        CausaliqaError: the network cannot be built.
    """
    if cache.get("run") != run:
        cache.clear()
        cache.update(maker=_Maker(run, catalog, run.network.place(run.device)), run=run)
    maker: _Maker = cache["maker"]
    return _outcome(partial(maker.make, unit, progress))


def seen_here(unit: MapUnit, made: EffectMap) -> EffectMap | InputError:
    """Return the map that a worker has made, or an error if its folder is not one that this process sees."""
    if unit.folder is None or (unit.folder / "summary.json").is_file():
        return made
    return InputError(
        f"a worker has written {unit.folder}, but this process does not see it; expected --out in a folder that all "
        "machines share"
    )


def _outcome(make: Callable[[], EffectMap]) -> EffectMap | CausaliqaError:
    try:
        return make()
    except CausaliqaError as error:
        return error
    except Exception as error:
        return CausaliqaError(brief(error))
