"""``causaliqa cem-check MAP IMAGE``."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.cli import _common, _dataclass_options, _options
from causaliqa.effects.names import NetworkRequest
from causaliqa.effects.settings import CemSettings
from causaliqa.report.formats import TEXT_FORMATS

if TYPE_CHECKING:
    from causaliqa.effects.check_effects import EffectCheck
    from causaliqa.effects.faithfulness import MapScore

__all__ = ["add", "run"]

_METAVARS = {"checkpoint": "FILE", "arch_options": "KEY=VALUE,...", "degradation": "D", "library": "DIR|FILE.npz"}


def add(commands: Any) -> None:
    """Add the command."""
    command = _options.add_command(
        commands,
        "cem-check",
        "Ask the network whether a causal effect map is right: deletion, insertion, joint replacements.",
        examples=(
            "cem-check map/ photo.png",
            "cem-check map/ photo.png --network net.py:build --checkpoint net.pth --budget 2000",
        ),
        run=run,
    )
    command.add_argument("map", metavar="MAP", type=Path, help="folder that causaliqa cem wrote")
    command.add_argument("image", metavar="IMAGE", type=Path, help="ground truth that the map was made of")
    command.add_argument("--network", metavar="RESTORER", help="default: the one that the map names")
    add, group = _dataclass_options.add_options, command.add_argument_group("network and interventions, as for cem")
    add(group, NetworkRequest, only=("scale", "checkpoint", "arch_options"), metavars=_METAVARS)
    add(group, CemSettings, only=("degradation", "sampler", "library"), metavars=_METAVARS)
    command.add_argument(
        "--budget", type=int, metavar="N",
        help="inferences that it may take (default: about 1500, and 9 a patch that can reach the region)",
    )  # fmt: skip
    command.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the check, not that of the map")
    command.add_argument("--format", choices=TEXT_FORMATS, default="plain", help="of the table")
    _options.add_device(command)


def run(args: argparse.Namespace) -> int:
    """Print the table; the exit code is 1 if the map failed."""
    from causaliqa.effects.check_effects import check_effects

    _common.catalog(args)
    made = check_effects(
        args.map,
        args.image,
        args.network,
        scale=args.scale,
        checkpoint=args.checkpoint,
        arch_options=args.arch_options,
        degradation=args.degradation,
        sampler=args.sampler,
        library=args.library,
        budget=args.budget,
        seed=args.seed,
        device=args.device,
        progress=not args.quiet,
    )
    _common.write_or_print(_table(made, args.format), None)
    for note in made.notes:
        _common.note(note)
    if args.format == "plain":
        for line in _lines(made):
            print(line)
    for doubt in made.doubts:
        _common.note(f"the map is not supported: {doubt}")
    return 1 if made.doubts else 0


def _table(made: EffectCheck, form: str) -> str:
    import pandas as pd

    from causaliqa.report.map_table import render

    unit = f" {made.unit}" if made.unit else ""
    if form in ("csv", "json"):
        return render(pd.DataFrame([vars(score) for score in made.scores]), form)
    rows = [_cells(score, unit) for score in made.scores]
    return render(pd.DataFrame(rows), form)


def _cells(score: MapScore, unit: str) -> dict[str, str]:
    return {
        "map": score.name,
        f"deletion{unit}": _with_half(score.deletion, score.deletion_half),
        f"insertion{unit}": _with_half(score.insertion, score.insertion_half),
        "joint r": _correlation((score.joint, score.joint_low, score.joint_high)),
        f"error{unit}": _number(score.error),
        f"scaled error{unit}": _number(score.scaled_error),
    }


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _with_half(value: float, half: float) -> str:
    return f"{value:.3f}" + ("" if math.isnan(half) else f" ± {half:.3f}")


def _correlation(found: tuple[float, float, float]) -> str:
    value, low, high = found
    if math.isnan(value):
        return ""
    return f"{value:.2f}" + ("" if math.isnan(low) else f" [{low:.2f}, {high:.2f}]")


def _lines(made: EffectCheck) -> list[str]:
    return [
        f"rank correlation with a short map by other draws: {_correlation(made.repeated) or 'not measured'}",
        f"rank correlation with the map of shuffled weights: {_correlation(made.randomised) or 'not measured'}",
        f"{made.patches} patches reach the region; {made.inferences} inferences",
        "no doubt about the map" if not made.doubts else f"{len(made.doubts)} doubts about the map",
    ]
