"""How close do the strategies come to the plain map, and at what cost? Table III of the paper, for six networks.

    python benchmarks/cem_efficiency.py --data DATA --work FOLDER

Every strategy runs its real plan, on all patches that can reach the region or, for the slower networks, on those around
it. The truth is a plain map of T = 500 of the patches that a pilot run finds strongest, and of random samples of those
that follow and of all others, which count for all of these; a second, independent one says how similar two such maps
are at best.
What was measured is kept in FOLDER, so a stopped run goes on, and a changed plan costs only what it makes anew.

Networks run in float32. In bfloat16 they are faster, but rounding moves the region by more (2e-4 dB) than patches far
from it do, and a map of all patches is then mostly a map of rounding.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from cem_scenes import IMAGES, NETWORKS, REGION, RESULTS, degradation, restorer, scale_of, write
from scipy import stats

from causaliqa import create_sampler
from causaliqa.effects.adaptive_strategy import make_adaptive
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.effect_map import similarity
from causaliqa.effects.prepare import prepare
from causaliqa.effects.settings import CemSettings
from causaliqa.effects.strategy import CoarseToFine, Plain, Round
from causaliqa.functional.fidelity import psnr
from causaliqa.functional.quadrature import Population
from causaliqa.io.images import load_image
from causaliqa.utils.figures import new_figure, save

SAMPLES = {
    "tiny_edsr_x4": (None, 16, 8, 3),
    "tiny_rcan_x4": (16, 10, 5, 4),
    "tiny_dncnn_50": (None, 10, 5, 3),
    "tiny_edsr_rain": (None, 10, 5, 3),
    "dncnn": (None, 8, 4, 2),
    "imdn": (10, 6, 3, 2),
}
"""Side, in patches, of the square around the region that the strategies run on (None: all that reach the region); how
many have a truth of the strongest patches, of the twice as many that follow, and of all others."""
ONE_IMAGE = ("dncnn", "imdn")
"""Networks that take too long for more."""
PILOT = 3000
"""Seed of the pilot run that finds the strong ones."""
TRUTH, SECOND = 1000, 2000
"""Seeds of the two plain maps; the strategies have seeds from 0."""
T = 500
FEWEST = 6
"""Interventions below which an interval is not counted."""


class Notebook:
    """Effects of single interventions by kind of draw, seed and patch: measured once, when they are asked for."""

    def __init__(self, path, name, image, data):
        task = NETWORKS[name][0]
        network = BlackBox(restorer(name, data), scale_of(task))
        natural = create_sampler("natural")
        settings = CemSettings(degradation=degradation(task), sampler=natural, image_seed=0)
        self.lab = prepare(network, psnr, load_image(data / "cem_images" / image), REGION, settings).runner
        self.scene = self.lab.scene
        self.samplers = {"natural": natural, "uniform": create_sampler("natural", draws="uniform")}
        self.path, self.effects, self.saved = path, {}, time.monotonic()
        if path.is_file():
            with np.load(path) as archive:
                self.effects = {key: archive[key] for key in archive.files}

    def get(self, seed, patch, stop, *, sampler="natural", screening=False, even=False, block=()):
        kind = "screening" if screening else "even" if even else sampler
        key = f"{kind}-{seed}-{'.'.join(map(str, block)) or patch}"
        have = self.effects.get(key, np.empty(0))
        if len(have) < stop:
            self.lab.scene = replace(self.scene, seed=seed, sampler=self.samplers[sampler])
            blocks = {patch: block} if block else {}
            todo = Round(
                stage=kind,
                patches=(patch,),
                draws=range(len(have), stop),
                screening=screening,
                even=even,
                blocks=blocks,
            )
            ((_, new),) = self.lab.effects(todo, [patch])
            self.effects[key] = have = np.concatenate([have, new])
            if time.monotonic() - self.saved > 60:
                self.save()
        return have[:stop]

    def save(self):
        part = self.path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **self.effects)
        part.replace(self.path)
        self.saved = time.monotonic()

    def around(self, side):
        """Patches of the strategies."""
        grid = self.lab.scene.grid
        row, col = ((REGION.y + REGION.height / 2) / 8 - 0.5, (REGION.x + REGION.width / 2) / 8 - 0.5)
        away = {p: max(abs(p // grid.cols - row), abs(p % grid.cols - col)) for p in self.lab.reached}
        return [p for p in self.lab.reached if side is None or away[p] < side / 2]

    def judged(self, patches, strong, middle, others):
        """Return patches with a truth, and for how many each of them stands."""
        size = {p: np.abs(self.get(PILOT, p, 8)).mean() for p in patches}
        first = sorted(patches, key=lambda p: -size[p])
        chosen, weights = first[:strong], [1.0] * strong
        for part, count in ((first[strong : 3 * strong], middle), (first[3 * strong :], others)):
            chosen += np.random.default_rng(1).permutation(part)[:count].tolist()
            weights += [len(part) / count] * count
        return chosen, np.array(weights)


def carry_out(plan, patches, fetch):
    """Run a plan; return the estimates of the patches and the inferences it took."""
    seen, made = {}, 0
    for todo in plan.rounds(patches, seen):
        stage = seen.setdefault(todo.stage, {})
        for patch in todo.patches:
            stage[patch] = fetch(todo, patch)
            made += len(todo.draws)
    return plan.estimates(patches, seen), made


def strategies(book, patches, seed):
    """Yield name, estimates by patch, and inferences of every strategy."""

    def paper(sampler):
        def fetch(todo, patch):
            if todo.screening:
                return book.get(seed, patch, todo.draws.stop, screening=True)[todo.draws.start :]
            # Numbers of the fine stage go on where the coarse one ended; here they begin again.
            return book.get(seed, patch, len(todo.draws), sampler=sampler)

        return fetch

    for name, coarse, fine, sampler in (
        ("C3F10", 3, 10, "natural"),
        ("C3F30", 3, 30, "natural"),
        ("C1F50", 1, 50, "natural"),
        ("C3F50-uniform", 3, 50, "uniform"),
        ("C3F50", 3, 50, "natural"),
    ):
        estimates, cost = carry_out(CoarseToFine(coarse=coarse, fine=fine), patches, paper(sampler))
        yield name, estimates, cost
    plain = Plain(interventions=max(1, round(cost / len(patches))))
    yield "plain, as C3F50", *carry_out(plain, patches, lambda todo, p: book.get(seed, p, len(todo.draws)))

    def even(todo, patch):
        return book.get(seed, patch, todo.draws.stop, even=True, block=todo.blocks.get(patch, ()))[todo.draws.start :]

    scene = replace(book.scene, seed=seed)
    place = lru_cache(maxsize=None)(scene.place)
    population = Population(scene.sampler.population(scene.grid.patch_size))
    for share in (1, 2, 4, 8):
        plan = make_adaptive(max(1, cost // share), None, 0.01)
        plan = replace(plan, columns=scene.grid.cols, place=place, population=population)
        yield f"adaptive, 1/{share} of C3F50" if share > 1 else "adaptive, as C3F50", *carry_out(plan, patches, even)


def measured(book, name, image, seeds):
    """Yield one row for every strategy and seed."""
    side, *judges = SAMPLES[name]
    patches = book.around(side)
    judged, weight = book.judged(patches, *judges)
    truth, second = (np.array([book.get(s, p, T) for p in judged]) for s in (TRUTH, SECOND))
    first = truth.mean(axis=1)
    long = np.concatenate([truth, second], axis=1)
    best, error = long.mean(axis=1), long.std(axis=1, ddof=1) / np.sqrt(2 * T)
    reached, outside = len(book.lab.reached), len(book.scene.grid.outside)

    def row(strategy, seed, cost, effects):
        return {
            "network": name,
            "image": image,
            "strategy": strategy,
            "seed": seed,
            "patches": len(patches),
            "judged": len(judged),
            "inferences_each": round(cost / len(patches), 2),
            "share_percent": round(100 * cost / len(patches) * reached / (T * outside), 3),
            "similarity": round(similarity(weight * effects, weight * first), 2),
        }

    yield row("plain T = 500 again", 0, T * len(patches), second.mean(axis=1))
    for seed in range(seeds):
        for strategy, found, cost in strategies(book, patches, seed):
            estimates = [found[p] for p in judged]
            effects, sem, n = (np.array([getattr(e, k) for e in estimates]) for k in ("effect", "sem", "count"))
            told = (n >= FEWEST) & (sem > 0)
            # The long run is no truth either: its own error counts.
            away = np.abs(effects - best)[told] / np.hypot(sem, error)[told]
            inside = away <= stats.t.ppf(0.975, n[told] - 1)
            yield {
                **row(strategy, seed, cost, effects),
                "intervals": int(told.sum()),
                "covered": int(inside.sum()),
                "bias_percent": round(100 * float(weight @ (effects - best) / (weight @ np.abs(best))), 2),
            }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with weights/ and cem_images/")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps what was measured")
    parser.add_argument("--networks", nargs="+", choices=SAMPLES, default=list(SAMPLES))
    parser.add_argument("--images", nargs="+", choices=IMAGES, default=IMAGES)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "cem_efficiency.csv")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for image in args.images:
        for name in args.networks:
            if name in ONE_IMAGE and image != args.images[0]:
                continue
            start = time.monotonic()
            book = Notebook(args.work / f"{name}-{Path(image).stem}.npz", name, image, args.data)
            found = list(measured(book, name, image, args.seeds))
            book.save()
            rows += found
            print(f"{name} {image} {time.monotonic() - start:.0f} s", flush=True)
    write(args.out, rows)
    draw(rows, args.out.with_suffix(".png"))
    tell(rows)


def grouped(rows, *keys):
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[k] for k in keys), []).append(row)
    return groups


def mean(rows, key):
    return float(np.mean([row[key] for row in rows]))


def tell(rows):
    """Print means over networks (each the mean of its images and seeds), with the spread over seeds."""
    print(f"{'strategy':22} {'share %':>8} {'S':>6} {'seeds':>6} {'bias %':>7} {'coverage %':>10}")
    for (strategy,), group in grouped(rows, "strategy").items():
        networks = grouped(group, "network").values()
        spread = [np.std([r["similarity"] for r in g]) for g in grouped(group, "network", "image").values()]
        share, close = (float(np.mean([mean(g, key) for g in networks])) for key in ("share_percent", "similarity"))
        counted = sum(r.get("intervals", 0) for r in group)
        covered = f"{100 * sum(r['covered'] for r in group) / counted:.1f}" if counted else ""
        bias = f"{mean(group, 'bias_percent'):.2f}" if "bias_percent" in group[0] else ""
        print(f"{strategy:22} {share:8.3f} {close:6.2f} {np.mean(spread):6.2f} {bias:>7} {covered:>10}")


def draw(rows, path):
    """Draw similarity against the share of the plain map's inferences, one panel a network."""
    networks = grouped(rows, "network")
    figure = new_figure(4 * min(3, len(networks)), 3.4 * -(-len(networks) // 3))
    axes = list(figure.subplots(-(-len(networks) // 3), min(3, len(networks)), squeeze=False).flat)
    for axis in axes[len(networks) :]:
        axis.set_axis_off()
    for axis, ((name,), part) in zip(axes, networks.items(), strict=False):
        found = {
            strategy: (mean(g, "share_percent"), mean(g, "similarity"))
            for (strategy,), g in grouped(part, "strategy").items()
        }
        ceiling = found.pop("plain T = 500 again")[1]
        axis.axhline(ceiling, color="gray", linewidth=0.8, linestyle="--", label="ceiling: T = 500 twice")
        curve = sorted(v for k, v in found.items() if k.startswith("adaptive"))
        axis.plot(*zip(*curve, strict=True), marker="o", color="#2b5fd9", label="adaptive")
        for label, marker in (("C3F10", "v"), ("C3F30", "^"), ("C1F50", "<"), ("C3F50-uniform", "x"), ("C3F50", "s")):
            axis.plot(*found[label], marker, color="#d7191c", label=label)
        axis.plot(*found["plain, as C3F50"], "k+", label="plain, as C3F50")
        axis.set_xscale("log")
        axis.set_xticks([share for share, _ in curve], [f"{share:.2g}" for share, _ in curve])
        axis.minorticks_off()
        axis.set_ylim(max(0.0, min(v[1] for v in found.values()) - 5), 101)
        axis.set_title(name)
        axis.set_xlabel("% of the inferences of T = 500")
    figure.axes[0].set_ylabel("similarity S, %")
    figure.axes[0].legend(fontsize=6)
    save(figure, path)


if __name__ == "__main__":
    main()
