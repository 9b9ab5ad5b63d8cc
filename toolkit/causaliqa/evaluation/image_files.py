"""Image files scored by several metrics: every pair is read and prepared once, metrics share their backbones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.api.data import Pair, ScoreKey
from causaliqa.api.errors import CausaliqaError, ImageError, InputError
from causaliqa.api.protocols import Metric
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.catalog import Backbones, Catalog
from causaliqa.catalog.request import parse_request
from causaliqa.catalog.workers import build_metric
from causaliqa.evaluation.loading import load_pair
from causaliqa.evaluation.pair_score import score_prepared
from causaliqa.evaluation.prepared_pairs import PairPreparer, PreparedPair
from causaliqa.evaluation.scoring import keys_of
from causaliqa.io.images import image_key
from causaliqa.utils.text import brief, one_line

if TYPE_CHECKING:
    from torch import Tensor

    from causaliqa.evaluation.store import ScoreStore

__all__ = ["build_metrics", "check_hdr", "failed", "known_scores", "records_of", "score_by_all", "score_loaded"]


def records_of(
    catalog: Catalog, requests: Iterable[str], *, job: str, lacking: str = "", hdr: str = ""
) -> dict[str, MetricSpec]:
    """Return the records of metrics, before torch is loaded.

    Args:
        catalog: where they are looked up.
        requests: ``NAME[:key=value,...]``.
        job: what the message calls the work.
        lacking: what to ask for where there are no references; empty where there are.
        hdr: how images of high dynamic range are encoded; empty for others.

    Raises:
        InputError: there is no metric, one is unknown, one needs the references that are lacking, or one cannot score
            high dynamic range.
    """
    records = {request: catalog.get(MetricSpec, parse_request(request)[0]).spec for request in requests}
    if not records:
        raise InputError(f"{job}: got no metric, expected a name; `causaliqa list metrics` lists them")
    for request, spec in records.items():
        if lacking and spec.metric_mode == "FR":
            raise InputError(f"metric {request!r} compares with a reference: got none, expected {lacking}")
        check_hdr(catalog, request, spec, hdr)
    return records


def check_hdr(catalog: Catalog, request: str, spec: MetricSpec, hdr: str) -> None:
    """Refuse a metric that cannot score high dynamic range where it is asked for.

    Args:
        catalog: knows the metrics that can.
        request: the metric, as it was asked for.
        spec: its record.
        hdr: how images of high dynamic range are encoded; empty for others.

    Raises:
        InputError: it takes no values above 1.
    """
    if hdr and not spec.takes_hdr:
        able = [name for name in catalog.names(MetricSpec) if catalog.get(MetricSpec, name).spec.takes_hdr]
        raise InputError(
            f"metric {request!r} takes no values above 1: got --hdr {hdr}, expected one of {', '.join(able)}"
        )


def build_metrics(catalog: Catalog, requests: Iterable[str], device: str, seed: int) -> dict[str, Metric]:
    """Build metrics that share the backbones that they may share.

    Args:
        catalog: where they are looked up.
        requests: ``NAME[:key=value,...]``.
        device: torch device.
        seed: seed of metrics that take one.
    """
    backbones: Backbones = {}
    return {request: build_metric(catalog, request, device, seed, backbones) for request in requests}


def score_by_all(
    built: Mapping[str, Metric],
    img_path: Path,
    ref_path: Path | None,
    device: str,
    preparer: PairPreparer,
    store: ScoreStore | None = None,
) -> tuple[dict[str, float | CausaliqaError], str]:
    """Score one image file by several metrics, against a reference file if there is one.

    Args:
        built: metrics on ``device`` by what messages call them.
        img_path: the image.
        ref_path: its reference; None for metrics without one.
        device: torch device.
        preparer: what is done to both before.
        store: a score that is there is not computed again, a new one is written before the next is begun.

    Returns:
        The score of every metric, or why there is none; and what the preparation found, where something was computed.
    """
    keys = _keys(built, img_path, ref_path, preparer) if store is not None else {}
    load = partial(load_pair, img_path, ref_path, preparer.prepare)
    known = known_scores(keys, store)
    return score_loaded(built, load, img_path, device, preparer, ref_path=ref_path, keys=keys, known=known, store=store)


def known_scores(keys: Mapping[str, ScoreKey], store: ScoreStore | None) -> dict[str, float]:
    """Return the scores that a store has, by metric."""
    there = store.get(keys.values()) if store is not None else {}
    return {name: row.score for name, key in keys.items() if (row := there.get(key)) and row.score is not None}


def score_loaded(
    built: Mapping[str, Metric],
    load: Callable[[], tuple[Tensor, Tensor | None]],
    what: object,
    device: str,
    preparer: PairPreparer,
    *,
    ref_path: Path | None = None,
    keys: Mapping[str, ScoreKey] | None = None,
    known: Mapping[str, float] | None = None,
    store: ScoreStore | None = None,
) -> tuple[dict[str, float | CausaliqaError], str]:
    """Score one image by several metrics; like :func:`score_by_all`, for images that are no files of their own.

    Args:
        built: metrics on ``device`` by what messages call them.
        load: returns the image ``(1, C, H, W)``, and its reference or None; not called where nothing is computed.
        what: what messages call the image.
        device: torch device.
        preparer: what is done to both before.
        ref_path: file of the reference, which masks are found by.
        keys: what scores are stored by, by metric.
        known: scores that are not computed again.
        store: a new score is written to it before the next is begun.
    """
    keys = keys or {}
    found: dict[str, float | CausaliqaError] = {**(known or {})}
    lacking = {name: metric for name, metric in built.items() if name not in found}
    note = ""
    if lacking:
        try:
            pair = _prepared(load, what, preparer, ref_path)
        except CausaliqaError as error:
            return {name: found.get(name, error) for name in built}, ""
        note = pair.note
    for name, metric in lacking.items():
        start = time.perf_counter()
        try:
            score = _score(name, metric, pair, what, device)
        except CausaliqaError as error:
            found[name] = error
            continue
        found[name] = score
        if store is not None and name in keys:
            seconds = time.perf_counter() - start
            store.put_score(keys[name], name=name, lower_better=metric.lower_better, score=score, seconds=seconds)
    return {name: found[name] for name in built}, note


def _keys(
    built: Mapping[str, Metric], img_path: Path, ref_path: Path | None, preparer: PairPreparer
) -> dict[str, ScoreKey]:
    """Return what scores are stored by; nothing where a file cannot be read, which reading it explains better."""
    try:
        return keys_of(built, "", Pair(ref=ref_path, dist=img_path, label=0.0), image_key, preparer)
    except OSError:
        return {}


def _prepared(
    load: Callable[[], tuple[Tensor, Tensor | None]], what: object, preparer: PairPreparer, ref_path: Path | None
) -> PreparedPair:
    img, ref = load()
    try:
        return preparer(img, ref, ref_path)
    except ImageError as error:
        raise ImageError(f"{what}: {error}") from error


def _score(name: str, metric: Metric, pair: PreparedPair, what: object, device: str) -> float:
    try:
        return score_prepared(metric, pair.to(device))
    except CausaliqaError as error:
        raise CausaliqaError(f"{what}: {error}") from error
    except ValueError as error:
        raise ImageError(f"{what}: {error}") from error
    except Exception as error:
        # Metrics of others fail in their own ways, as on images that are smaller than their windows.
        raise failed(name, what, error) from error


def failed(metric: str, img: object, error: Exception) -> CausaliqaError:
    """Return the error of a metric that failed in a way of its own."""
    return CausaliqaError(f"{metric} failed on {one_line(str(img))}: {brief(error)}; -v shows where")
