"""A leaderboard in one call: rows, table, and where they come from, ready to be written in every format."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import PairDataset
from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.api.protocols import Metric
from causaliqa.api.specs import DatasetSpec, MetricSpec
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.request import parse_request
from causaliqa.evaluation.job import Inputs, Scored, resolve, score_inputs
from causaliqa.evaluation.rank import DRAWS, rank, wrong_directions
from causaliqa.evaluation.run import LeaderboardRun
from causaliqa.io.weights import sha256
from causaliqa.report.formats import format_of
from causaliqa.report.provenance import (
    PYIQA_NOTE,
    MetricFacts,
    Provenance,
    cluster_notes,
    metric_facts,
    plugin_versions,
)
from causaliqa.report.table import document, render, rows_csv
from causaliqa.report.training import training_notes, unseen_rows, with_training
from causaliqa.utils.caches import temporary_root
from causaliqa.utils.files import write_text
from causaliqa.utils.text import brief, without_folders
from causaliqa.utils.versions import versions

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Leaderboard",
    "check_breakdown",
    "leaderboard",
    "make_leaderboard",
    "ranked",
    "rescued",
]


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """What :func:`leaderboard` returns."""

    rows: pd.DataFrame = field(repr=False)
    """One line per pair and metric behind the tables, columns of :class:`~causaliqa.api.data.ScoreRow`."""
    table: pd.DataFrame
    """Statistics per data set and metric (and type, level or split), as :func:`causaliqa.rank` returns them."""
    overall: pd.DataFrame = field(repr=False)
    """Statistics over whole data sets; the same as :attr:`table` unless that is broken down."""
    provenance: Provenance = field(repr=False)
    """Versions, settings, seeds, weights and licences behind the numbers."""

    @property
    def failures(self) -> pd.DataFrame:
        """The rows without a score."""
        return self.rows[self.rows["error"] != ""]

    @property
    def wrong_directions(self) -> list[str]:
        """One line for every correlation that contradicts the declared directions significantly."""
        return wrong_directions(self.overall)

    def to_text(self, form: str = "plain") -> str:
        """Return the leaderboard in one of the formats ``plain``, ``github``, ``csv``, ``json``, ``latex``, ``html``.

        Raises:
            InputError: the format is unknown.
        """
        if form == "html":
            from causaliqa.report.page import board, page

            return page(board(self.rows, self.overall), self.provenance)
        return render(self.table, form, self.provenance)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the page, and write it to a file if there is a path."""
        return self._written("html", path)

    def to_latex(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the table for booktabs, and write it to a file if there is a path."""
        return self._written("latex", path)

    def to_markdown(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the table in GitHub's Markdown, and write it to a file if there is a path."""
        return self._written("github", path)

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the table as csv; with a path, write it and ``PATH.json`` with its provenance."""
        return self._written("csv", path)

    def save(self, path: str | os.PathLike[str], form: str | None = None) -> list[Path]:
        """Write the leaderboard in a format, by default that of the suffix.

        A csv file gets ``PATH.json`` with its provenance beside it.

        Returns:
            The files that were written.

        Raises:
            InputError: the format is unknown, or another one than the suffix says.
            OutputError: a file cannot be written.
        """
        out, form = Path(path), format_of(path, form)
        write_text(self.to_text(form), out)
        if form != "csv":
            return [out]
        facts = {key: value for key, value in document(self.table, self.provenance).items() if key != "rows"}
        beside = out.with_name(f"{out.name}.json")
        write_text(json.dumps(facts, indent=2, default=str), beside)
        return [out, beside]

    def save_rows(self, path: str | os.PathLike[str]) -> Path:
        """Write every single score as csv; :func:`causaliqa.rank` and ``causaliqa report`` read it again."""
        write_text(rows_csv(self.rows), Path(path))
        return Path(path)

    def figure(self, path: str | os.PathLike[str], *, title: str = "", label: str = "") -> Path:
        """Draw scores against labels with the fitted curves, as PNG, PDF or SVG by the suffix.

        Raises:
            InputError: the suffix names no kind of picture.
            OutputError: the file cannot be written.
        """
        from causaliqa.report.scatter import scatter_panels

        return scatter_panels(self.rows, Path(path), table=self.overall, title=title, label=label)

    def _written(self, form: str, path: str | os.PathLike[str] | None) -> str:
        if path is not None:
            self.save(path, form)
        return self.to_text(form)

    def __str__(self) -> str:
        return self.to_text("plain")

    def __repr__(self) -> str:
        sets = ", ".join(dict.fromkeys(self.table["dataset"]))
        failed = f", {len(self.failures)} failed" if len(self.failures) else ""
        return f"Leaderboard of {self.table['metric'].nunique()} metrics on {sets}: {len(self.rows)} scores{failed}"

    def _repr_html_(self) -> str:
        from causaliqa.report.table import to_html_table

        return to_html_table(self.table)


def leaderboard(
    data: str | os.PathLike[str] | PairDataset | Iterable[str | os.PathLike[str] | PairDataset] | Mapping[str, Any],
    metrics: str | Metric | Iterable[str | Metric] | Mapping[str, Metric] = (),
    *,
    by: str | None = None,
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
        catalog: where names are looked up; by default what the environment asks for.
        options: further fields of :class:`~causaliqa.evaluation.run.LeaderboardRun`: ``preset``, ``scores``, ``store``,
            ``merge``, ``unseen``, ``part_of`` (also as a mapping), ``shard``, ``device``, ``seed``, ``limit``,
            ``strict``, ``jobs``, ``scheduler``, ``progress``...

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
        raise InputError(f"leaderboard: {str(error).split(') ')[-1]}; it takes by, catalog, {known}") from error
    return make_leaderboard(run, catalog or default_catalog(), by=by)


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
    run: LeaderboardRun, catalog: Catalog, *, by: str | None = None, settings: Mapping[str, Any] | None = None
) -> Leaderboard:
    """Do what :func:`leaderboard` does for a run that is put together already.

    Args:
        run: what is asked for.
        catalog: where names are looked up.
        by: break the table down by a column.
        settings: what the provenance reports as settings, instead of those of the run.

    Raises:
        InputError: a name is unknown, or no pair has a value in the column ``by``.
        CausaliqaError: a metric failed and the run is strict.
    """
    inputs = resolve(run, catalog)
    check_breakdown(inputs, by)
    scored = score_inputs(run, catalog, inputs)
    with rescued(scored.rows, store=run.store_file):
        return ranked(run, catalog, inputs, scored, by=by, settings=settings)


@contextmanager
def rescued(rows: pd.DataFrame, *, store: Path | None, file: Path | None = None) -> Iterator[None]:
    """Keep finished scores if what follows fails: in the store, else in a csv file as ``--rows`` writes it.

    Args:
        rows: the scores.
        store: the store that holds them, if there is one.
        file: where they are written to; by default, and where that fails, the current or the temporary folder.

    Raises:
        CausaliqaError: what follows failed; the message says where the scores are.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception as error:
        why = str(error) if isinstance(error, CausaliqaError) else f"the scores are computed, but {brief(error)}"
        if store is not None:
            raise CausaliqaError(f"{why}; every score is kept in {store}, run the same command again") from error
        name = f"causaliqa-rows-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.csv"
        for path in filter(None, (file, Path(name), temporary_root() / name)):
            with suppress(Exception):
                write_text(rows_csv(rows), path)
                again = f"`causaliqa report {path} --out page.html` makes the tables of them"
                break
        else:
            raise CausaliqaError(f"{why}; the scores could not be written anywhere") from error
        raise CausaliqaError(f"{why}; the scores are kept in {path}: {again}") from error


def check_breakdown(inputs: Inputs, by: str | None) -> None:
    """Refuse a breakdown by a column that no data set has, before hours of scoring.

    Raises:
        InputError: no pair has a value in the column.
    """
    if by and not any(getattr(pair, by) for dataset in inputs.datasets for pair in dataset.pairs):
        raise InputError(f"--by {by}: no manifest has a column {by!r}")


def ranked(
    run: LeaderboardRun,
    catalog: Catalog,
    inputs: Inputs,
    scored: Scored,
    *,
    by: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Leaderboard:
    """Turn the scores of a run into its leaderboard; see :func:`make_leaderboard`."""
    facts = _facts(run, catalog, inputs, scored)
    rows = unseen_rows(scored.rows, facts, run.origins) if run.unseen else scored.rows
    overall = with_training(rank(rows), facts, run.origins)
    settings = _settings(run, inputs, scored, by) if settings is None else settings
    training = training_notes(scored.rows, facts, run.origins, unseen=run.unseen)
    return Leaderboard(
        rows=rows,
        table=with_training(rank(rows, by=by), facts, run.origins) if by else overall,
        overall=overall,
        provenance=_provenance(run, catalog, inputs, facts, (*cluster_notes(overall), *training), settings),
    )


def _settings(run: LeaderboardRun, inputs: Inputs, scored: Scored, by: str | None) -> dict[str, Any]:
    return {
        "data": [_source(*both) for both in zip(run.data, inputs.datasets, strict=True)],
        "metrics": {
            **{label: without_folders(request) for label, request in inputs.requests.items()},
            **dict.fromkeys(run.objects, "an object of the calling program"),
        },
        "scores": [f"{file.path.name} sha256:{sha256(file.path)}" for file in inputs.files],
        "given": dict(inputs.given),
        "by": by,
        "seed": run.seed,
        "limit": run.limit,
        "unseen": run.unseen,
        "part_of": run.origins,
        "device": scored.device,
        "fit": "4-parameter logistic on labels normalised to [0, 1]; plcc and rmse are after it",
        "srcc_sign": "positive where metric and label agree as declared",
    }


def _source(item: str | PairDataset, dataset: PairDataset) -> str:
    """Return what identifies a data set without the folder where it is: name, and checksum of a manifest."""
    if isinstance(item, PairDataset) or not (path := Path(item)).is_file():
        return dataset.name
    return f"{dataset.name}: {path.name} sha256:{sha256(path)}"


def _facts(run: LeaderboardRun, catalog: Catalog, inputs: Inputs, scored: Scored) -> tuple[MetricFacts, ...]:
    """Return the facts about every metric: computed, objects, and from elsewhere."""
    found = {label: catalog.get(MetricSpec, parse_request(request)[0]) for label, request in inputs.requests.items()}
    computed = [metric_facts(label, scored.built[label], registration) for label, registration in found.items()]
    objects = [
        MetricFacts(name=label, lower_better=metric.lower_better, provider="an object of the calling program")
        for label, metric in run.objects.items()
    ]
    elsewhere = [
        MetricFacts(name=name, lower_better=lower_better, provider="scores from elsewhere")
        for name, lower_better in inputs.given.items()
    ]
    # What is declared, and what a metric was fitted to that could not be built, only the inputs know.
    return tuple(replace(fact, trained_on=inputs.trained_on[fact.name]) for fact in (*computed, *objects, *elsewhere))


def _provenance(
    run: LeaderboardRun,
    catalog: Catalog,
    inputs: Inputs,
    facts: tuple[MetricFacts, ...],
    notes: tuple[str, ...],
    settings: Mapping[str, Any],
) -> Provenance:
    found = {label: catalog.get(MetricSpec, parse_request(request)[0]) for label, request in inputs.requests.items()}
    loaders = [
        catalog.registrations(DatasetSpec).get(item.partition("=")[0])
        for item in run.data
        if isinstance(item, str) and not Path(item).exists()
    ]
    return Provenance(
        versions=versions(),
        plugins=plugin_versions([*found.values(), *filter(None, loaders)]),
        metrics=facts,
        settings=settings,
        seed=run.seed,
        draws=DRAWS,
        notes=(PYIQA_NOTE, *notes),
    )
