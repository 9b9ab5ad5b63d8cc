"""How the catalogue builds: derived records, errors that name the plugin, keys of scores."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from causaliqa.api.data import ScoreKey, canonical_options
from causaliqa.api.errors import CausaliqaError, InputError, PluginError
from causaliqa.api.specs import BackboneSpec, Lazy, MetricSpec
from causaliqa.catalog.host import Registration
from causaliqa.catalog.request import check_options
from causaliqa.io.images import PROTOCOL
from causaliqa.io.weights import sha256
from causaliqa.utils.offline import enforce
from causaliqa.utils.text import brief

__all__ = ["blame_plugin", "call_factory", "fixed_weights", "on_backbone", "score_key"]


def on_backbone(metric: Registration[MetricSpec], backbone: Registration[BackboneSpec]) -> Registration[MetricSpec]:
    """Return the record of a metric that takes any backbone, on one of them."""
    spec = replace(
        metric.spec,
        name=f"{metric.spec.name}_{backbone.spec.name}",
        backbone=backbone.spec.name,
        summary=f"{metric.spec.summary}: {backbone.spec.summary}",
        licence=f"{metric.spec.licence}; weights {backbone.spec.licence}",
    )
    provider = metric if backbone.builtin else backbone
    return Registration(spec=spec, provider=provider.provider, builtin=metric.builtin and backbone.builtin)


@contextlib.contextmanager
def blame_plugin(
    what: str, registration: Registration[Any], options: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Turn whatever a plugin's own code raises into an error that names the plugin.

    A built-in's complaint is about its options, so it becomes an error of the input.

    Raises:
        InputError: a built-in refused its options.
        PluginError: anything else that is not an error of this package.
    """
    # What is built may download by itself.
    enforce()
    try:
        yield
    except CausaliqaError:
        raise
    except Exception as error:
        if registration.builtin and options and isinstance(error, (TypeError, ValueError)):
            raise InputError(f"{what}: {error}") from error
        raise PluginError(f"{what} of {registration.provider} could not be built: {brief(error, 400)}") from error


def call_factory(registration: Registration[Any], options: dict[str, Any], hidden: tuple[str, ...] = ()) -> Any:
    """Call the factory of a record; bad options are the user's error, anything else that is raised is the plugin's.

    Raises:
        InputError: an option is unknown, or a built-in refused its value.
        PluginError: the plugin failed.
    """
    what = f"{registration.spec.noun} {registration.spec.name!r}"
    with blame_plugin(what, registration, options):
        factory = registration.spec.factory
        factory = factory.resolve() if isinstance(factory, Lazy) else factory
        check_options(what, factory, options, hidden)
        return factory(**options)


@contextlib.contextmanager
def fixed_weights() -> Iterator[None]:
    """Give weights that are drawn, not loaded, the same values in every process and run."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def score_key(name: str, spec: MetricSpec, options: Mapping[str, Any], weights: Path | None) -> ScoreKey:
    """Return what a stored score of this metric depends on, except for data set and images."""
    kept = {k: v for k, v in options.items() if k not in ("seed", "weights", "backbone")}
    return ScoreKey(
        metric=name,
        version=spec.version,
        options=canonical_options(kept),
        weights=sha256(weights) if weights is not None else "",
        dataset="",
        img_hash="",
        ref_hash="",
        seed=int(options.get("seed", 0)),
        protocol=PROTOCOL,
    )
