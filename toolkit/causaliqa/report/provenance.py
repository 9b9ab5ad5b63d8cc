"""Provenance of a table: all that is needed to reproduce it, and the licences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import ScoreKey
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.training import has_seen, trained_on, training_text
from causaliqa.utils.checksums import state_dict_checksum
from causaliqa.utils.text import one_line, without_folders

if TYPE_CHECKING:
    import pandas as pd

    from causaliqa.catalog.host import Registration

__all__ = [
    "PYIQA_NOTE",
    "MetricFacts",
    "Provenance",
    "cluster_notes",
    "metric_facts",
    "plugin_versions",
    "published_facts",
    "published_options",
]

PYIQA_NOTE = (
    "pyiqa is licensed under PolyForm Noncommercial 1.0.0, which binds whoever uses its metrics or this toolkit with it"
)
_OURS = ("causaliqa", "pyiqa", "registry.yaml")


@dataclass(frozen=True, kw_only=True)
class MetricFacts:
    """Facts about one metric of a table."""

    name: str
    """Name in the table."""
    lower_better: bool
    """True if a lower score means better quality."""
    provider: str
    """Distribution and version that provides it, or the file that scores were read from."""
    licence: str = "not stated"
    """Licence of code and weights."""
    version: str = ""
    """Version of its spec; changes whenever scores do."""
    options: str = "{}"
    """Options as canonical JSON."""
    weights: str = ""
    """``sha256:`` of the weights file, or ``parameters sha256:`` of the network's parameters; empty without weights."""
    seed: int | None = None
    """Seed of its scores; None if they do not depend on one, or if unknown."""
    metric_mode: str = ""
    """FR or NR; empty if unknown."""
    trained_on: tuple[str, ...] | None = None
    """Data sets of human opinions that it was fitted to; empty if there are none, None if unknown."""
    seen_on: tuple[str, ...] = ()
    """Data sets of the table that hold images of those, by their names in the table."""
    year: int | None = None
    """Year in which it was published; None if unknown."""

    def trained_here(self, dataset: str) -> bool:
        """Return whether a data set is known to hold images that the metric was trained on.

        Besides what :attr:`seen_on` says, its name decides: :func:`causaliqa.catalog.training.has_seen`.

        >>> MetricFacts(name="m", lower_better=True, provider="p", trained_on=("kadid10k",)).trained_here("KADID-10k")
        True
        """
        return dataset in self.seen_on or bool(has_seen(dataset, self.trained_on))

    def line(self) -> str:
        """Return everything as one line of text."""
        facts = [
            self.provider,
            {"FR": "full reference", "NR": "no reference"}.get(self.metric_mode, ""),
            f"published in {self.year}" if self.year is not None else "",
            f"trained on {training_text(self.trained_on)}",
            f"licence {self.licence}",
            f"version {self.version}" if self.version else "",
            f"options {self.options}" if self.options != "{}" else "",
            self.weights or "no weights",
            f"seed {self.seed}" if self.seed is not None else "",
            "lower is better" if self.lower_better else "higher is better",
        ]
        return one_line(f"{self.name}: {', '.join(filter(None, facts))}")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Origin of a table.

    Example:
        >>> made = Provenance(versions={"torch": "2.3"}, seed=7, draws=1000)
        >>> print(*made.brief(), sep="\\n")
        torch 2.3; seed 7; 1000 bootstrap draws
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the packages that scores depend on."""
    plugins: Mapping[str, str] = field(default_factory=dict)
    """Versions of the plugin distributions used."""
    metrics: tuple[MetricFacts, ...] = ()
    """Facts about every metric."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the run."""
    seed: int | None = 0
    """Seed of the metrics; None if they differ. Bootstrap draws always use the same seed."""
    draws: int = 0
    """Bootstrap draws for intervals and ties."""
    notes: tuple[str, ...] = ()
    """Notes for readers: licences, unknown references."""

    @property
    def method(self) -> tuple[str, ...]:
        """How intervals and ties were computed, a sentence each; nothing where there are none."""
        # Here, because scipy takes half a second to import and every command imports this module.
        from causaliqa.functional.best import tie_method
        from causaliqa.functional.significance import interval_method

        return (interval_method(self.draws), tie_method(self.draws)) if self.draws else ()

    def brief(self) -> list[str]:
        """Return the few lines printed below a table."""
        packages = ", ".join(f"{name} {version}" for name, version in {**self.versions, **self.plugins}.items())
        seed = f"seed {self.seed}" if self.seed is not None else ""
        draws = f"{self.draws} bootstrap draws" if self.draws else ""
        return [one_line("; ".join(filter(None, (packages, seed, draws)))), *map(one_line, self.notes)]

    def lines(self) -> list[str]:
        """Return everything as lines of text."""
        return [
            *self.brief(),
            *map(one_line, self.method),
            *(metric.line() for metric in self.metrics),
            f"settings: {json.dumps(dict(self.settings), ensure_ascii=False, sort_keys=True, default=str)}",
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain dicts, lists and values."""
        return {**asdict(self), "method": list(self.method)}


def metric_facts(name: str, metric: Any, record: Registration[Any]) -> MetricFacts:
    """Return the facts about a metric that was built here.

    Args:
        name: name in the table.
        metric: what :func:`causaliqa.create_metric` returned, or the error that it raised.
        record: its registration in the catalogue.
    """
    spec, key = record.spec, getattr(metric, "key", None)
    key = key if isinstance(key, ScoreKey) else None
    return MetricFacts(
        name=name,
        lower_better=isinstance(spec, MetricSpec) and spec.lower_better,
        provider=record.provider,
        licence=spec.licence,
        version=spec.version if isinstance(spec, MetricSpec) else "",
        options=published_options(key.options) if key else "{}",
        weights=f"sha256:{key.weights}" if key and key.weights else _parameters(metric),
        seed=key.seed if key and isinstance(spec, MetricSpec) and spec.seeded else None,
        **published_facts(record, json.loads(key.options) if key else {}),
    )


def published_facts(record: Registration[Any] | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return mode, training and year of a metric built with these options: keyword arguments of :class:`MetricFacts`.

    Nothing is returned where there is no record.
    """
    spec = record.spec if record else None
    if record is None or not isinstance(spec, MetricSpec):
        return {}
    training = trained_on(spec, options, provider=record.provider)
    return {"metric_mode": spec.metric_mode, "trained_on": training, "year": spec.year}


def published_options(options: str) -> str:
    """Return options as JSON without the folders of files in them.

    >>> published_options('{"library":"/home/ann/patches.npz","window":8}')
    '{"library":"patches.npz","window":8}'
    """
    return json.dumps(_shortened(json.loads(options)), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    return without_folders(value) if isinstance(value, str) else value


def _parameters(metric: Any) -> str:
    """Identify a network by its parameters: pyiqa and plugins load weights from files unknown to the toolkit."""
    if isinstance(metric, Exception):
        return "not built"
    # Metrics of pyiqa without weights have one empty parameter.
    if not any(parameter.numel() for parameter in getattr(metric, "parameters", tuple)()):
        return ""
    return f"parameters sha256:{state_dict_checksum(metric.state_dict(), shapes=True)}"


def plugin_versions(records: Iterable[Registration[Any]]) -> dict[str, str]:
    """Return name and version of every plugin distribution among the providers."""
    providers = sorted({record.provider for record in records} - set(_OURS))
    return {name: version for name, _, version in (provider.rpartition(" ") for provider in providers)}


def cluster_notes(rows: pd.DataFrame) -> tuple[str, ...]:
    """Return a note on every data set without known references, where images are resampled, and with too few.

    >>> import pandas as pd
    >>> cluster_notes(pd.DataFrame({"dataset": ["a", "b"], "ref": ["r.png", ""]}))
    ('b: references unknown, so intervals are clustered by image and are too narrow if images share a reference',)
    """
    from causaliqa.functional.significance import FEWEST

    if "clusters" in rows:
        unknown = rows["clusters"].eq("image")
    else:
        unknown = rows["ref"].fillna("").eq("") if "ref" in rows else rows["dataset"].notna()
    few = rows["references"] < FEWEST if "references" in rows else rows["dataset"].isna()
    counts = rows.loc[few].drop_duplicates("dataset")
    return (
        *(
            f"{dataset}: references unknown, so intervals are clustered by image and are too narrow if images share a "
            "reference"
            for dataset in dict.fromkeys(rows.loc[unknown, "dataset"])
        ),
        *(
            f"{row.dataset}: too few references for intervals and for saying which metrics are tied; got "
            f"{row.references}, expected {FEWEST} or more"
            for row in counts.itertuples()
        ),
    )
