"""The paper's tables with the calibrated metric: accuracy, masks, depth, distortion types, and Eq. 7.

Usage: python benchmarks/calibration_tables.py --cache FOLDER --data FOLDER --out RESULTS

FOLDER of the cache holds what calibration_channels.py and calibration_scores.py wrote; nothing is scored here. Writes

- calibration_accuracy.csv: SRCC over images (votes that agree on recon2afc) and PLCC of every metric and set;
- calibration_masks.csv: Table 2 (all channels, a mask, the rest), published mask and signal to nuisance;
- calibration_depth.csv: what every level says alone, what is lost without it, and its share of channels kept;
- calibration_types.csv and .png: share of the score of every level by distortion type;
- calibration_moved.csv: Eq. 7, how far scores move under interventions that should not move them.

Intervals are 95 % of a bootstrap over references, over images where a set has fewer than five.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from calibration_explore import MANIFESTS
from numpy.typing import NDArray
from scipy.stats import spearmanr

from causaliqa.functional.calibration import INTERVENTIONS
from causaliqa.functional.statistics import summarise
from causaliqa.utils.figures import new_figure, save

Array = NDArray[np.float64]
BACKBONES = ("vgg", "effnet_lite0")
COUNTED = ("tid2013_real", "srij16", "mini_real")
CLASSICAL = ("fsim", "vsi", "gmsd", "vif", "nlpd", "ms_ssim")
NUISANCE = [k for k, name in enumerate(INTERVENTIONS) if name != "noise"]
"""Changes of the reference that nobody minds; noise at the threshold of visibility is no nuisance."""
TID_TYPES = (
    "additive noise", "colour noise", "correlated noise", "masked noise", "high-frequency noise",
    "impulse noise", "quantisation", "blur", "denoising", "JPEG", "JPEG 2000", "JPEG errors",
    "JPEG 2000 errors", "pattern noise", "local blocks", "mean shift", "contrast", "saturation",
    "multiplicative noise", "comfort noise", "noisy compression", "dithering", "chromatic aberration",
    "sparse sampling",
)  # fmt: skip


@dataclass(frozen=True)
class Labels:
    """Opinions on a set; a picture is an image, or one triple of a set of votes."""

    label: Array
    """MOS, high is good, ``(n,)``, or votes for both, ``(n, 2)``."""
    ref: NDArray[np.int64]

    def figure(self, scores: Array, pick: NDArray[np.int64] | slice = slice(None)) -> float:
        """SRCC over images, or the share of votes that agree; scores ``(n,)`` or ``(n, 2)``, low is good."""
        own, label = scores[pick], self.label[pick]
        if own.ndim == 1:
            varied = np.ptp(own) > 0 and np.ptp(label) > 0
            return float(spearmanr(-own, label)[0]) if varied else float("nan")
        won = np.where(own[:, 0] < own[:, 1], label[:, 0], np.where(own[:, 0] > own[:, 1], label[:, 1], label.mean(1)))
        return float(won.sum() / label.sum())

    def draws(self, count: int = 300) -> Iterator[NDArray[np.int64]]:
        rng = np.random.default_rng(0)
        groups = [np.flatnonzero(self.ref == r) for r in np.unique(self.ref)]
        if len(groups) < 5:
            groups = [np.array([k]) for k in range(len(self.ref))]
        for _ in range(count):
            yield np.concatenate([groups[k] for k in rng.integers(len(groups), size=len(groups))])

    def interval(self, *scores: Array) -> list[float]:
        """Interval of the figure of the first scores, minus that of the second where they are given."""
        values = [self.figure(scores[0], p) - (self.figure(scores[1], p) if scores[1:] else 0) for p in self.draws()]
        return np.nanpercentile(values, [2.5, 97.5]).round(4).tolist()


@dataclass(frozen=True)
class Channels:
    """What calibration_channels.py stored of one set and backbone; images of a triple stand in two columns."""

    level: NDArray[np.int64]
    ratio: Array
    """Calibrated cost ``(n, sides, C)``, mean over terms."""
    signal: Array
    """Signal to nuisance ``(n, C)`` of the reference of every picture."""
    causal: Array | None
    """Cost ``ot+md`` ``(n, sides, C)``."""
    keep: Array | None
    """Channels that the published mask keeps, ``(n, sides, C)``."""
    row: NDArray[np.int64]
    moved: Array
    """Scores ``(1 + 2 K, images, metrics)``; see calibration_channels.Channels.moved."""

    @property
    def levels(self) -> range:
        return range(int(self.level.max()) + 1)

    def per_level(self, weights: Array | None = None) -> Array:
        """Mean of the channels of every level, ``(n, sides, levels)``; NaN where no channel is left."""
        return _means(self.ratio, self.level, weights)

    def score(self, weights: Array | None = None) -> Array:
        """Score of every picture with weights ``(n, C)`` of 0 and 1, over the levels that have channels."""
        return np.nanmean(self.per_level(weights), axis=2)

    def causal_score(self, weights: Array) -> Array:
        """Published cost of the channels with weight 1, ``(n, sides, C)``."""
        assert self.causal is not None
        return (self.causal * weights).sum(-1)


def _means(costs: Array, level: NDArray[np.int64], weights: Array | None) -> Array:
    out = []
    for k in range(int(level.max()) + 1):
        here = level == k
        own = np.ones((len(costs), int(here.sum()))) if weights is None else weights[:, here]
        count = own.sum(-1)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            out.append((costs[:, :, here] * own[:, None]).sum(-1) / count)
    return np.stack(out, axis=-1)


def load_channels(folder: Path) -> Channels | None:
    """Read the files of a set, one per reference."""
    files = [np.load(path) for path in sorted(folder.glob("[0-9]*.npz")) if ".part" not in path.name]
    if not files:
        return None
    whole = all("causal" in file for file in files)
    parts: dict[str, list[Array]] = {key: [] for key in ("ratio", "signal", "causal", "keep", "row", "moved")}
    for file in files:
        sides = len(set(file["side"].tolist()))
        pictures = len(file["row"]) // sides
        signal = file["visible"].mean((0, 1)) / np.maximum(file["nuisance"][NUISANCE].mean((0, 1)), 1e-9)
        parts["signal"].append(np.repeat(signal[None], pictures, axis=0))
        parts["ratio"].append(file["ratio"].mean(1).reshape(pictures, sides, -1))
        parts["row"].append(file["row"][::sides])
        if "moved" in file:
            parts["moved"].append(file["moved"])
        for key in ("causal", "keep") if whole else ():
            parts[key].append(file[key].reshape(pictures, sides, -1))
    order = np.argsort(np.concatenate(parts["row"]), kind="stable")
    made = {key: np.concatenate(parts[key])[order] for key in ("ratio", "signal", "row")}
    return Channels(
        level=files[0]["level"],
        causal=np.concatenate(parts["causal"])[order] if whole else None,
        keep=np.concatenate(parts["keep"])[order].astype(float) if whole else None,
        moved=np.concatenate(parts["moved"], axis=1)
        if parts["moved"]
        else np.empty((1 + 2 * len(INTERVENTIONS), 0, 3)),
        **made,
    )


def labels_of(data: Path, name: str, row: NDArray[np.int64] | None = None) -> Labels:
    table = pd.read_csv(data / MANIFESTS[name])
    table = table if row is None else table.iloc[row]
    if "votes_a" in table:
        label = table[["votes_a", "votes_b"]].to_numpy(dtype=float)
    else:
        label = (-table.dmos if "dmos" in table else table.mos).to_numpy(dtype=float)
    return Labels(label, pd.factorize(table.ref)[0])


def squeezed(scores: Array) -> Array:
    """Scores ``(n, sides)`` as :class:`Labels` takes them."""
    return scores[:, 0] if scores.shape[1] == 1 else scores


def accuracy(cache: Path, data: Path, channels: dict[tuple[str, str], Channels]) -> pd.DataFrame:
    """Table 1: every metric on every set."""
    lines = []
    for metric in [f"{f}_{b}" for b in BACKBONES for f in ("calibrated", "causal")] + list(CLASSICAL):
        line: dict[str, object] = {"metric": metric}
        for name in MANIFESTS:
            scores = _scores(cache, data, name, metric, channels)
            if scores is None:
                continue
            values, labels = scores[0], labels_of(data, name, scores[1])
            line[f"{name}_n"] = len(values)
            line[name] = labels.figure(values)
            line[f"{name}_low"], line[f"{name}_high"] = labels.interval(values)
            if values.ndim == 1 and len(values) > 20:
                made = summarise(values, labels.label, lower_better=True, label_lower_better=False)
                line[f"{name}_plcc"] = made.plcc
        if {"csiq", "mini_tid"} <= set(line):
            line["mini_real"] = (line["csiq"] + line["mini_tid"]) / 2  # type: ignore[operator]
        if set(COUNTED) <= set(line):
            line["mean"] = np.mean([line[name] for name in COUNTED])
        lines.append(line)
    return pd.DataFrame(lines)


def _published(data: Path, name: str, metric: str) -> tuple[Array, NDArray[np.int64]] | None:
    """Scores of others: of the authors of srij16, and of a public study of TID2013."""
    table = pd.read_csv(data / MANIFESTS[name])
    if name == "srij16":
        theirs = -pd.read_csv(data / "srij16" / "published_scores.csv").set_index("dist")
        keys = table.dist
    elif metric == "ms_ssim" and name in ("tid2013_real", "mini_tid"):
        theirs = pd.read_csv(data / "zsiqa_scores" / "tid2013.csv.gz").rename(columns={"msssim": "ms_ssim"})
        theirs = theirs.set_index(theirs.dist.str.lower().str.removesuffix(".bmp"))
        keys = table.dist.map(lambda path: Path(path).stem.lower())
    else:
        return None
    return (theirs.loc[keys, metric].to_numpy(float), np.arange(len(table))) if metric in theirs else None


def _scores(
    cache: Path, data: Path, name: str, metric: str, channels: dict[tuple[str, str], Channels]
) -> tuple[Array, NDArray[np.int64]] | None:
    family, _, backbone = metric.partition("_")
    found = channels.get((name, backbone))
    if family == "calibrated" and found is not None:
        return squeezed(found.score()), found.row
    file = cache / f"base_{name}_{metric}.npz"
    if family == "causal" and found is not None and found.causal is not None:
        return squeezed(found.causal.sum(-1) if found.keep is None else found.causal_score(found.keep)), found.row
    if not file.is_file():
        return _published(data, name, metric)
    with np.load(file) as content:
        scores = np.stack([content[side] for side in ("dist", "a", "b") if side in content], axis=1)
    return squeezed(scores), np.arange(len(scores))


def masks_of(found: Channels) -> dict[str, Array]:
    """Weights ``(n, C)`` by name; the halves are of every level."""
    signal, out = found.signal, {}
    for limit in (1, 2):
        out[f"signal to nuisance above {limit}"] = (signal > limit).astype(float)
        out[f"residual: {limit} or less"] = (signal <= limit).astype(float)
    for name, share in (("half", 0.5), ("quarter", 0.25)):
        best = np.zeros_like(signal)
        for k in found.levels:
            here = np.flatnonzero(found.level == k)
            count = max(1, round(share * len(here)))
            order = np.argsort(-signal[:, here], axis=1, kind="stable")[:, :count]
            np.put_along_axis(best, here[order], 1.0, axis=1)
        out[f"best {name} of every level"] = best
    return out


def table_2(name: str, backbone: str, found: Channels, labels: Labels) -> Iterator[dict[str, object]]:
    """All channels, the mask, the residual; for the calibrated and for the published cost."""
    whole = squeezed(found.score())
    masks = masks_of(found)
    yield _mask_line(name, backbone, "calibrated", "all", whole, whole, labels, 1.0)
    for mask, weights in masks.items():
        if (weights.sum(1) > 0).all():
            own = squeezed(found.score(weights))
            yield _mask_line(name, backbone, "calibrated", mask, own, whole, labels, weights.mean())
    if found.causal is None or found.keep is None:
        return
    whole = squeezed(found.causal_score(np.ones_like(found.keep)))
    yield _mask_line(name, backbone, "ot+md", "all", whole, whole, labels, 1.0)
    published = {"published mask": found.keep, "published residual": 1 - found.keep}
    for mask, weights in {**published, **{m: w[:, None] for m, w in masks.items()}}.items():
        own = squeezed(found.causal_score(weights))
        if np.ptp(own) > 0:
            yield _mask_line(name, backbone, "ot+md", mask, own, whole, labels, float(weights.mean()))


def _mask_line(
    name: str, backbone: str, cost: str, mask: str, own: Array, whole: Array, labels: Labels, kept: float
) -> dict[str, object]:
    line: dict[str, object] = {"set": name, "backbone": backbone, "cost": cost, "channels": mask, "n": len(own)}
    line.update(kept=kept, figure=labels.figure(own), gain=labels.figure(own) - labels.figure(whole))
    line["gain_low"], line["gain_high"] = (0.0, 0.0) if own is whole else labels.interval(own, whole)
    return line


def depth(name: str, backbone: str, found: Channels, labels: Labels) -> Iterator[dict[str, object]]:
    """What every level says alone and what is lost without it."""
    per_level = found.per_level()
    whole = squeezed(per_level.mean(-1))
    for k in found.levels:
        alone, without = squeezed(per_level[..., k]), squeezed(np.delete(per_level, k, axis=2).mean(-1))
        here = found.level == k
        line: dict[str, object] = {"set": name, "backbone": backbone, "level": k, "n": len(whole)}
        line["alone"] = labels.figure(alone)
        line["alone_low"], line["alone_high"] = labels.interval(alone)
        line["lost_without"] = labels.figure(whole) - labels.figure(without)
        line["lost_low"], line["lost_high"] = labels.interval(whole, without)
        line["share_of_score"] = (per_level[..., k] / per_level.sum(-1)).mean()
        line["channels_above_1"] = (found.signal[:, here] > 1).mean()
        line["median_signal_to_nuisance"] = np.median(found.signal[:, here])
        if found.keep is not None and found.causal is not None:
            line["published_mask_keeps"] = found.keep[..., here].mean()
            line["ot+md_alone"] = labels.figure(squeezed((found.causal * found.keep)[..., here].sum(-1)))
        yield line


def types(name: str, backbone: str, found: Channels, data: Path) -> Iterator[dict[str, object]]:
    """Share of every level in the score by distortion type, and whether a type has channels of its own."""
    table = pd.read_csv(data / MANIFESTS[name]).iloc[found.row]
    if "type" not in table:
        return
    per_level = found.per_level()[:, 0]
    shares = per_level / per_level.sum(-1, keepdims=True)
    profile = found.ratio[:, 0] / found.ratio[:, 0].mean(-1, keepdims=True)
    profile = np.argsort(np.argsort(profile, axis=1), axis=1).astype(float)
    profile = (profile - profile.mean(1, keepdims=True)) / profile.std(1, keepdims=True)
    alike = profile @ profile.T / profile.shape[1]
    refs = pd.factorize(table.ref)[0]
    other_ref = refs[:, None] != refs[None]
    kind = table.type.to_numpy()
    for one in sorted(set(kind)):
        own = kind == one
        between = alike[own][:, own][other_ref[own][:, own]]
        across = alike[own][:, ~own][other_ref[own][:, ~own]]
        line: dict[str, object] = {"set": name, "backbone": backbone, "type": one, "n": int(own.sum())}
        if name == "tid2013_real":
            line["what"] = TID_TYPES[int(one) - 1]
        line.update({f"level_{k}": shares[own, k].mean() for k in found.levels})
        line["alike_same_type"], line["alike_other_types"] = between.mean() if len(between) else np.nan, across.mean()
        yield line


def eq_7(name: str, backbone: str, found: Channels) -> Iterator[dict[str, object]]:
    """Median change of the score, relative and in units of the spread of the scores, and the order that is left."""
    if found.moved.shape[1] < 10:
        return
    before = found.moved[0]
    for m, metric in enumerate((f"calibrated_{backbone}", f"causal_{backbone}", "fsim")):
        spread = np.subtract(*np.percentile(before[:, m], [75, 25]))
        for k, intervention in enumerate(INTERVENTIONS):
            for side, what in enumerate(("both images", "distorted image alone")):
                after = found.moved[1 + 2 * k + side][:, m]
                change = np.abs(after - before[:, m])
                yield {
                    "set": name, "metric": metric, "intervention": intervention, "on": what, "n": len(after),
                    "relative": np.median(change / np.abs(before[:, m])), "of_spread": np.median(change) / spread,
                    "srcc_before_after": spearmanr(before[:, m], after)[0],
                }  # fmt: skip


def draw_types(table: pd.DataFrame, path: Path) -> None:
    """Shares of the levels by type, a panel for each backbone."""
    table = table[table.set == "tid2013_real"]
    columns = sorted(c for c in table if c.startswith("level_"))
    backbones = [b for b in BACKBONES if (table.backbone == b).any()]
    if not backbones:
        return
    figure = new_figure(5.2 * len(backbones) + 1.5, 7.5)
    axes = figure.subplots(1, len(backbones), squeeze=False, sharey=True)[0]
    for axis, backbone in zip(axes, backbones, strict=True):
        own = table[table.backbone == backbone]
        values = 100 * own[columns].to_numpy(dtype=float)
        drawn = axis.imshow(values, aspect="auto", cmap="viridis", vmin=0, vmax=50)
        for (row, column), value in np.ndenumerate(values):
            axis.text(
                column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color="k" if value > 35 else "w"
            )
        axis.set_title(f"calibrated_{backbone}", fontsize=9)
        axis.set_yticks(range(len(own)), [f"{t} {w}" for t, w in zip(own.type, own.what, strict=True)], fontsize=8)
        axis.set_xticks(range(len(columns)), ["image", *(f"stage {k}" for k in range(1, len(columns)))], fontsize=8)
    figure.colorbar(drawn, ax=axes, label="share of the level in the score, %")
    figure.suptitle("tid2013_real: where in the network a distortion shows", fontsize=10)
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", required=True, type=Path)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    found = {
        (name, backbone): made
        for backbone in BACKBONES
        for name in MANIFESTS
        if (made := load_channels(args.cache / f"{name}_{backbone}")) is not None
    }

    def of_all(table: Callable[..., Iterator[dict[str, object]]], *more: object) -> pd.DataFrame:
        return pd.DataFrame(
            line
            for (name, backbone), made in found.items()
            for line in table(name, backbone, made, *(more or (labels_of(args.data, name, made.row),)))
        )

    by_type = of_all(types, args.data)
    tables = {
        "accuracy": accuracy(args.cache, args.data, found),
        "masks": of_all(table_2),
        "depth": of_all(depth),
        "types": by_type,
        "moved": pd.DataFrame(line for (name, b), made in found.items() for line in eq_7(name, b, made)),
    }
    for name, table in tables.items():
        table.round(4).to_csv(args.out / f"calibration_{name}.csv", index=False)
    draw_types(by_type, args.out / "calibration_types.png")


if __name__ == "__main__":
    main()
