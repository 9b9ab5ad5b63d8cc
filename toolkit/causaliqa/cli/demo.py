"""``causaliqa demo``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.cli import _common, _options

if TYPE_CHECKING:
    from causaliqa.catalog.catalog import Catalog

__all__ = ["add", "run"]

_NOTE = "Labels are the known severity of each distortion, 1 to 5: an order that was made, not human opinion."


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "demo",
        "Rank metrics on a small graded set made on the spot; no download.",
        examples=("demo", "demo --out folder"),
        run=run,
    )
    command.add_argument("--out", metavar="DIR", type=_options.out_folder, default="causaliqa-demo", help="folder")


def _effect_map(catalog: Catalog, folder: Path, *, quiet: bool) -> Path:
    """Draw one causal effect map: the small super-resolution network on a part of a photograph."""
    import torch

    from causaliqa.effects.causal_effect_map import CausalEffectMap
    from causaliqa.io.photographs import photograph
    from causaliqa.utils.progress import intervention_bar

    name = "tiny_edsr_x4"
    crop = photograph("chelsea")[60:188, 100:228]
    image = torch.from_numpy(crop.copy()).permute(2, 0, 1) / 255
    restorer = catalog.create_restorer(name)
    with intervention_bar(shown=not quiet) as show:
        made = CausalEffectMap(restorer, scale=4).attribute(
            image,
            (56, 32, 32, 32),
            degradation=catalog.create_degradation("sr"),
            sampler=catalog.create_sampler("natural"),
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
    from causaliqa.evaluation.run import LeaderboardRun
    from causaliqa.evaluation.score import explain
    from causaliqa.io.images import load_image
    from causaliqa.io.manifest import read_manifest
    from causaliqa.report.explain import write_explanation
    from causaliqa.report.leaderboard import make_leaderboard

    dataset = read_manifest(write_graded_set(args.out / "images"))
    asked = LeaderboardRun(data=(dataset,), preset="demo", progress=not args.quiet)
    made = make_leaderboard(asked, catalog, settings={"demo": _NOTE})
    print(made.to_text("plain"))
    print(f"\n{_NOTE}")

    written = made.save(args.out / "leaderboard.csv", "csv")[:1]
    written += made.save(args.out / "leaderboard.html", "html")
    written.append(made.save_rows(args.out / "scores.csv"))
    heading = "Scores against severity (known order, not human opinion), with the fitted logistic curve"
    written.append(made.figure(args.out / "scatter.png", title=heading))
    pair = next(p for p in dataset.pairs if p.type == "jpeg" and p.level == "4")
    img, ref = load_image(pair.dist), load_image(pair.ref or pair.dist)
    explanation = explain("causal_effnet_lite0", img, ref, catalog=catalog)
    title = f"causal_effnet_lite0: {pair.dist.stem}"
    written += write_explanation(explanation, args.out / "explain", names=[pair.dist.name], title=title)
    written.append(_effect_map(catalog, args.out / "cem", quiet=args.quiet))
    print("\n".join(f"wrote {path}" for path in written))
    return 1 if len(made.failures) else 0
