"""The leaderboard job: names and paths -> metrics and data sets -> one row of scores per pair and metric."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import PairDataset, ScoreRow
from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.api.protocols import Metric
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.catalog import Backbones, Catalog
from causaliqa.catalog.create import read_dataset
from causaliqa.catalog.request import labels_of, parse_request
from causaliqa.catalog.training import parse_training, trained_on, training_text
from causaliqa.catalog.workers import WorkerContext, build_metric
from causaliqa.evaluation.pair_score import BatchScorer
from causaliqa.evaluation.prepared_pairs import PairPreparer
from causaliqa.evaluation.run import LeaderboardRun
from causaliqa.evaluation.scoring import frame_of, given_rows, refuse_hdr, score_dataset
from causaliqa.evaluation.sharding import score_elsewhere, shard
from causaliqa.evaluation.store import ScoreStore
from causaliqa.evaluation.store_file import check_locks
from causaliqa.evaluation.worker import MetricRecipe, score_unit
from causaliqa.io.score_files import ScoreFile, match_scores, read_scores
from causaliqa.utils.devices import choose_device
from causaliqa.utils.executors import carry_out, worker_pool
from causaliqa.utils.licences import check_permissive
from causaliqa.utils.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Inputs", "Scored", "check_breakdown", "resolve", "score_inputs"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a run asks for, resolved: names and files that exist, nothing computed yet."""

    requests: Mapping[str, str]
    """Metrics to compute: the label that a table shows, and the request."""
    given: Mapping[str, bool]
    """Metrics whose scores come from files, and whether a lower score is better."""
    trained_on: Mapping[str, tuple[str, ...] | None]
    """What every metric was fitted to, by its label; None if unknown."""
    files: tuple[ScoreFile, ...]
    """Files of such scores."""
    datasets: tuple[PairDataset, ...]
    """Labelled pairs; of a shard its share only."""
    prepared: str = ""
    """What is done to the images before they are scored, in words; empty if nothing."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What came out of a run."""

    rows: pd.DataFrame
    """One line per pair and metric, columns of :class:`~causaliqa.api.data.ScoreRow` and more: ``label_name``, what the
    label is called, ``trained_on``, what the metric was fitted to, and ``prepared``, what was done to the images, where
    something was; a failure is a row too."""
    built: Mapping[str, Metric | CausaliqaError]
    """Metrics by label, or the error that a metric could not be built with."""
    device: str
    """Where the metrics ran, for people."""


def resolve(run: LeaderboardRun, catalog: Catalog) -> Inputs:
    """Look up names and read labels; no torch is loaded.

    Raises:
        InputError: a name is unknown or ambiguous, a direction is not declared, a licence is refused.
        ManifestError: a manifest or scores file cannot be used.
    """
    if run.store_file is not None:
        check_locks(run.store_file)
    files = tuple(_score_file(item) for item in run.scores)
    requests, given, declared = _requests(run, catalog, files)
    computed = bool(requests or run.objects)
    if run.merge and not computed:
        raise InputError("--merge: got no metric whose scores a store could hold; add --metric NAME as in the shards")
    for request in requests if run.licences == "permissive" else ():
        check_permissive(request, catalog.licences(request))
    datasets = [_dataset(catalog, item, labels_only=not computed, allow_outside=run.allow_outside) for item in run.data]
    names = [dataset.name for dataset in datasets]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"--data: two data sets are called {doubled[0]!r}; rename a manifest")
    if run.limit is not None:
        datasets = [replace(dataset, pairs=dataset.pairs[: run.limit]) for dataset in datasets]
    if run.shard_place is not None:
        number, count = run.shard_place
        if run.shard == "auto":
            logger.info("shard %d/%d", number, count)
        datasets = [shard(dataset, number, count) for dataset in datasets]
    if strange := sorted(set(run.origins) - set(names)):
        raise InputError(f"--part-of: no data set is called {strange[0]!r}; got {', '.join(names)}")
    labels = labels_of(requests)
    known = {**_training(run, catalog, labels), **declared}
    return Inputs(
        requests=labels,
        given=given,
        trained_on=known,
        files=files,
        datasets=tuple(datasets),
        prepared=_prepared(run, catalog, requests, datasets) if computed else "",
    )


def _prepared(run: LeaderboardRun, catalog: Catalog, requests: Sequence[str], datasets: Sequence[PairDataset]) -> str:
    """Return what is done to the images, in words; refuse masks that are missing or cannot be honoured."""
    modes = {name: catalog.get(MetricSpec, parse_request(name)[0]).spec.metric_mode for name in requests}
    modes |= {label: getattr(metric, "metric_mode", "FR") for label, metric in run.objects.items()}
    refuse_hdr(run.prepare)
    preparer = PairPreparer(run.prepare)
    preparer.check(modes, (pair.ref for dataset in datasets for pair in dataset.pairs))
    return preparer.said


def check_breakdown(inputs: Inputs, by: str | None) -> None:
    """Refuse a breakdown by a column that no data set has, before hours of scoring.

    Raises:
        InputError: no pair has a value in the column.
    """
    if by and not any(getattr(pair, by) for dataset in inputs.datasets for pair in dataset.pairs):
        raise InputError(f"--by {by}: no manifest has a column {by!r}")


def score_inputs(run: LeaderboardRun, catalog: Catalog, inputs: Inputs) -> Scored:
    """Build the metrics, compute what the store lacks, and add the scores of files.

    Raises:
        InputError: an option of a metric is wrong.
        CausaliqaError: a metric cannot be built or fails, with :attr:`LeaderboardRun.strict`.
    """
    here, device = _devices(run) if inputs.requests or run.objects else ("none", "none")
    built: dict[str, Metric | CausaliqaError] = {**_build(run, catalog, inputs, here), **run.objects}
    metrics = {label: metric for label, metric in built.items() if not isinstance(metric, CausaliqaError)}
    failed = {label: error for label, error in built.items() if isinstance(error, CausaliqaError)}
    rows = frame_of(
        chain(
            _computed(run, catalog, inputs, metrics, here),
            _unbuilt(catalog, inputs, failed),
            _from_files(inputs),
        )
    )
    labels = {dataset.name: dataset.label for dataset in inputs.datasets}
    training = {label: training_text(names) for label, names in inputs.trained_on.items()}
    rows = rows.assign(label_name=rows["dataset"].map(labels), trained_on=rows["metric"].map(training))
    if inputs.prepared:
        rows["prepared"] = rows["metric"].map(lambda name: inputs.prepared if name in built else "")
    return Scored(rows=rows, built=built, device=device)


def _devices(run: LeaderboardRun) -> tuple[str, str]:
    """Return where this process builds metrics, and the device to report.

    Where workers score, this process needs facts only. Workers of a cluster take the best device that they have.
    """
    if run.scheduler:
        return "cpu", run.device or "the best of every worker"
    chosen = choose_device(run.device)
    return "cpu" if run.uses_workers else chosen, chosen


def _score_file(item: str) -> ScoreFile:
    prefix, equals, path = item.partition("=")
    return read_scores(Path(path), prefix=prefix) if equals and not Path(item).exists() else read_scores(Path(item))


def _dataset(catalog: Catalog, item: str | PairDataset, *, labels_only: bool, allow_outside: bool) -> PairDataset:
    if isinstance(item, PairDataset):
        return item
    name, equals, root = item.partition("=")
    if equals and not Path(item).exists():
        return read_dataset(name, root, labels_only=labels_only, catalog=catalog)
    return read_dataset(item, labels_only=labels_only, allow_outside=allow_outside, catalog=catalog)


def _training(run: LeaderboardRun, catalog: Catalog, requests: Mapping[str, str]) -> dict[str, tuple[str, ...] | None]:
    """Return what the metrics that are not from files were fitted to."""
    known: dict[str, tuple[str, ...] | None] = {}
    for label, request in requests.items():
        name, options = parse_request(request)
        found = catalog.get(MetricSpec, name)
        known[label] = trained_on(found.spec, options, provider=found.provider)
    for label, metric in run.objects.items():
        spec = getattr(metric, "spec", None)
        known[label] = spec.trained_on if isinstance(spec, MetricSpec) else None
    return known


def _requests(
    run: LeaderboardRun, catalog: Catalog, files: Sequence[ScoreFile]
) -> tuple[list[str], dict[str, bool], dict[str, tuple[str, ...] | None]]:
    """Return the metrics to compute, each once and known, and direction and training of those from files."""
    columns = {metric: file for file in files for metric in file.metrics}
    requests: list[str] = []
    given: dict[str, bool] = {}
    declared: dict[str, tuple[str, ...] | None] = {}
    for request in [*run.metrics, *(catalog.preset(run.preset) if run.preset is not None else ())]:
        name, options = parse_request(request)
        if name in columns and {"lower_better"} <= set(options) <= {"lower_better", "trained_on"}:
            if not isinstance(options["lower_better"], bool):
                raise InputError(f"--metric {request!r}: got {options['lower_better']!r}, expected true or false")
            given[name] = options["lower_better"]
            declared[name] = parse_training(options.get("trained_on", "unknown"), f"--metric {request!r}: trained_on")
            continue
        if name in columns:
            raise InputError(
                f"metric {name!r} is a column of {columns[name].path}, too; write --metric {name}:lower_better=true "
                f"(or false) for its scores, and --scores PREFIX={columns[name].path} to have them beside ours"
            )
        if "lower_better" in options:
            raise InputError(
                f"--metric {request}: no --scores file has a column {name!r}; got {', '.join(columns) or 'no file'}"
            )
        catalog.get(MetricSpec, name)
        requests.append(request)
    _check_declared(files, given)
    if not requests and not given and not run.objects:
        raise InputError("no metric was asked for; expected --metric NAME, --preset NAME or --scores FILE.csv")
    return list(dict.fromkeys(requests)), given, declared


def _check_declared(files: Sequence[ScoreFile], given: Mapping[str, bool]) -> None:
    """Refuse a file of whose columns none has a direction, and name them all.

    Raises:
        InputError: no ``--metric`` declares a column of a file.
    """
    for file in files:
        # Where some columns of a file are asked for, the others are not.
        undeclared = [] if any(column in given for column in file.metrics) else [*file.metrics]
        if len(undeclared) == 1:
            (column,) = undeclared
            raise InputError(
                f"scores {file.path}: the direction of column {column!r} is not declared; "
                f"add --metric {column}:lower_better=true or --metric {column}:lower_better=false"
            )
        if undeclared:
            named = ", ".join(map(repr, undeclared))
            add = " ".join(f"--metric {column}:lower_better=true" for column in undeclared)
            raise InputError(
                f"scores {file.path}: the direction of the columns {named} is not declared; add {add}, or =false "
                "where a higher score is better; columns without a --metric are left out once one has it"
            )


def _build(run: LeaderboardRun, catalog: Catalog, inputs: Inputs, device: str) -> dict[str, Metric | CausaliqaError]:
    """Build every metric; one that cannot be built costs its rows, not the table, unless the run is strict."""
    built: dict[str, Metric | CausaliqaError] = {}
    backbones: Backbones = {}
    for label, request in inputs.requests.items():
        try:
            built[label] = build_metric(catalog, request, device, run.seed, backbones)
        except InputError:
            raise
        except CausaliqaError as error:
            if run.strict:
                raise
            built[label] = error
    return built


def _computed(
    run: LeaderboardRun, catalog: Catalog, inputs: Inputs, metrics: Mapping[str, Metric], device: str
) -> Iterator[ScoreRow]:
    if not metrics:
        return
    total = len(metrics) * sum(len(dataset.pairs) for dataset in inputs.datasets)
    with ExitStack() as stack:
        store = stack.enter_context(ScoreStore(run.store_file or Path(":memory:")))
        for other in run.merge:
            logger.info("%s: %d scores taken over", other, store.merge(other))
        pool = worker_pool(run.jobs, run.scheduler)
        bar = stack.enter_context(progress_bar(total, "scoring", shown=run.progress))
        options: dict[str, Any] = {"strict": run.strict, "prepare": run.prepare, "progress": bar.update}
        options["store"] = store if run.store or run.merge else None
        if pool is None:
            scorer = BatchScorer()
            for dataset in inputs.datasets:
                yield from score_dataset(metrics, dataset, device=device, scorer=scorer, **options)
            return
        recipe = MetricRecipe(
            context=WorkerContext.of(catalog),
            requests=tuple((label, inputs.requests[label], metric.key) for label, metric in metrics.items()),  # type: ignore[attr-defined]
            device=run.device,
            seed=run.seed,
            strict=run.strict,
            prepare=run.prepare,
        )
        send = partial(carry_out, stack.enter_context(pool), partial(score_unit, recipe))
        for dataset in inputs.datasets:
            yield from score_elsewhere(metrics, dataset, send, **options)


def _unbuilt(catalog: Catalog, inputs: Inputs, failed: Mapping[str, CausaliqaError]) -> Iterator[ScoreRow]:
    for label, error in failed.items():
        spec = catalog.get(MetricSpec, parse_request(inputs.requests[label])[0]).spec
        for dataset in inputs.datasets:
            reason = f"not built: {error}"
            yield from given_rows(dataset, label, lower_better=spec.lower_better, scores={}, reason=reason)


def _from_files(inputs: Inputs) -> Iterable[ScoreRow]:
    """Yield rows of every data set that a file knows an image of."""
    datasets = {dataset.name: dataset for dataset in inputs.datasets}
    found: dict[tuple[str, str], dict[int, float | None]] = {}
    sources: dict[tuple[str, str], list[str]] = {}
    for file in inputs.files:
        matched = match_scores(file, inputs.datasets)
        for note in matched.notes:
            logger.warning(note)
        if ignored := [metric for metric in file.metrics if metric not in inputs.given]:
            logger.info("%s: columns that no --metric names are left out: %s", file.path.name, ", ".join(ignored))
        for name, lines in matched.lines.items():
            for metric, values in ((m, v) for m, v in file.scores.items() if m in inputs.given):
                scores = found.setdefault((metric, name), {})
                if both := scores.keys() & lines.keys():
                    raise InputError(
                        f"scores: {sources[metric, name][0]} and {file.path} both have {metric!r} of {len(both)} "
                        f"images of {name}; give one of them"
                    )
                scores.update({pair: values[line] for pair, line in lines.items()})
                sources.setdefault((metric, name), []).append(file.path.name)
    for (metric, name), scores in found.items():
        reason = f"no score in {', '.join(sources[metric, name])}"
        lower_better = inputs.given[metric]
        yield from given_rows(datasets[name], metric, lower_better=lower_better, scores=scores, reason=reason)
