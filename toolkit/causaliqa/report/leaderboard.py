"""A leaderboard in one call: rows, table, and where they come from, ready to be written in every format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import PairDataset
from causaliqa.api.errors import InputError
from causaliqa.api.protocols import Metric
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.create import default_catalog
from causaliqa.evaluation.groups import groups_of
from causaliqa.evaluation.job import Inputs, Scored, check_breakdown, resolve, score_inputs
from causaliqa.evaluation.rank import rank, rank_groups
from causaliqa.evaluation.run import LeaderboardRun
from causaliqa.evaluation.side_table import DEFAULT_TABLES, check_subjects, check_tables
from causaliqa.evaluation.side_tables import tables_of
from causaliqa.report.board import Leaderboard
from causaliqa.report.provenance import cluster_notes
from causaliqa.report.rescue import rescued
from causaliqa.report.run_provenance import run_facts, run_provenance, run_settings
from causaliqa.report.training import training_notes, unseen_rows, with_training

if TYPE_CHECKING:
    pass

__all__ = ["leaderboard", "make_leaderboard", "ranked"]


def leaderboard(
    data: str | os.PathLike[str] | PairDataset | Iterable[str | os.PathLike[str] | PairDataset] | Mapping[str, Any],
    metrics: str | Metric | Iterable[str | Metric] | Mapping[str, Metric] = (),
    *,
    by: str | None = None,
    tables: Iterable[str] = DEFAULT_TABLES,
    subjects: int | Mapping[str, int] | None = None,
    catalog: Catalog | None = None,
    **options: Any,
) -> Leaderboard:
    """Rank metrics on labelled image pairs: what ``causaliqa leaderboard`` does.

    Args:
        data: a manifest by its path, an archive as ``"tid2013=FOLDER"``, a data set that was read, or several of them;
            or a mapping such as ``{"tid2013": folder}``.
        metrics: names ``NAME[:key=value,...]``, objects from :func:`causaliqa.create_metric` or any callable
            ``(img, ref) -> (N,)`` with ``lower_better``, or a mapping from labels to objects.
        by: break the table down by ``"type"``, ``"level"`` or ``"split"``.
        tables: further tables, of ``"protocols"``, ``"vqeg"`` and ``"pairs"``; see :func:`causaliqa.side_tables`.
        subjects: subjects behind every label, for ``"vqeg"``; see :func:`causaliqa.side_tables`.
        catalog: where names are looked up; by default what the environment asks for.
        options: further fields of :class:`~causaliqa.evaluation.run.LeaderboardRun`: ``preset``, ``scores``, ``store``,
            ``merge``, ``unseen``, ``part_of`` (also as a mapping), ``shard``, ``device``, ``seed``, ``limit``,
            ``prepare``, ``strict``, ``jobs``, ``scheduler``, ``progress``...

    Returns:
        Rows, table and provenance. A metric that fails on an image costs a row that says why.

    Raises:
        InputError: a name is unknown, a file cannot be read, or options contradict each other.
        CausaliqaError: a metric failed, with ``strict=True``.

    Example:
        >>> import tempfile
        >>> from causaliqa.builtin.datasets.graded import write_graded_set
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     manifest = write_graded_set(Path(folder), images=1, side=64)
        ...     made = leaderboard(manifest, "psnr", device="cpu", progress=False)
        >>> made
        Leaderboard of 1 metrics on severity: 25 scores
    """
    names, objects = _split(metrics)
    for key in ("scores", "merge"):
        if isinstance(given := options.get(key, ()), str | os.PathLike):
            options[key] = (given,)
    if options.get("store") is not None:
        options["store"] = Path(options["store"])
    options["merge"] = tuple(Path(path) for path in options.get("merge", ()))
    options["scores"] = tuple(os.fspath(path) for path in options.get("scores", ()))
    if isinstance(origins := options.get("part_of", ()), Mapping):
        options["part_of"] = tuple(f"{name}={origin}" for name, origin in origins.items())
    try:
        run = LeaderboardRun(data=_data(data), metrics=names, objects=objects, **options)
    except TypeError as error:
        known = ", ".join(name for name in LeaderboardRun.__dataclass_fields__ if name not in ("data", "objects"))
        raise InputError(
            f"leaderboard: {str(error).split(') ')[-1]}; it takes by, tables, subjects, catalog, {known}"
        ) from error
    return make_leaderboard(run, catalog or default_catalog(), by=by, tables=tables, subjects=subjects)


def _split(metrics: Any) -> tuple[tuple[str, ...], dict[str, Metric]]:
    """Tell names from objects."""
    if isinstance(metrics, Mapping):
        return (), dict(metrics)
    several = [metrics] if isinstance(metrics, str) or not isinstance(metrics, Iterable) else list(metrics)
    objects: dict[str, Metric] = {}
    for metric in several:
        if isinstance(metric, str):
            continue
        if not callable(metric) or not hasattr(metric, "lower_better"):
            raise InputError(
                f"metrics: got {type(metric).__name__}, expected a name or a callable (img, ref) -> (N,) with "
                "lower_better; causaliqa.create_metric makes one"
            )
        objects[str(getattr(metric, "name", type(metric).__name__))] = metric
    return tuple(metric for metric in several if isinstance(metric, str)), objects


def _data(data: Any) -> tuple[str | PairDataset, ...]:
    if isinstance(data, Mapping):
        return tuple(f"{name}={os.fspath(root)}" for name, root in data.items())
    several = [data] if isinstance(data, str | os.PathLike | PairDataset) else list(data)
    return tuple(item if isinstance(item, PairDataset) else os.fspath(item) for item in several)


def make_leaderboard(
    run: LeaderboardRun,
    catalog: Catalog,
    *,
    by: str | None = None,
    tables: Iterable[str] = DEFAULT_TABLES,
    subjects: int | Mapping[str, int] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Leaderboard:
    """Do what :func:`leaderboard` does for a run that is put together already.

    Args:
        run: what is asked for.
        catalog: where names are looked up.
        by: break the table down by a column.
        tables: further tables, as for :func:`leaderboard`.
        subjects: subjects behind every label, as for :func:`leaderboard`.
        settings: what the provenance reports as settings, instead of those of the run.

    Raises:
        InputError: a name is unknown, or no pair has a value in the column ``by``.
        CausaliqaError: a metric failed and the run is strict.
    """
    kinds = check_tables(tables)
    check_subjects(subjects)
    inputs = resolve(run, catalog)
    check_breakdown(inputs, by)
    scored = score_inputs(run, catalog, inputs)
    with rescued(scored.rows, store=run.store_file):
        return ranked(run, catalog, inputs, scored, by=by, tables=kinds, subjects=subjects, settings=settings)


def ranked(
    run: LeaderboardRun,
    catalog: Catalog,
    inputs: Inputs,
    scored: Scored,
    *,
    by: str | None = None,
    tables: Iterable[str] = DEFAULT_TABLES,
    subjects: int | Mapping[str, int] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Leaderboard:
    """Turn the scores of a run into its leaderboard; see :func:`make_leaderboard`."""
    facts = run_facts(run, catalog, inputs, scored)
    rows = unseen_rows(scored.rows, facts) if run.unseen else scored.rows
    groups = groups_of(rows)
    overall = with_training(rank_groups(groups), facts)
    prepared = (f"images: {inputs.prepared}",) if inputs.prepared else ()
    notes = (*prepared, *cluster_notes(overall), *training_notes(scored.rows, facts, unseen=run.unseen))
    stated = run_settings(run, inputs, scored, by) if settings is None else settings
    return Leaderboard(
        rows=rows,
        table=with_training(rank(rows, by=by), facts) if by else overall,
        overall=overall,
        tables=tables_of(groups, tables, subjects=subjects),
        datasets=inputs.datasets,
        built={**scored.built, **run.objects},
        provenance=run_provenance(run, catalog, inputs, facts, notes, stated),
    )
