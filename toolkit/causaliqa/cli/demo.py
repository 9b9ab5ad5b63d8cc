"""``causaliqa demo``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.specs import DegradationSpec, SamplerSpec
from causaliqa.catalog.workers import build_metric
from causaliqa.cli import _common, _publish
from causaliqa.utils.devices import choose_device
from causaliqa.utils.progress import intervention_bar, progress_bar

if TYPE_CHECKING:
    from causaliqa.catalog.catalog import Catalog

__all__ = ["add", "run"]

_NOTE = "Labels are the known severity of each distortion, 1 to 5: an order that was made, not human opinion."


def add(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser("demo", help="rank metrics on a small graded set made on the spot; no download")
    command.add_argument(
        "--out",
        metavar="DIR",
        type=_common.out_folder,
        default="causaliqa-demo",
        help="folder (default: causaliqa-demo)",
    )
    command.set_defaults(run=run)


def _effect_map(catalog: Catalog, folder: Path, device: str) -> Path:
    """Draw one causal effect map: the small super-resolution network on a part of a photograph."""
    import torch

    from causaliqa.effects.causal_effect_map import CausalEffectMap
    from causaliqa.io.photographs import photograph

    name = "tiny_edsr_x4"
    crop = photograph("chelsea")[60:188, 100:228]
    image = torch.from_numpy(crop.copy()).permute(2, 0, 1) / 255
    restorer = catalog.create_restorer(name, device=device)
    with intervention_bar() as show:
        made = CausalEffectMap(restorer, scale=4, device=device).attribute(
            image,
            (56, 32, 32, 32),
            degradation=catalog.create(DegradationSpec, "sr"),
            sampler=catalog.create(SamplerSpec, "natural"),
            coarse=2,
            fine=8,
            progress=show,
        )
    made.save(folder, title=f"{name} · sr · chelsea")
    return folder / "cem.png"


def run(args: argparse.Namespace) -> int:
    """Make the set, score it with the preset ``demo``, print the table, write csv and pictures."""
    catalog = _common.catalog(args)
    print("Loading torch and pyiqa ...", file=sys.stderr)
    from causaliqa.builtin.datasets.graded import write_graded_set
    from causaliqa.evaluation.rank import rank
    from causaliqa.evaluation.scoring import evaluate
    from causaliqa.io.images import load_image
    from causaliqa.io.manifest import read_manifest
    from causaliqa.report.explain import write_explanation
    from causaliqa.report.scatter import scatter_panels
    from causaliqa.report.table import rows_csv

    device = choose_device(None)
    dataset = read_manifest(write_graded_set(args.out / "images"))
    requests = catalog.registry.presets["demo"].metrics
    metrics = {request: build_metric(catalog, request, device, 0) for request in requests}
    with progress_bar(len(metrics) * len(dataset.pairs), "scoring") as bar:
        frame = evaluate(metrics, dataset, device=device, progress=bar.update)
    table = rank(frame)
    asked = {request: request for request in requests}
    facts = _publish.provenance(catalog, asked, metrics, table, settings={"demo": _NOTE}, seed=0)
    _publish.write(frame, table, facts, "plain", None)
    print(f"\n{_NOTE}")

    written = [args.out / name for name in ("leaderboard.csv", "leaderboard.html", "scores.csv")]
    _publish.write(frame, table, facts, "csv", written[0])
    _publish.write(frame, table, facts, "html", written[1])
    _common.write_or_print(rows_csv(frame), written[2])
    heading = "Scores against severity (known order, not human opinion), with the fitted logistic curve"
    written.append(scatter_panels(frame, args.out / "scatter.png", table=table, label="severity", title=heading))
    pair = next(p for p in dataset.pairs if p.type == "jpeg" and p.level == "4")
    img, ref = load_image(pair.dist), load_image(pair.ref or pair.dist)
    metric: Any = metrics["causal_effnet_lite0"]
    explanation = metric.explain(img.to(device), ref.to(device))
    title = f"causal_effnet_lite0: {pair.dist.stem}"
    written += write_explanation(explanation, args.out / "explain", title=title)
    written.append(_effect_map(catalog, args.out / "cem", device))
    print("\n".join(f"wrote {path}" for path in written))
    return 1 if (frame["error"] != "").any() else 0
