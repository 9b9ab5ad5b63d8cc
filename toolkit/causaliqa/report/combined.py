"""One page of scores and effect maps that were made earlier: what ``causaliqa report`` writes."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from causaliqa.api.errors import InputError
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.host import Registration
from causaliqa.effects.effect_map import EffectMap
from causaliqa.evaluation.groups import DRAWS, groups_of
from causaliqa.evaluation.rank import rank_groups, wrong_directions
from causaliqa.evaluation.side_table import DEFAULT_TABLES
from causaliqa.evaluation.side_tables import tables_of
from causaliqa.report.map_table import gallery, statistics
from causaliqa.report.merge import Source, is_store, join, read_rows, read_store
from causaliqa.report.page import board, page
from causaliqa.report.provenance import PYIQA_NOTE, MetricFacts, Provenance, cluster_notes
from causaliqa.report.thumbnails import files_below
from causaliqa.report.training import training_notes, unseen_rows, with_seen, with_training
from causaliqa.utils.text import distinct_names
from causaliqa.utils.versions import versions

__all__ = ["combined_page"]

_LOG = logging.getLogger(__name__)


def combined_page(
    sources: Sequence[str | os.PathLike[str]],
    *,
    title: str = "",
    unseen: bool = False,
    part_of: Mapping[str, str] | None = None,
    tables: Iterable[str] = DEFAULT_TABLES,
    subjects: int | Mapping[str, int] | None = None,
    thumbnails: int = 0,
    images: Sequence[str] = (),
    catalog: Catalog | None = None,
) -> tuple[str, list[str]]:
    """Recompute statistics from earlier rows and return one page of them and of effect maps.

    Args:
        sources: score stores, csv files of rows (``leaderboard --rows``) and folders of ``causaliqa cem``.
        title: heading of the page.
        unseen: leave results on a metric's own training data out of it.
        part_of: data set that the images of another one come from, by its name: ``{"tid2013_real": "tid2013"}``.
        tables: further tables; see :func:`causaliqa.side_tables`.
        subjects: subjects behind every label; see :func:`causaliqa.side_tables`.
        thumbnails: most images to show, those that metrics and labels, or metrics and metrics, disagree on most.
        images: folders that the names of images are relative to, ``ROOT`` or ``DATASET=ROOT``.
        catalog: where licences are looked up; by default what the environment asks for.

    Returns:
        The page, and a line for every correlation that contradicts the declared directions.

    Raises:
        InputError: a source does not exist, is given twice or is none of these.
    """
    paths = [Path(source) for source in sources]
    if missing := [path for path in paths if not path.exists()]:
        raise InputError(
            f"{missing[0]} does not exist; expected a store, a csv file of rows or a folder of causaliqa cem"
        )
    if repeated := [path for path in paths if paths.count(path) > 1]:
        raise InputError(f"{repeated[0]} is given twice")
    files = files_below(images)
    names = dict(zip(paths, distinct_names(paths), strict=True))
    maps = {names[path]: _read_map(path) for path in paths if path.is_dir()}
    scored = [path for path in paths if not path.is_dir()]
    records = (catalog or default_catalog()).registrations(MetricSpec) if scored else {}
    read = [_read(path, records) for path in scored]
    made, wrong = None, []
    facts: tuple[MetricFacts, ...] = ()
    notes = [PYIQA_NOTE]
    if read:
        rows, facts = join(read)
        facts = with_seen(facts, rows["dataset"], part_of or {})
        count = rows["metric"].nunique()
        _LOG.info("computing statistics of %d metrics from %d scores, which can take minutes", count, len(rows))
        notes += training_notes(rows, facts, unseen=unseen)
        rows = unseen_rows(rows, facts) if unseen else rows
        groups = groups_of(rows)
        table = with_training(rank_groups(groups), facts)
        beside = tables_of(groups, tables, subjects=subjects)
        made = board(rows, table, tables=beside, files=files, count=thumbnails)
        wrong = wrong_directions(table)
        notes += ["scores were computed earlier: the versions are those that made this page", *cluster_notes(table)]
    provenance = Provenance(
        versions=versions(),
        metrics=facts,
        settings={"sources": list(names.values())},
        seed=None,
        draws=DRAWS if read else 0,
        notes=tuple(notes),
    )
    if maps:
        _LOG.info("drawing %d maps", len(maps))
    shown = gallery(maps, statistics(maps)) if maps else None
    return page(made, provenance, gallery=shown, title=title), wrong


def _read_map(path: Path) -> EffectMap:
    _LOG.info("reading the map in %s", path)
    return EffectMap.load(path)


def _read(path: Path, records: Mapping[str, Registration[Any]]) -> Source:
    _LOG.info("reading %s", path)
    return read_store(path, records) if is_store(path) else read_rows(path)
