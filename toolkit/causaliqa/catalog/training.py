"""What a metric was fitted to, and whether a data set holds images of that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from causaliqa.api.errors import InputError
from causaliqa.api.specs import MetricSpec

__all__ = ["has_seen", "origins_of", "parse_training", "spec_problem", "trained_on", "training_text"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
_NOTHING, _UNKNOWN = "none", "unknown"

_ALIASES = {
    "clive": "livec",
    "gfiqa": "gfiqa20k",
    "kadid": "kadid10k",
    "koniq": "koniq10k",
    "livechallenge": "livec",
    "paq2piq": "flive",
}
"""Other names of the same data set, spelt without capitals and marks."""

_SHARED = (
    # The 25 references are the same, and so are most of the 1,700 distorted images.
    {"tid2008", "tid2013"},
    {"pipal", "pipaltrainval"},
    {"pipalval", "pipaltrainval"},
)
"""Data sets that have images in common."""

_WEIGHT_OPTIONS = {
    *("base_model_name", "metric_type", "model", "model_name", "model_path", "model_type", "net", "pretrained"),
    *("pretrained_model_path", "regressor_dataset", "train_dataset", "variant", "version"),
}
"""Options with which metrics of pyiqa load other weights than their name says."""


def trained_on(spec: MetricSpec, options: Mapping[str, Any], *, provider: str = "") -> tuple[str, ...] | None:
    """Return the data sets that a metric was fitted to as it is built with these options; None if unknown.

    Args:
        spec: its record.
        options: what the user asked for.
        provider: who provides the record; an option with which pyiqa loads other weights makes its training unknown.

    Example:
        >>> spec = MetricSpec(
        ...     name="m", factory=dict, summary="", licence="", lower_better=True, trained_on=("kadid10k",)
        ... )
        >>> trained_on(spec, {}, provider="pyiqa"), trained_on(spec, {"train_dataset": "pipal"}, provider="pyiqa")
        (('kadid10k',), None)
    """
    return None if provider == "pyiqa" and not _WEIGHT_OPTIONS.isdisjoint(options) else spec.trained_on


def has_seen(dataset: str, training: Iterable[str] | None, origins: Mapping[str, str] | None = None) -> bool | None:
    """Return whether a data set holds images that a metric was fitted to; None if its training is unknown.

    Names are compared without capitals, spaces and marks, so that ``KADID-10k`` is ``kadid10k``. Whole data sets are
    compared, not their splits. TID2008 and TID2013 count as one, and so do PIPAL's parts and their union; any other
    overlap must be declared.

    Args:
        dataset: name of the data set.
        training: data sets that the metric was fitted to.
        origins: data set that the images of another one come from, by its name: ``{"tid2013_real": "tid2013"}``.

    Example:
        >>> has_seen("TID2013", ("tid2008",)), has_seen("pipal_val", ("pipal",)), has_seen("tid2013", None)
        (True, False, None)
        >>> has_seen("my_set", ("tid2013",)), has_seen("my_set", ("tid2013",), {"my_set": "tid2013"})
        (False, True)
    """
    if training is None:
        return None
    here = {_canonical(dataset), _canonical((origins or {}).get(dataset, dataset))}
    fitted = {_canonical(name) for name in training}
    return bool(here & fitted) or any(both & here and both & fitted for both in _SHARED)


def origins_of(items: Iterable[str]) -> dict[str, str]:
    """Return data sets that the images of others come from, as ``NAME=SET`` declares them.

    Raises:
        InputError: an item has another form.

    Example:
        >>> origins_of(["tid2013_real=tid2013"])
        {'tid2013_real': 'tid2013'}
    """
    found = {}
    for item in items:
        name, _, origin = item.partition("=")
        if not name or not origin:
            raise InputError(f"part-of: got {item!r}, expected NAME=SET as in tid2013_real=tid2013")
        found[name] = origin
    return found


def _canonical(name: str) -> str:
    plain = re.sub(r"[\W_]", "", name.lower())
    return _ALIASES.get(plain, plain)


def training_text(training: Iterable[str] | None) -> str:
    """Return training data as a cell of a table.

    >>> training_text(("kadid10k", "tid2013")), training_text(()), training_text(None)
    ('kadid10k+tid2013', 'none', 'unknown')
    """
    return _UNKNOWN if training is None else "+".join(training) or _NOTHING


def parse_training(value: Any, what: str) -> tuple[str, ...] | None:
    """Return training data that a user declares, the inverse of :func:`training_text`.

    Args:
        value: ``A+B``, ``none``, ``unknown`` or a list of names.
        what: where it stands, for messages.

    Raises:
        InputError: it is none of these.

    Example:
        >>> parse_training("kadid10k+tid2013", "x"), parse_training("none", "x"), parse_training(["live"], "x")
        (('kadid10k', 'tid2013'), (), ('live',))
    """
    if value == _UNKNOWN:
        return None
    names = [] if value == _NOTHING else value.split("+") if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise InputError(
            f"{what}: got {value!r}, expected names of data sets in small letters and digits as in kadid10k+tid2013, "
            f"{_NOTHING} if it was fitted to no opinions, or {_UNKNOWN}"
        )
    return tuple(names)


def spec_problem(spec: MetricSpec) -> str:
    """Return what is wrong with ``trained_on`` or ``year`` of a record; empty if nothing is."""
    given: Any = spec.trained_on
    if given is not None and not (
        isinstance(given, tuple) and all(isinstance(name, str) and _NAME.fullmatch(name) for name in given)
    ):
        return f'trained_on is {given!r}, expected a tuple of names in small letters and digits such as ("kadid10k",)'
    year: Any = spec.year
    if year is not None and (type(year) is not int or not 1900 <= year <= 2100):
        return f"year is {year!r}, expected the year of publication as a number, or None"
    return ""
