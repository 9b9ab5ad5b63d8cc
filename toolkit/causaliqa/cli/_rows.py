"""What a leaderboard ranks: scores computed here and scores from elsewhere, as one frame of rows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.api.specs import DatasetSpec, MetricSpec
from causaliqa.catalog.workers import build_metric
from causaliqa.cli import _common, _workers
from causaliqa.utils.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd

    from causaliqa.api.data import PairDataset, ScoreRow
    from causaliqa.api.protocols import Metric
    from causaliqa.catalog.catalog import Catalog
    from causaliqa.evaluation.job import MetricRecipe
    from causaliqa.io.score_files import ScoreFile

__all__ = ["Plan", "add_arguments", "build", "collect", "labels_of", "plan"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What was asked for: names and files that exist, nothing computed yet."""

    requests: Mapping[str, str]
    """Metrics to compute: what a table calls them, and what was asked for."""
    given: Mapping[str, bool]
    """Metrics whose scores come from elsewhere, and whether a lower one is better."""
    files: tuple[ScoreFile, ...]
    """Files of such scores."""
    datasets: tuple[PairDataset, ...]
    """Labelled pairs; with ``--shard`` only its share."""


def add_arguments(command: Any) -> None:
    """Add what decides the rows."""
    command.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="MANIFEST.csv|NAME=ROOT",
        help="csv with ref, dist and mos (high is good) or dmos (low is good), optional type, level, split; repeatable",
    )
    command.add_argument(
        "--allow-outside",
        action="store_true",
        help="paths in a manifest may lead out of its folder (absolute, .., links)",
    )
    command.add_argument("--metric", action="append", default=[], metavar="M", help="NAME[:key=value,...]; repeatable")
    command.add_argument("--preset", metavar="NAME", help="list of metrics from registry.yaml")
    command.add_argument(
        "--scores",
        action="append",
        default=[],
        metavar="[PREFIX=]FILE.csv",
        help="scores computed elsewhere: dist and a column a metric, each declared with --metric "
        "NAME:lower_better=true or false; PREFIX_ is put before the names; repeatable",
    )
    command.add_argument(
        "--store",
        metavar="FILE",
        type=_common.out_file,
        help="keep every score there; a run that was stopped goes on from it",
    )
    command.add_argument(
        "--shard",
        metavar="I/N|auto",
        help="score the I-th of N shares of the references into --store, where {shard} stands for I-of-N, and print no "
        "table; auto: the share of this task of a SLURM array, srun or torchrun",
    )
    command.add_argument(
        "--merge", metavar="FILE", type=Path, nargs="+", default=[], help="take over what these stores hold (shards)"
    )
    command.add_argument("--device", help="torch device (default: cuda if there is one, else cpu)")
    command.add_argument("--seed", type=int, default=0, help="seed of metrics that take one (default: 0)")
    command.add_argument("--limit", type=int, metavar="N", help="first N pairs of every data set only")
    command.add_argument("--strict", action="store_true", help="stop at the first failure")
    _workers.add_arguments(command)


def plan(args: argparse.Namespace, catalog: Catalog) -> Plan:
    """Resolve names and read labels; no torch is loaded.

    Raises:
        InputError: a name is unknown or ambiguous, a direction is not declared, options contradict each other.
    """
    _workers.check(args)
    if args.shard and not args.store:
        raise InputError("--shard: --store FILE is missing, where the scores of a share go; every share has its own")
    if args.shard and args.scores:
        raise InputError("--shard: got --scores, which belong to the run that merges the shards; leave them out")
    files = tuple(_score_file(item) for item in args.scores)
    requests, given = _requests(args, catalog, files)
    if args.merge and not requests:
        raise InputError("--merge: got no metric whose scores a store could hold; add --metric NAME as in the shards")
    look = {"labels_only": not requests, "allow_outside": args.allow_outside}
    datasets = [_dataset(catalog, item, **look) for item in args.data]
    if doubled := {d.name for d in datasets if [e.name for e in datasets].count(d.name) > 1}:
        raise InputError(f"--data: two data sets are called {sorted(doubled)[0]!r}; rename a manifest")
    if args.limit is not None:
        if args.limit < 1:
            raise InputError(f"--limit: got {args.limit}, expected 1 or more")
        datasets = [replace(dataset, pairs=dataset.pairs[: args.limit]) for dataset in datasets]
    if args.shard:
        from causaliqa.evaluation.sharding import shard

        number, count = _workers.tell_shard(args)
        args.store = Path(str(args.store).replace("{shard}", f"{number}-of-{count}"))
        datasets = [shard(dataset, number, count) for dataset in datasets]
    return Plan(requests=labels_of(requests), given=given, files=files, datasets=tuple(datasets))


def _score_file(item: str) -> ScoreFile:
    from causaliqa.io.score_files import read_scores

    prefix, equals, path = item.partition("=")
    return read_scores(Path(path), prefix=prefix) if equals and not Path(item).exists() else read_scores(Path(item))


def _dataset(catalog: Catalog, item: str, *, labels_only: bool, allow_outside: bool) -> PairDataset:
    from causaliqa.io.manifest import read_manifest

    name, equals, root = item.partition("=")
    if not equals and not Path(item).is_file():
        what = "it is a folder" if Path(item).is_dir() else "there is no such file"
        expected = f"expected a csv file, or NAME=ROOT{_common.nearby(Path(item))}"
        raise InputError(f"--data {item} cannot be read: {what}, {expected}")
    if not equals or Path(item).exists():
        return read_manifest(Path(item), labels_only=labels_only, allow_outside=allow_outside)
    spec: Any = catalog.get(DatasetSpec, name).spec
    bare = {"labels_only": True} if labels_only and spec.labels_only else {}
    dataset: PairDataset = catalog.create(DatasetSpec, name, root=Path(root), **bare)
    return dataset


def _requests(
    args: argparse.Namespace, catalog: Catalog, files: Sequence[ScoreFile]
) -> tuple[list[str], dict[str, bool]]:
    """Return the metrics to compute, each once and known, and the direction of those from files."""
    from causaliqa.catalog.request import parse_request

    columns = {metric: file for file in files for metric in file.metrics}
    requests: list[str] = []
    given: dict[str, bool] = {}
    for request in [*args.metric, *_preset(args.preset, catalog)]:
        name, options = parse_request(request)
        if name in columns and set(options) == {"lower_better"}:
            if not isinstance(options["lower_better"], bool):
                raise InputError(f"--metric {request!r}: got {options['lower_better']!r}, expected true or false")
            given[name] = options["lower_better"]
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
    for column, file in columns.items():
        if column not in given:
            raise InputError(
                f"scores {file.path}: the direction of column {column!r} is not declared; "
                f"add --metric {column}:lower_better=true or --metric {column}:lower_better=false"
            )
    if not requests and not given:
        raise InputError("no metric was asked for; expected --metric NAME, --preset NAME or --scores FILE.csv")
    return list(dict.fromkeys(requests)), given


def _preset(name: str | None, catalog: Catalog) -> tuple[str, ...]:
    if name is None:
        return ()
    if name not in catalog.registry.presets:
        raise InputError(f"unknown preset {name!r}; expected one of {', '.join(catalog.registry.presets)}")
    return catalog.registry.presets[name].metrics


def labels_of(requests: Sequence[str]) -> dict[str, str]:
    """Return what a table calls each metric (what was asked for, less the path of weights where clear), and it."""
    from causaliqa.catalog.request import parse_request

    short = []
    for request in requests:
        name, options = parse_request(request)
        told = ",".join(f"{k}={v}" for k, v in options.items() if k != "weights")
        short.append(f"{name}:{told}" if told else name)
    return {
        label if short.count(label) == 1 else request: request for label, request in zip(short, requests, strict=True)
    }


def build(args: argparse.Namespace, catalog: Catalog, plan: Plan, device: str) -> dict[str, Metric | CausaliqaError]:
    """Build every metric; one that cannot be built costs its rows, not the table, unless ``--strict``.

    Raises:
        InputError: an option is wrong.
        CausaliqaError: a metric cannot be built, under ``--strict``.
    """
    built: dict[str, Metric | CausaliqaError] = {}
    for label, request in plan.requests.items():
        try:
            built[label] = build_metric(catalog, request, device, args.seed)
        except InputError:
            raise
        except CausaliqaError as error:
            if args.strict:
                raise
            built[label] = error
    return built


def collect(
    args: argparse.Namespace,
    catalog: Catalog,
    plan: Plan,
    built: Mapping[str, Metric | CausaliqaError],
    device: str,
) -> pd.DataFrame:
    """Return one row per pair and metric, whether it was computed, stored or given; a failure is a row too."""
    from causaliqa.evaluation.scoring import frame_of

    metrics = {label: metric for label, metric in built.items() if not isinstance(metric, CausaliqaError)}
    lacking = {label: error for label, error in built.items() if isinstance(error, CausaliqaError)}
    return frame_of(
        chain(_computed(args, catalog, plan, metrics, device), _unbuilt(catalog, plan, lacking), _from_files(plan))
    )


def _computed(
    args: argparse.Namespace, catalog: Catalog, plan: Plan, metrics: Mapping[str, Metric], device: str
) -> Iterator[ScoreRow]:
    from causaliqa.evaluation.job import score_unit
    from causaliqa.evaluation.scoring import score_dataset
    from causaliqa.evaluation.sharding import score_elsewhere
    from causaliqa.evaluation.store import ScoreStore
    from causaliqa.utils.executors import carry_out

    if not metrics:
        return
    total = len(metrics) * sum(len(dataset.pairs) for dataset in plan.datasets)
    path = args.store or Path(":memory:")
    with ExitStack() as stack:
        store = stack.enter_context(ScoreStore(path))
        for other in args.merge:
            print(f"causaliqa: {other}: {store.merge(other)} scores taken over", file=sys.stderr)
        workers = _workers.worker_pool(args)
        bar = stack.enter_context(progress_bar(total, "scoring"))
        options: dict[str, Any] = {"strict": args.strict, "progress": bar.update}
        options["store"] = store if args.store or args.merge else None
        if workers is None:
            for dataset in plan.datasets:
                yield from score_dataset(metrics, dataset, device=device, **options)
            return
        recipe = _recipe(args, catalog, plan, metrics)
        send = partial(carry_out, stack.enter_context(workers), partial(score_unit, recipe))
        for dataset in plan.datasets:
            yield from score_elsewhere(metrics, dataset, send, **options)


def _recipe(args: argparse.Namespace, catalog: Catalog, plan: Plan, metrics: Mapping[str, Any]) -> MetricRecipe:
    from causaliqa.evaluation.job import MetricRecipe

    return MetricRecipe(
        context=_workers.worker_context(args, catalog),
        requests=tuple((label, plan.requests[label], metric.key) for label, metric in metrics.items()),
        device=args.device,
        seed=args.seed,
        strict=args.strict,
    )


def _unbuilt(catalog: Catalog, plan: Plan, lacking: Mapping[str, CausaliqaError]) -> Iterator[ScoreRow]:
    from causaliqa.catalog.request import parse_request
    from causaliqa.evaluation.scoring import given_rows

    for label, error in lacking.items():
        spec: Any = catalog.get(MetricSpec, parse_request(plan.requests[label])[0]).spec
        reason = f"not built: {error}"
        for dataset in plan.datasets:
            yield from given_rows(dataset, label, lower_better=spec.lower_better, scores={}, reason=reason)


def _from_files(plan: Plan) -> Iterable[ScoreRow]:
    """Rows of every data set that a file knows an image of."""
    from causaliqa.evaluation.scoring import given_rows
    from causaliqa.io.score_files import match_scores

    datasets = {dataset.name: dataset for dataset in plan.datasets}
    found: dict[tuple[str, str], dict[int, float | None]] = {}
    sources: dict[tuple[str, str], list[str]] = {}
    for file in plan.files:
        matched = match_scores(file, plan.datasets)
        for note in matched.notes:
            _common.note(note)
        for name, lines in matched.lines.items():
            for metric, values in file.scores.items():
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
        lower_better = plan.given[metric]
        yield from given_rows(datasets[name], metric, lower_better=lower_better, scores=scores, reason=reason)


def check_licence(catalog: Catalog, request: str) -> None:
    """Refuse a metric unless its code and the weights that it would load are free for any purpose.

    Raises:
        InputError: naming the licence.
    """
    from causaliqa.utils.licences import is_permissive

    for what, licence in catalog.licences(request):
        if not is_permissive(licence):
            raise InputError(f"--license permissive: {what} has the licence {licence!r}; leave {request!r} out")
