"""Which map says best what happens to the region: CEM, LAM, integrated gradients, occlusion, or chance?

    python benchmarks/cem_faithfulness.py DATA WORK [--only NETWORK ...]

WORK is that of ``cem_table.py``, whose causal effect maps of the crops are taken, and its local attribution maps where
they are made already. The network is asked as ``causaliqa cem-check`` asks it, by draws that no map has seen: patches
are replaced in the order of each map (deletion) and come back (insertion), and random groups of 2 to a quarter of them
are replaced together. A map predicts the effect on a group by its sum. Only causal effects, occlusion and gradients are
in dB; the error of all is also given after the factor that suits it best, which favours maps without a unit. ``random``
gives every patch a random value: its sums tell the size of a group. ``shape`` is the rank correlation of absolute
attributions (LAM) and absolute effects over all patches outside the region.
Writes ``benchmarks/results/cem_faithfulness.csv``: means over images, and the lead of CEM with its 95 % interval over
images, paired. Scores of images are kept in WORK, so a stopped run goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from cem_table import GROUPS, prepared

import causaliqa
from causaliqa.effects.bench_file import BenchNetwork
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.effect_map import EffectMap
from causaliqa.effects.faithfulness import CheckPlan, score_maps
from causaliqa.effects.interventions import InterventionRunner
from causaliqa.effects.lam import Attribution, integrated_gradients
from causaliqa.effects.prepare import prepare
from causaliqa.effects.rival_maps import KeptDraws, occlusion, on_grid, quality_gradients, shape_agreement, with_scene
from causaliqa.effects.settings import CemSettings
from causaliqa.functional.fidelity import psnr
from causaliqa.functional.resampled import resampled_interval
from causaliqa.io.images import load_image

RESULT = Path(__file__).parent / "results" / "cem_faithfulness.csv"
NETWORKS = {
    "SRCNN x3": "x3",
    "CARN-M": "x4",
    "FFDNet": "noise",
    "RLFN": "x4",
    "DnCNN": "noise",
    "PAN": "x4",
    "tiny_edsr_x4": "sr",
    "tiny_dncnn_50": "denoise",
}
"""Networks, and their groups in ``cem_table.py``; the small ones of the package have a task, and maps made here."""
LAM_STEPS = 20
"""Of local attribution maps that ``cem_table.py`` has not made."""
PLAN = CheckPlan(steps=5, draws=2, orders=3, groups=40)
SEED = 1
"""Of draws, groups and random orders; the maps have 0."""
SCORES = {"deletion": 1, "insertion": 1, "joint": 1, "error": -1, "scaled_error": -1}
"""What is measured, and whether more or less of it is better."""


def asked(made: EffectMap, network, image: Path, task: str) -> InterventionRunner:
    """Return what makes the interventions of the check."""
    options = {"scale": made.facts["scale"]} if task == "sr" else {}
    degradation, sampler = causaliqa.create_degradation(task, **options), causaliqa.create_sampler("natural")
    settings = CemSettings(degradation=degradation, sampler=sampler, patch_size=made.patch_size)
    box = BlackBox(network, degradation.scale, "cpu")
    plain = prepare(box, psnr, load_image(image), made.roi, settings).runner
    if abs(plain.base - made.base) > made.tolerance:
        raise SystemExit(f"{image}: the region has {plain.base} dB, in its map {made.base}")
    return with_scene(plain, KeptDraws, seed=SEED)


def scored(folder: Path, network, image: Path, task: str) -> list[dict[str, object]]:
    """Return one row a map of one network and image."""
    made = EffectMap.load(folder)
    runner = asked(made, network, image, task)
    grid, patches = runner.scene.grid, runner.reached
    if (folder / "lam" / "lam.npz").is_file():
        lam = Attribution.load(folder / "lam")
    else:
        lam = integrated_gradients(network, runner.scene.degraded, made.roi, scale=grid.scale, steps=LAM_STEPS)
        lam.save(folder / "lam")
    maps = {
        "cem": made.effect.ravel()[list(patches)],
        "lam": on_grid(lam.strength, grid, patches),
        "gradients": on_grid(quality_gradients(runner), grid, patches),
        "occlusion": occlusion(runner, patches),
        "random": np.random.default_rng(SEED).random(len(patches)),
    }
    scores = score_maps(runner, maps, PLAN, in_units=("cem", "gradients", "occlusion"), seed=SEED)
    names = {"image": image.stem, "patches": len(patches), "map inferences": made.facts["inferences"]}
    names["lam shape"] = shape_agreement(made, lam)
    return [{**names, "map": s.name, **{name: getattr(s, name) for name in SCORES}} for s in scores[: len(maps)]]


def kept_in(work: Path, name: str) -> Path:
    return work / f"faithfulness-{name}.csv"


def measure(data: Path, work: Path, name: str) -> None:
    """Measure what is not known yet of one network."""
    group = NETWORKS[name]
    side, _, task, _, _, _, listed = GROUPS.get(group, (128, "", group, 0, None, True, ()))
    files = {own: f"archs:{data / 'weights' / file}" for own, _, file in listed}
    network = causaliqa.create_restorer(files.get(name, name), device="cpu")
    path = kept_in(work, name)
    rows = pd.read_csv(path).to_dict("records") if path.is_file() else []
    for image in prepared(data, work, side):
        if any(row["image"] == image.stem for row in rows):
            continue
        if not listed:
            options = {"task": task, "strategy": "adaptive", "budget": 300, "device": "cpu", "out": work / "tiny"}
            causaliqa.effect_bench([{"network": name}], image, progress=False, **options)
        folder = work / (group if listed else "tiny") / BenchNetwork(network=name, name=name).folder / image.stem
        if (folder / "cem.npz").is_file():
            rows += [{"network": name, **row} for row in scored(folder, network, image, task)]
            pd.DataFrame(rows).to_csv(path, index=False)
            print(name, image.stem, flush=True)


def leads(rows: pd.DataFrame):
    """Yield means over images of every network and map, and by how much CEM is better."""
    for network, part in rows.groupby("network", sort=False):
        images = {name: found.set_index("image") for name, found in part.groupby("map", sort=False)}
        for name, found in images.items():
            row = {"network": network, "map": name, "images": len(found), "patches": found["patches"].mean()}
            if name == "lam":
                row["shape"] = found["lam shape"].mean()
                row["shape low"], row["shape high"] = resampled_interval(found["lam shape"])
            for score, better in SCORES.items():
                row[score] = found[score].mean()
                lead = (better * (images["cem"][score] - found[score])).dropna()
                if name != "cem" and len(lead):
                    row[f"lead in {score}"] = lead.mean()
                    row[f"lead in {score} low"], row[f"lead in {score} high"] = resampled_interval(lead)
            yield row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.only:
        measure(args.data, args.work, name)
    rows = pd.concat([pd.read_csv(path) for name in NETWORKS if (path := kept_in(args.work, name)).is_file()])
    found = pd.DataFrame(leads(rows))
    found.round(4).to_csv(RESULT, index=False)
    print(found.round(3).to_string())


if __name__ == "__main__":
    main()
