"""Causal effect maps of many networks and images in one call: maps, table, figure and page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.effects.bench import BenchCell, BenchRun, CellResult, make_bench
from causaliqa.effects.bench_file import BenchNetwork, bench_networks, read_networks
from causaliqa.effects.bench_forecast import check_limit, forecast_bench
from causaliqa.effects.settings import CemSettings, settings_with
from causaliqa.report.bench_table import METHOD, cell_rows, compact, render, statistics
from causaliqa.report.provenance import PYIQA_NOTE, Provenance
from causaliqa.utils.files import write_text
from causaliqa.utils.versions import versions

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from causaliqa.effects.settings import ImageLike

__all__ = ["EffectBench", "effect_bench", "image_files"]


@dataclass(frozen=True, kw_only=True)
class EffectBench:
    """What :func:`effect_bench` returns."""

    cells: tuple[tuple[BenchCell, CellResult], ...] = field(repr=False)
    """The maps that were made, network by network."""
    failures: tuple[tuple[BenchCell, CausaliqaError], ...] = ()
    """The maps that could not be made, and why."""
    rows: pd.DataFrame = field(repr=False)
    """One row a map."""
    table: pd.DataFrame
    """One row a network and task: means over images with intervals, see
    :func:`causaliqa.report.bench_table.statistics`."""

    @classmethod
    def of(cls, results: Sequence[tuple[BenchCell, CellResult | CausaliqaError]]) -> EffectBench:
        """Put together what :func:`causaliqa.effects.bench.make_bench` yields."""
        good = tuple((cell, result) for cell, result in results if isinstance(result, CellResult))
        bad = tuple((cell, result) for cell, result in results if isinstance(result, CausaliqaError))
        rows = cell_rows(good)
        return cls(cells=good, failures=bad, rows=rows, table=statistics(rows))

    def to_text(self, form: str = "plain") -> str:
        """Return the table as ``plain``, ``github``, ``csv``, ``json``, ``latex``, or everything as page ``html``."""
        return self.page() if form == "html" else render(self.table, form)

    def figure(self) -> Figure:
        """Draw shares and ranges of effects by year, as in Figure 10 of the paper.

        Raises:
            InputError: there is no map.
        """
        from causaliqa.report.bench_plot import draw_bench

        if not self.cells:
            raise InputError("effect bench: no map was made, so there is nothing to draw")
        return draw_bench(self.table)

    def page(self, *, bound: float | None = None) -> str:
        """Return a page with the figure, the maps of networks x images, and the table.

        Args:
            bound: effect, in the unit of the measure, at which the colour maps saturate; by default the largest.

        Raises:
            InputError: there is no map.
        """
        from causaliqa.report.map_table import gallery
        from causaliqa.report.page import page
        from causaliqa.utils.figures import data_url

        overview = data_url(self.figure())
        maps = {
            str(key): replace(result.effects, facts={**result.effects.facts, "restorer": cell.network.label})
            for key, (cell, result) in enumerate(self.cells)
        }
        attributions = {str(key): r.attribution for key, (_, r) in enumerate(self.cells) if r.attribution is not None}
        made = gallery(maps, compact(self.table), bound=bound, attributions=attributions)
        facts = Provenance(versions=versions(), seed=None, notes=(METHOD, PYIQA_NOTE))
        return page(None, facts, gallery=replace(made, overview=overview))

    def save(self, folder: str | os.PathLike[str], *, figures: str = "png", bound: float | None = None) -> list[Path]:
        """Write ``maps.csv`` (one line a map), ``table.csv``, ``table.tex``, ``page.html`` and ``bench.png``.

        Args:
            folder: where to.
            figures: formats of the picture, such as ``"pdf"`` or ``"png,svg"``.
            bound: of the page, see :meth:`page`.

        Returns:
            The files that were written.
        """
        from causaliqa.report.table import rows_csv
        from causaliqa.utils.figures import formats, save

        there = Path(folder)
        texts = {
            "maps.csv": rows_csv(self.rows),
            "table.csv": self.to_text("csv"),
            "table.tex": self.to_text("latex"),
            "page.html": self.page(bound=bound),
        }
        written = [write_text(text, there / name) for name, text in texts.items()]
        return written + [save(self.figure(), there / f"bench{suffix}") for suffix in formats(figures)]

    def __str__(self) -> str:
        return self.to_text()


def image_files(paths: Sequence[ImageLike]) -> tuple[ImageLike, ...]:
    """Return images with folders replaced by the images in them, sorted by name.

    Raises:
        InputError: a folder holds no image.
    """
    from causaliqa.io.images import image_suffixes

    found: list[ImageLike] = []
    for path in paths:
        if not isinstance(path, str | os.PathLike) or not Path(path).is_dir():
            found.append(path)
            continue
        inside = sorted(f for f in Path(path).iterdir() if f.suffix.lower() in image_suffixes() and f.is_file())
        if not inside:
            raise InputError(f"folder {os.fspath(path)!r} holds no image")
        found += inside
    return tuple(found)


def effect_bench(
    networks: str | os.PathLike[str] | Sequence[Any],
    images: ImageLike | Sequence[ImageLike],
    roi: Any = "auto",
    *,
    progress: bool = True,
    **options: Any,
) -> EffectBench:
    """Make causal effect maps of every network and image: what ``causaliqa cem-bench`` does.

    Args:
        networks: a YAML file, or a list of names, modules, mappings or
            :class:`causaliqa.effects.bench_file.BenchNetwork`.
        images: ground truths, or folders of them; see :func:`causaliqa.effect_maps`.
        roi: region of interest or several, in output pixels; ``"auto:count=2"`` proposes two of every image.
        progress: show progress bars on stderr.
        options: further fields of :class:`causaliqa.effects.bench.BenchRun` (``task``, ``out``, ``lam``, ``jobs``...)
            and of :class:`causaliqa.CemSettings` (``strategy``, ``fine``, ``seed``...).

    Raises:
        InputError: a name is unknown, an image does not exist, options contradict each other, or the grid costs more
            than its ``limit``.

    Example:
        >>> import torch
        >>> made = effect_bench(
        ...     [{"network": torch.nn.AvgPool2d(3, 1, 1), "name": "mean"}], torch.rand(3, 32, 32), "8,8,8,8",
        ...     task="denoise", fine=2, device="cpu", progress=False,
        ... )
        >>> list(made.table["network"]), made.rows["roi"].tolist()
        (['mean'], ['8,8,8,8'])
    """
    run = bench_run(networks, images, roi, options)
    if run.limit:
        check_limit(run, forecast_bench(run))
    return EffectBench.of(list(make_bench(run, progress=progress)))


def bench_run(networks: Any, images: Any, roi: Any, options: dict[str, Any]) -> BenchRun:
    """Return the run that :func:`effect_bench` asks for.

    Raises:
        InputError: a field is unknown or out of range.
    """
    named = isinstance(networks, str | os.PathLike)
    listed: tuple[BenchNetwork, ...] = read_networks(networks) if named else bench_networks(networks)
    own = {key: value for key, value in options.items() if key in BenchRun.__dataclass_fields__ and key != "settings"}
    settings: CemSettings | None = options.get("settings")
    rest = {key: value for key, value in options.items() if key not in own and key != "settings"}
    several = isinstance(roi, list | tuple) and roi and not isinstance(roi[0], int)
    return BenchRun(
        networks=listed,
        images=image_files(images if isinstance(images, list | tuple) else [images]),
        regions=tuple(roi) if several else (roi,),
        settings=settings_with(settings, rest),
        **own,
    )
