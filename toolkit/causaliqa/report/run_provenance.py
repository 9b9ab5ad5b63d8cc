"""Provenance of a run: from what was asked for, resolved and scored to what a table states of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from causaliqa.api.data import PairDataset
from causaliqa.api.specs import DatasetSpec, MetricSpec
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.request import parse_request
from causaliqa.evaluation.groups import DRAWS
from causaliqa.evaluation.job import Inputs, Scored
from causaliqa.evaluation.run import LeaderboardRun
from causaliqa.io.weights import sha256
from causaliqa.report.provenance import (
    PYIQA_NOTE,
    MetricFacts,
    Provenance,
    metric_facts,
    plugin_versions,
)
from causaliqa.report.training import with_seen
from causaliqa.utils.text import without_folders
from causaliqa.utils.versions import versions

__all__ = ["run_facts", "run_provenance", "run_settings"]


def run_settings(run: LeaderboardRun, inputs: Inputs, scored: Scored, by: str | None) -> dict[str, Any]:
    """Return what a table states of the settings of a run; no folder of this machine.

    Args:
        run: what was asked for.
        inputs: the same, resolved.
        scored: what came out.
        by: column that the table is broken down by.
    """
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
        "prepared": inputs.prepared,
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


def run_facts(run: LeaderboardRun, catalog: Catalog, inputs: Inputs, scored: Scored) -> tuple[MetricFacts, ...]:
    """Return the facts about every metric: computed, objects, and from elsewhere.

    Args:
        run: what was asked for.
        catalog: where names were looked up.
        inputs: what was asked for, resolved.
        scored: what came out.
    """
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
    facts = [replace(fact, trained_on=inputs.trained_on[fact.name]) for fact in (*computed, *objects, *elsewhere)]
    return with_seen(facts, [dataset.name for dataset in inputs.datasets], run.origins)


def run_provenance(
    run: LeaderboardRun,
    catalog: Catalog,
    inputs: Inputs,
    facts: tuple[MetricFacts, ...],
    notes: Iterable[str],
    settings: Mapping[str, Any],
) -> Provenance:
    """Return where a table comes from.

    Args:
        run: what was asked for.
        catalog: where names were looked up.
        inputs: what was asked for, resolved.
        facts: facts about every metric, as :func:`run_facts` returns them.
        notes: notes for readers, besides pyiqa's licence.
        settings: what is reported as settings, as :func:`run_settings` returns it.
    """
    found = [catalog.get(MetricSpec, parse_request(request)[0]) for request in inputs.requests.values()]
    loaders = [
        catalog.registrations(DatasetSpec).get(item.partition("=")[0])
        for item in run.data
        if isinstance(item, str) and not Path(item).exists()
    ]
    return Provenance(
        versions=versions(),
        plugins=plugin_versions([*found, *filter(None, loaders)]),
        metrics=facts,
        settings=settings,
        seed=run.seed,
        draws=DRAWS,
        notes=(PYIQA_NOTE, *notes),
    )
