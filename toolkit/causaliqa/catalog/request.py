"""Requests as users write them, ``NAME[:key=value,...]``, and the options that a factory takes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from causaliqa.api.errors import InputError
from causaliqa.utils import safe_yaml
from causaliqa.utils.safe_yaml import shown
from causaliqa.utils.text import number, one_line, without_folders

__all__ = ["check_options", "labels_of", "metric_value", "parse_request"]


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
            # YAML has no bytes that are no text, which paths may hold.
            options[key] = safe_yaml.load(value) if _is_text(value) else value
        except ValueError as error:
            raise InputError(f"the value of {key!r} is not valid: got {shown(value)}; {error}") from error
        if isinstance(options[key], dict):
            raise InputError(f"{text!r}: the value of {key!r} is a mapping, expected a number, text or list")
    if not name.strip():
        raise InputError(f"{text!r}: the name is empty, expected NAME[:key=value[,key=value]]")
    return name, options


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def labels_of(requests: list[str] | tuple[str, ...]) -> dict[str, str]:
    """Return the requests by the label that a table shows: without weights and folders where that stays unambiguous.

    Labels are published, so they never name a folder of this machine: where two requests differ in nothing else, the
    labels are numbered.

    Example:
        >>> labels_of(["psnr", "causal_vgg:weights=a.pth,terms=md"])
        {'psnr': 'psnr', 'causal_vgg:terms=md': 'causal_vgg:weights=a.pth,terms=md'}
        >>> list(labels_of(["m:weights=/x/a.pth", "m:weights=/y/a.pth"]))
        ['m:weights=a.pth (1)', 'm:weights=a.pth (2)']
    """
    requests = list(dict.fromkeys(requests))
    short = []
    for request in requests:
        name, options = parse_request(request)
        shown_options = ",".join(f"{key}={value}" for key, value in options.items() if key != "weights")
        short.append(without_folders(f"{name}:{shown_options}" if shown_options else name))
    full = [without_folders(request) for request in requests]
    labels: dict[str, str] = {}
    for place, (brief, long, request) in enumerate(zip(short, full, requests, strict=True)):
        number = f" ({full[: place + 1].count(long)})" if full.count(long) > 1 else ""
        labels[one_line(brief if short.count(brief) == 1 else f"{long}{number}")] = request
    return labels


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


def metric_value(option: str, text: str, metrics: Iterable[str]) -> tuple[str, float]:
    """Read ``METRIC=VALUE``.

    Args:
        option: what messages call it.
        text: what the user wrote.
        metrics: the metrics that it may name.

    Raises:
        InputError: the metric is another one, or the value is no number.

    Example:
        >>> metric_value("--hold", "psnr=35", ["psnr"])
        ('psnr', 35.0)
    """
    name, _, value = text.rpartition("=")
    if name not in (known := list(metrics)):
        raise InputError(f"{option} {text}: got metric {name!r}, expected METRIC=VALUE of {', '.join(known)}")
    try:
        return name, number(value)
    except ValueError as error:
        raise InputError(f"{option} {text}: got {value!r}, expected a number") from error
