"""Image files scored by several metrics: every pair is read and prepared once, metrics share their backbones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.api.errors import CausaliqaError, ImageError, InputError
from causaliqa.api.protocols import Metric
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.catalog import Backbones, Catalog
from causaliqa.catalog.request import parse_request
from causaliqa.catalog.workers import build_metric
from causaliqa.evaluation.preparation import Preparation
from causaliqa.evaluation.scoring import score_pair
from causaliqa.io.images import load_image
from causaliqa.utils.text import brief, one_line

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["build_metrics", "failed", "records_of", "score_by_all", "score_loaded"]


def records_of(catalog: Catalog, requests: Iterable[str], *, job: str, lacking: str = "") -> dict[str, MetricSpec]:
    """Return the records of metrics, before torch is loaded.

    Args:
        catalog: where they are looked up.
        requests: ``NAME[:key=value,...]``.
        job: what the message calls the work.
        lacking: what to ask for where there are no references; empty where there are.

    Raises:
        InputError: there is no metric, one is unknown, or one needs the references that are lacking.
    """
    records = {request: catalog.get(MetricSpec, parse_request(request)[0]).spec for request in requests}
    if not records:
        raise InputError(f"{job}: got no metric, expected a name; `causaliqa list metrics` lists them")
    for request, spec in records.items():
        if lacking and spec.metric_mode == "FR":
            raise InputError(f"metric {request!r} compares with a reference: got none, expected {lacking}")
    return records


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
    built: Mapping[str, Metric], img_path: Path, ref_path: Path | None, device: str, prepare: Preparation
) -> tuple[dict[str, float | CausaliqaError], str]:
    """Score one image file by several metrics, against a reference file if there is one.

    Args:
        built: metrics on ``device`` by what messages call them.
        img_path: the image.
        ref_path: its reference; None for metrics without one.
        device: torch device.
        prepare: what is done to both before.

    Returns:
        The score of every metric, or why there is none; and what the preparation found.
    """
    load_ref = None if ref_path is None else partial(load_image, ref_path)
    return score_loaded(built, partial(load_image, img_path), load_ref, str(img_path), device, prepare)


def score_loaded(
    built: Mapping[str, Metric],
    load: Callable[[], Tensor],
    load_ref: Callable[[], Tensor] | None,
    what: str,
    device: str,
    prepare: Preparation,
) -> tuple[dict[str, float | CausaliqaError], str]:
    """Score one image by several metrics; like :func:`score_by_all`, for images that are no files of their own.

    Args:
        built: metrics on ``device`` by what messages call them.
        load: returns the image, ``(1, 3, H, W)``.
        load_ref: returns its reference; None for metrics without one.
        what: what messages call the image.
        device: torch device.
        prepare: what is done to both before.
    """
    try:
        img, ref, note = _prepared(load(), None if load_ref is None else load_ref(), what, prepare)
    except CausaliqaError as error:
        return dict.fromkeys(built, error), ""
    found: dict[str, float | CausaliqaError] = {}
    for name, metric in built.items():
        try:
            found[name] = _score(name, metric, img, ref, what, device)
        except CausaliqaError as error:
            found[name] = error
    return found, note


def _prepared(img: Tensor, ref: Tensor | None, what: str, prepare: Preparation) -> tuple[Tensor, Tensor | None, str]:
    try:
        return prepare.apply(img, ref)
    except ImageError as error:
        raise ImageError(f"{what}: {error}") from error


def _score(name: str, metric: Metric, img: Tensor, ref: Tensor | None, what: str, device: str) -> float:
    try:
        return score_pair(metric, img.to(device), (img if ref is None else ref).to(device))
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
