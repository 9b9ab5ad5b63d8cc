"""Causal effect maps of many images and regions: the same network makes them one by one, here or in other processes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import ROI
from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.api.specs import SamplerSpec
from causaliqa.catalog.workers import WorkerContext, build_metric, missing_on_worker, process_cache
from causaliqa.cli import _restoring, _workers
from causaliqa.utils.devices import choose_device
from causaliqa.utils.progress import intervention_bar, progress_bar
from causaliqa.utils.versions import versions

if TYPE_CHECKING:
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.effects.causal_effect_map import Forecast
    from causaliqa.effects.effect_map import EffectMap

__all__ = ["JOURNAL", "Maker", "MapRecipe", "MapUnit", "make_all", "make_unit", "units"]

JOURNAL = "cem.journal"
"""Finished patches of a map, in its folder."""

_NOT_OF_A_MAP = (
    "command",
    "run",
    "images",
    "roi",
    "out",
    "dry_run",
    "resume",
    "jobs",
    "scheduler",
    "shard",
    "registry",
)
"""Options that say which maps are made, by whom and where, but not how."""


@dataclass(frozen=True, kw_only=True)
class MapUnit:
    """One map to make."""

    image: Path
    """Ground truth."""
    roi: ROI
    """Region of interest."""
    folder: Path
    """Where the map goes, and what it can be resumed from."""


@dataclass(frozen=True, kw_only=True)
class MapRecipe:
    """How maps are made, for a process that has none of our objects."""

    context: WorkerContext
    """How names and paths are resolved."""
    options: tuple[tuple[str, Any], ...]
    """Options of the command."""

    @classmethod
    def of(cls, args: argparse.Namespace, catalog: Catalog) -> MapRecipe:
        """Take what decides a map from the command line."""
        options = tuple((name, value) for name, value in vars(args).items() if name not in _NOT_OF_A_MAP)
        return cls(context=_workers.worker_context(args, catalog), options=options)


class Maker:
    """A network with everything that its maps are made with, built once.

    Args:
        names: the catalogue.
        args: options of the command.
        device: where the network runs.

    Raises:
        CausaliqaError: something cannot be built.
    """

    def __init__(self, catalog: Catalog, args: argparse.Namespace, device: str) -> None:
        from causaliqa.effects.causal_effect_map import CausalEffectMap

        self.args = args
        self.options = _options(catalog, args)
        restorer = _restoring.restorer(catalog, args, device)
        measure: Any = "psnr"
        if args.measure != "psnr":
            measure = build_metric(catalog, args.measure, "cpu", args.seed)
        self._cem = CausalEffectMap(restorer, scale=self.options["degradation"].scale, measure=measure, device=device)

    def forecast(self, unit: MapUnit) -> Forecast:
        """Say what a map would take."""
        from causaliqa.io.images import load_image

        return self._cem.forecast(load_image(unit.image), unit.roi, **self.options)

    def make(self, unit: MapUnit, progress: Callable[[int, int], None] | None = None) -> str:
        """Make a map, or what its journal lacks of it, and write it; return a line of statistics."""
        from causaliqa.io.images import load_image

        args, image = self.args, load_image(unit.image)
        made = self._cem.attribute(image, unit.roi, resume=unit.folder / JOURNAL, progress=progress, **self.options)
        facts = {"restorer": args.restorer, "task": args.task, "image": unit.image.name, **made.facts}
        made = replace(made, facts={**facts, "measure": args.measure, "versions": versions()})
        made.save(unit.folder, bound=args.bound, title=f"{args.restorer} · {args.task} · {unit.image.name}")
        return _line(made, unit)


def units(images: Sequence[Path], regions: Sequence[ROI], out: Path) -> list[MapUnit]:
    """Return every map of images and regions: one goes into the folder itself, more get folders of their own in it.

    Raises:
        InputError: two images would share a folder.

    Example:
        >>> [str(unit.folder) for unit in units([Path("a.png"), Path("b.png")], [ROI(0, 0, 8, 8)], Path("out"))]
        ['out/a', 'out/b']
    """
    stems = [image.stem for image in images]
    if doubled := [image for image in images if stems.count(image.stem) > 1]:
        raise InputError(
            f"cem: {doubled[0]} and {doubled[1]} would both be written to {out / doubled[0].stem}; rename one"
        )
    found = []
    for image in images:
        for roi in dict.fromkeys(regions):
            folder = out / image.stem if len(images) > 1 else out
            folder = folder / f"roi-{str(roi).replace(',', '-')}" if len(regions) > 1 else folder
            found.append(MapUnit(image=image, roi=roi, folder=folder))
    return found


def make_unit(recipe: MapRecipe, unit: MapUnit) -> str | CausaliqaError:
    """Make a map in this process; return its line, or why there is none.

    Raises:
        CausaliqaError: no map can be made here: files are missing, or the network cannot be built.
    """
    with recipe.context.entered() as catalog:
        if not unit.image.parent.is_dir():
            raise missing_on_worker(unit.image.parent)
        built = process_cache(recipe)
        if "maker" not in built:
            args = argparse.Namespace(**dict(recipe.options))
            built["maker"] = Maker(catalog, args, choose_device(args.device))
        maker: Maker = built["maker"]
        return _outcome(partial(maker.make, unit))


def make_all(
    args: argparse.Namespace, catalog: Catalog, todo: Sequence[MapUnit]
) -> Iterator[tuple[MapUnit, str | CausaliqaError]]:
    """Yield every map's line in order, or why there is none; a map that fails costs itself only.

    Raises:
        CausaliqaError: no map can be made.
    """
    here, _ = _workers.devices(args)
    # Where others do the work, what is wrong with an option is said before they start.
    maker = Maker(catalog, args, here)
    workers = _workers.worker_pool(args)
    if workers is None:
        for unit in todo:
            with intervention_bar() as show:
                outcome = _outcome(partial(maker.make, unit, show))
            yield unit, outcome
        return
    from causaliqa.utils.executors import carry_out

    del maker
    waiting = list(todo)
    outcomes: dict[MapUnit, str | CausaliqaError] = {}
    with workers, progress_bar(len(todo), "maps", "map") as bar:
        for unit, outcome in carry_out(workers, partial(make_unit, MapRecipe.of(args, catalog)), todo):
            seen = isinstance(outcome, CausaliqaError) or (unit.folder / "summary.json").is_file()
            outcomes[unit] = outcome if seen else _unseen(unit)
            bar.update(1)
            while waiting and waiting[0] in outcomes:
                yield waiting[0], outcomes[waiting.pop(0)]


def _unseen(unit: MapUnit) -> InputError:
    return InputError(
        f"a worker has written {unit.folder}, but it is not to be seen here; expected --out in a folder that all "
        "machines share"
    )


def _outcome(make: Callable[[], str]) -> str | CausaliqaError:
    try:
        return make()
    except CausaliqaError as error:
        return error
    except Exception as error:
        return CausaliqaError(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _options(catalog: Catalog, args: argparse.Namespace) -> dict[str, Any]:
    """Build degradation and sampler, and return the arguments of the map."""
    from causaliqa.catalog.request import parse_request

    sampler_name, sampler = parse_request(args.sampler)
    if args.library is not None:
        sampler["library"] = args.library
    return {
        "degradation": _restoring.degradation(catalog, args),
        "sampler": catalog.create(SamplerSpec, sampler_name, **sampler),
        "patch_size": args.patch_size,
        "strategy": args.strategy,
        "coarse": args.coarse,
        "fine": args.fine,
        "interventions": args.interventions,
        "tolerance": args.tolerance,
        "budget": args.budget,
        "precision": args.precision,
        "seed": args.seed,
        "image_seed": args.image_seed,
        "batch_size": "auto" if args.batch_size == "auto" else int(args.batch_size),
        "prune": not args.no_prune,
    }


def _line(made: EffectMap, unit: MapUnit) -> str:
    s = made.summary()
    return (
        f"{unit.roi}\tpositive {s['positive_percent']:.2f} %\tnegative {s['negative_percent']:.2f} %\t"
        f"none {s['none_percent']:.2f} %\trange {s['min']:+.3f} to {s['max']:+.3f} dB\t{unit.folder}"
    )
