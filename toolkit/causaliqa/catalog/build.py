"""How the catalogue builds: requests are read, options checked, failures given their source, devices chosen."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from causaliqa.api.data import ScoreKey, canonical_options
from causaliqa.api.errors import CausaliqaError, InputError, PluginError
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.host import Record
from causaliqa.io.images import PROTOCOL
from causaliqa.io.weights import sha256
from causaliqa.utils import safe_yaml
from causaliqa.utils.offline import enforce
from causaliqa.utils.safe_yaml import shown

__all__ = ["check_options", "on_backbone", "on_device", "parse_request", "provenance", "score_key"]


def parse_request(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``NAME[:key=value[,key=value]]`` into the name and its options; values are YAML scalars or lists.

    A part after a colon that holds no ``=`` belongs to the name.

    Raises:
        InputError: an option is malformed or given twice.

    Example:
        >>> parse_request("causal_vgg:weights=vgg16.pth,seed=3")
        ('causal_vgg', {'weights': 'vgg16.pth', 'seed': 3})
        >>> parse_request("basicsr:EDSR:num_feat=64,strides=[1, 2]")
        ('basicsr:EDSR', {'num_feat': 64, 'strides': [1, 2]})
    """
    start = re.search(r":(?=[A-Za-z_]\w*=)", text)
    name, tail = (text[: start.start()], text[start.end() :]) if start else (text, "")
    options: dict[str, Any] = {}
    for part in filter(None, re.split(r",(?=[A-Za-z_]\w*=)", tail)):
        key, _, value = part.partition("=")
        if key in options:
            raise InputError(f"{text!r}: option {key!r} is given twice")
        try:
            options[key] = safe_yaml.load(value)
        except ValueError as error:
            raise InputError(f"the value of {key!r} is not valid: got {shown(value)}; {error}") from error
        if isinstance(options[key], dict):
            raise InputError(f"{text!r}: the value of {key!r} is a mapping, expected a number, text or list")
    if not name.strip():
        raise InputError(f"{text!r}: the name is empty, expected NAME[:key=value[,key=value]]")
    return name, options


def on_backbone(metric: Record, backbone: Record) -> Record:
    """Return the record of a metric that takes any backbone, on one of them."""
    if not isinstance(metric.spec, MetricSpec):
        raise PluginError(f"metric {metric.spec.name!r} of {metric.provider} is no MetricSpec")
    spec = replace(
        metric.spec,
        name=f"{metric.spec.name}_{backbone.spec.name}",
        backbone=backbone.spec.name,
        summary=f"{metric.spec.summary}: {backbone.spec.summary}",
        licence=f"{metric.spec.licence}; weights {backbone.spec.licence}",
    )
    provider = metric if backbone.builtin else backbone
    return Record(spec=spec, provider=provider.provider, builtin=metric.builtin and backbone.builtin)


@contextlib.contextmanager
def provenance(what: str, record: Record, options: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Whatever a plugin's own code raises names the plugin; a built-in's complaint is about its options."""
    # What is built may download by itself.
    enforce()
    try:
        yield
    except CausaliqaError:
        raise
    except Exception as error:
        if record.builtin and options and isinstance(error, (TypeError, ValueError)):
            raise InputError(f"{what}: {error}") from error
        reason = " ".join(str(error).split())[:400]
        raise PluginError(
            f"{what} of {record.provider} could not be built: {type(error).__name__}: {reason}"
        ) from error


def check_options(what: str, factory: Callable[..., Any], options: Mapping[str, Any], hidden: tuple[str, ...]) -> None:
    """Refuse options that a factory does not take; ``hidden`` ones are not the user's to give.

    Raises:
        InputError: naming the option and what there is instead.
    """
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for key in options:
        if key not in known:
            free = ", ".join(k for k in known if k not in hidden) or "none"
            raise InputError(f"{what}: unknown option {key!r}; it takes: {free}")


def score_key(name: str, spec: MetricSpec, options: Mapping[str, Any], weights: Path | None) -> ScoreKey:
    """Return what a stored score of this metric depends on, but for the images."""
    told = {k: v for k, v in options.items() if k not in ("seed", "weights", "backbone")}
    return ScoreKey(
        metric=name,
        version=spec.version,
        options=canonical_options(told),
        weights=sha256(weights) if weights is not None else "",
        dataset="",
        img_hash="",
        ref_hash="",
        seed=int(options.get("seed", 0)),
        protocol=PROTOCOL,
    )


def on_device(module: Any, device: str | None) -> Any:
    """Move a module to a device: the one that was asked for, or the best there is; functions stay as they are.

    Raises:
        InputError: torch cannot use it.
    """
    import torch

    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return module.to(device) if hasattr(module, "to") else module
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} cannot be used: {' '.join(str(error).split())[:200]}") from error
