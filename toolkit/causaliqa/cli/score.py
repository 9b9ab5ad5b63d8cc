"""``causaliqa score METRIC IMG REF``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import CausaliqaError, ImageError
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.workers import build_metric
from causaliqa.cli import _common
from causaliqa.utils.devices import choose_device
from causaliqa.utils.text import one_line
from causaliqa.utils.versions import versions

if TYPE_CHECKING:
    from causaliqa.api.protocols import Metric

__all__ = ["add", "run"]


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("score", help="score an image against its reference, or two folders of them")
    command.add_argument("metric", metavar="METRIC", help="NAME[:key=value[,key=value]]")
    command.add_argument("img", metavar="IMG", type=Path, help="distorted image, or a folder")
    command.add_argument("ref", metavar="REF", type=Path, help="reference image, or a folder; paired by file stem")
    command.add_argument("--device", help="torch device (default: cuda if there is one, else cpu)")
    command.add_argument("--seed", type=int, default=0, help="seed of metrics that take one (default: 0)")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Score; exit 1 if an image has no partner, or if one of several cannot be scored."""
    pairs, alone = _common.file_pairs(args.img, args.ref)
    catalog = _common.catalog(args)
    from causaliqa.catalog.request import parse_request

    catalog.get(MetricSpec, parse_request(args.metric)[0])  # a typing error should not wait for torch
    device = choose_device(args.device)
    metric = build_metric(catalog, args.metric, device, args.seed)
    scores = []
    for img_path, ref_path in pairs:
        row: dict[str, Any] = {"img": str(img_path), "ref": str(ref_path)}
        try:
            scores.append({**row, "score": _score(args.metric, metric, img_path, ref_path, device)})
        except CausaliqaError as error:
            if len(pairs) == 1:
                raise
            # One of many costs its own line only.
            scores.append({**row, "score": None, "error": str(error)})
    if args.json:
        document = {
            "schema": 1,
            "metric": args.metric,
            "lower_better": metric.lower_better,
            "seed": args.seed,
            "device": device,
            "versions": versions(),
            "scores": scores,
        }
        print(json.dumps(document, indent=2))
    else:
        for line in (line for line in scores if line["score"] is not None):
            print(f"{line['score']:.6g}" if len(scores) == 1 else f"{one_line(line['img'])}\t{line['score']:.6g}")
    failed = [line["error"] for line in scores if line["score"] is None]
    for said in (*failed, *(f"no partner for {path}" for path in alone)):
        _common.note(said)
    return 1 if failed or alone else 0


def _score(name: str, metric: Metric, img_path: Path, ref_path: Path, device: str) -> float:
    """Score one pair of files.

    Raises:
        ImageError: one of them cannot be read or scored, or their sizes differ.
        CausaliqaError: the metric fails, or its score is no number.
    """
    from causaliqa.evaluation.scoring import score_pair
    from causaliqa.io.images import load_image

    img, ref = load_image(img_path), load_image(ref_path)
    if img.shape != ref.shape:
        raise ImageError(
            f"sizes differ: {img_path} is {img.shape[-1]} x {img.shape[-2]}, {ref_path} is "
            f"{ref.shape[-1]} x {ref.shape[-2]} (width x height); crop or resize one of them first"
        )
    try:
        return score_pair(metric, img.to(device), ref.to(device))
    except CausaliqaError as error:
        raise CausaliqaError(f"{img_path}: {error}") from error
    except ValueError as error:
        raise ImageError(f"{img_path}: {error}") from error
    except Exception as error:
        # Metrics of others fail in their own ways, as on images that are smaller than their windows.
        raise _common.failed(name, img_path, error) from error
