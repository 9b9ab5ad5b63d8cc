"""Where a table comes from: what has to be known to make it again, and under which licences it stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import ScoreKey
from causaliqa.api.specs import MetricSpec
from causaliqa.utils.checksums import state_dict_checksum
from causaliqa.utils.text import one_line

if TYPE_CHECKING:
    import pandas as pd

    from causaliqa.catalog.host import Registration

__all__ = ["PYIQA_NOTE", "MetricFacts", "Provenance", "cluster_notes", "metric_facts", "plugin_versions"]

PYIQA_NOTE = (
    "pyiqa is licensed under PolyForm Noncommercial 1.0.0, which binds whoever uses its metrics or this toolkit with it"
)
_OURS = ("causaliqa", "pyiqa", "registry.yaml")


@dataclass(frozen=True, kw_only=True)
class MetricFacts:
    """What stands behind one metric of a table."""

    name: str
    """What the table calls it."""
    lower_better: bool
    """True if a lower score means better quality."""
    provider: str
    """Distribution and version that provides it; where scores were read from, if they were not computed here."""
    licence: str = "not stated"
    """Licence of code and weights."""
    version: str = ""
    """Version of its record; it changes whenever scores do."""
    options: str = "{}"
    """Options as canonical JSON."""
    weights: str = ""
    """``sha256:`` of the weights file, or ``parameters sha256:`` of what the network holds; empty if there is none."""

    seed: int | None = None
    """Seed of its scores; None if they depend on none, or nobody knows."""

    def line(self) -> str:
        """Return everything as one line of text."""
        facts = [
            self.provider,
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
    """Where a table comes from.

    Example:
        >>> made = Provenance(versions={"torch": "2.3"}, seed=7, draws=1000)
        >>> print(*made.brief(), sep="\\n")
        torch 2.3; seed 7; 1000 bootstrap draws
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the packages that scores depend on."""
    plugins: Mapping[str, str] = field(default_factory=dict)
    """Versions of the plugin distributions that took part."""
    metrics: tuple[MetricFacts, ...] = ()
    """What stands behind every metric."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the run was asked for."""
    seed: int | None = 0
    """Seed of the metrics, None if each has its own; resamples are always the same ones."""
    draws: int = 0
    """Resamples behind intervals and ties."""
    notes: tuple[str, ...] = ()
    """What a reader has to know: licences, how intervals were made."""

    def brief(self) -> list[str]:
        """Return the few lines that fit below a table on a screen."""
        packages = ", ".join(f"{name} {version}" for name, version in {**self.versions, **self.plugins}.items())
        seed = f"seed {self.seed}" if self.seed is not None else ""
        draws = f"{self.draws} bootstrap draws" if self.draws else ""
        return [one_line("; ".join(filter(None, (packages, seed, draws)))), *map(one_line, self.notes)]

    def lines(self) -> list[str]:
        """Return everything as lines of text."""
        return [
            *self.brief(),
            *(metric.line() for metric in self.metrics),
            f"settings: {json.dumps(dict(self.settings), ensure_ascii=False, sort_keys=True, default=str)}",
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return asdict(self)


def metric_facts(name: str, metric: Any, record: Registration[Any]) -> MetricFacts:
    """Return what stands behind a metric that was built here.

    Args:
        name: what the table calls it.
        metric: the object that :func:`causaliqa.create_metric` returned, or the error that it could not be built with.
        record: its record in the catalogue.
    """
    spec, key = record.spec, getattr(metric, "key", None)
    key = key if isinstance(key, ScoreKey) else None
    return MetricFacts(
        name=name,
        lower_better=isinstance(spec, MetricSpec) and spec.lower_better,
        provider=record.provider,
        licence=spec.licence,
        version=spec.version if isinstance(spec, MetricSpec) else "",
        options=key.options if key else "{}",
        weights=f"sha256:{key.weights}" if key and key.weights else _parameters(metric),
        seed=key.seed if key and isinstance(spec, MetricSpec) and spec.seeded else None,
    )


def _parameters(metric: Any) -> str:
    """Identify a network by what it holds: pyiqa and plugins load weights of their own, from files nobody sees."""
    if isinstance(metric, Exception):
        return "not built"
    # pyiqa gives every metric one empty parameter, also those without weights.
    if not any(parameter.numel() for parameter in getattr(metric, "parameters", tuple)()):
        return ""
    return f"parameters sha256:{state_dict_checksum(metric.state_dict(), shapes=True)}"


def plugin_versions(records: Iterable[Registration[Any]]) -> dict[str, str]:
    """Return name and version of every plugin distribution among the providers of records."""
    providers = sorted({record.provider for record in records} - set(_OURS))
    return {name: version for name, _, version in (provider.rpartition(" ") for provider in providers)}


def cluster_notes(rows: pd.DataFrame) -> tuple[str, ...]:
    """Say which data sets do not tell the references of their images, so that resampling had to take images.

    >>> import pandas as pd
    >>> cluster_notes(pd.DataFrame({"dataset": ["a", "b"], "ref": ["r.png", ""]}))
    ('b: references unknown, so intervals are clustered by image and are too narrow if images share a reference',)
    """
    if "clusters" in rows:
        unknown = rows["clusters"].eq("image")
    else:
        unknown = rows["ref"].fillna("").eq("") if "ref" in rows else rows["dataset"].notna()
    return tuple(
        f"{dataset}: references unknown, so intervals are clustered by image and are too narrow if images share a "
        "reference"
        for dataset in dict.fromkeys(rows.loc[unknown, "dataset"])
    )
