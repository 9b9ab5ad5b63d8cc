"""Tables beside a leaderboard, against SciPy's computation on the same rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from causaliqa import leaderboard, side_tables
from causaliqa.api.errors import InputError
from causaliqa.evaluation.rank import rank
from causaliqa.evaluation.side_table import TABLES
from causaliqa.functional.vqeg import areas


def scored(references=12, images=10, *, dataset="d", seed=0, kinds=((0.2, 0.8), (2.0, 0.8), (0.5, 3.0)), **columns):
    """Rows of metrics whose errors by reference and by image have these deviations; the second is a DMOS metric."""
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(references), images)
    label = rng.normal(size=len(clusters))
    parts = []
    for number, (between, within) in enumerate(kinds):
        quality = label + between * rng.normal(size=references)[clusters] + within * rng.normal(size=len(label))
        lower = number == 1
        parts.append(
            pd.DataFrame(
                {
                    "dataset": dataset,
                    "metric": f"m{number}",
                    "ref": [f"r{c}" for c in clusters],
                    "dist": [f"d{k}" for k in range(len(label))],
                    "label": -label,
                    "score": -quality if lower else quality,
                    "label_lower_better": True,
                    "lower_better": lower,
                    **columns,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def of_scipy(rows):
    """SRCC of every metric over all images, and its mean over references."""
    found = {}
    for metric, part in rows.groupby("metric"):
        x = part["score"] * np.where(part["lower_better"], -1, 1)
        y = -part["label"]
        within = [stats.spearmanr(x[part["ref"] == r], y[part["ref"] == r]).statistic for r in part["ref"].unique()]
        found[metric] = stats.spearmanr(x, y).statistic, np.mean(within)
    return found


def test_protocols_beside_each_other():
    rows = scored()
    (made,) = side_tables(rows.sample(frac=1, random_state=0), draws=200)
    assert (made.name, set(made.frame["references"])) == ("protocols-d", {12})
    for row in made.frame.to_dict(orient="records"):
        assert (row["srcc_all"], row["srcc_within"]) == pytest.approx(of_scipy(rows)[row["metric"]], abs=1e-12)
        for name in ("all", "within"):
            low, high = row[f"srcc_{name}_ci"]
            assert low < row[f"srcc_{name}"] < high
            assert row[f"srcc_{name}_best"] == (row[f"p_{name}"] >= 0.05)
    order = made.frame["srcc_all"].tolist()
    assert order == sorted(order, reverse=True)
    for name in ("all", "within"):
        assert made.frame[f"rank_{name}"].tolist() == stats.rankdata(-made.frame[f"srcc_{name}"]).tolist()
    assert made.frame["srcc_all_ci"].tolist() == rank(rows, draws=200)["srcc_ci"].tolist()


def test_a_flip_is_flagged_with_its_numbers():
    rows = scored(30, 20, kinds=[(3.0, 0.05), (0.0, 2.0)])
    (made,) = side_tables(rows, draws=300)
    (line,) = made.warnings
    (all_one, within_one), (all_other, within_other) = of_scipy(rows)["m1"], of_scipy(rows)["m0"]
    assert line.startswith(
        f"m1 is better than m0 over all images (SRCC {all_one:.3f} to {all_other:.3f}) and worse within references "
        f"({within_one:.3f} to {within_other:.3f}), p 0.0"
    )


def test_flips_by_chance_are_not_flagged():
    """Ten metrics that differ in nothing are ordered differently by the two protocols in every run."""
    flagged = different = 0
    for run in range(30):
        (made,) = side_tables(scored(12, 8, seed=run, kinds=[(0.5, 0.8)] * 10), draws=100, seed=run)
        flagged += bool(made.warnings)
        different += made.frame["rank_all"].tolist() != made.frame["rank_within"].tolist()
    assert different == 30
    assert flagged <= stats.binom.ppf(0.999, 30, 0.05)


def test_many_flips_are_counted():
    kinds = [(3.0, 0.05)] * 4 + [(0.0, 2.0)] * 4
    (made,) = side_tables(scored(30, 20, kinds=kinds), draws=200)
    assert len(made.warnings) == 6
    assert made.warnings[-1].endswith("ordered differently over all images and within references beyond chance")
    assert 1 <= int(made.warnings[-1].split()[0]) <= 11


@pytest.mark.parametrize("references", [1, 2, 3])
def test_two_references_get_no_interval_and_no_verdict(references):
    rows = scored(references, 20, label_std=0.1)
    main, (made, *_) = rank(rows, draws=50), side_tables(rows, TABLES, draws=50)
    finite = references == 3
    for cells in (main["srcc_ci"], main["plcc_ci"], made.frame["srcc_all_ci"], made.frame["srcc_within_ci"]):
        assert np.isfinite(cells.tolist()).all() == finite
    assert (
        main["best_group"].any() == made.frame["srcc_all_best"].any() == made.frame["srcc_within_best"].any() == finite
    )
    assert np.isfinite(main["p_best"]).all() == finite
    assert main["references"].unique().tolist() == [references]
    assert len(made.warnings) == (not finite)
    if references == 2:
        assert made.warnings[0].startswith("2 references, too few for intervals")


def test_nothing_is_said_within_references_that_are_unknown():
    rows = scored().drop(columns="ref")
    assert side_tables(rows, draws=20) == ()
    assert side_tables(scored(40, 3), draws=20) == ()  # no reference has four images
    assert [table.name for table in side_tables(rows, TABLES, draws=20)] == ["vqeg-d", "pairs-d", "pairs-p-d"]


def test_over_data_sets():
    first, second = scored(dataset="One set", seed=1), scored(dataset="other", seed=2)
    lone = second[second["metric"] == "m0"].assign(metric="only here")
    over, *singles = side_tables(pd.concat([first, second, lone]), draws=200)
    assert [table.name for table in singles] == ["protocols-one-set", "protocols-other"]
    values = pd.DataFrame({"One set": of_scipy(first), "other": of_scipy(second)}).map(lambda pair: pair[0])
    assert "only here" in over.note
    assert set(over.frame["metric"]) == {"m0", "m1", "m2"}
    ranks = (-values).rank().mean(axis=1)
    for row in over.frame.to_dict(orient="records"):
        own = values.loc[row["metric"]]
        assert row["srcc_mean"] == pytest.approx(own.mean(), abs=1e-12)
        assert (row["srcc_worst"], row["worst_set"]) == (pytest.approx(own.min(), abs=1e-12), own.idxmin())
        assert row["rank_mean"] == ranks[row["metric"]]
        for column in ("srcc_mean", "srcc_worst", "rank_mean"):
            low, high = row[f"{column}_ci"]
            assert low <= row[column] <= high
    assert over.frame["srcc_mean_best"].any()


def test_data_sets_that_contradict_each_other_are_named():
    one = scored(30, 10, dataset="a", seed=1, kinds=[(0, 0.3), (0, 2.0)])
    other = scored(30, 10, dataset="b", seed=2, kinds=[(0, 2.0), (0, 0.3)])
    over, *_ = side_tables(pd.concat([one, other]), draws=200)
    (line,) = over.warnings
    assert "m0 is better than m1 on a (SRCC" in line
    assert "and worse on b (" in line


def test_names_of_data_sets_that_look_alike_stay_apart():
    rows = pd.concat([scored(dataset=name) for name in ("A b", "a-b", "a_b")])
    assert [table.name for table in side_tables(rows, draws=20)] == [
        "over-sets", "protocols-a-b", "protocols-a-b-2", "protocols-a-b-3",
    ]  # fmt: skip


def _cubic(x, y):
    """Predictions of the best rising cubic by a general solver."""
    u = (x - x.min()) / np.ptp(x)
    basis, grid = np.vander(u, 4, increasing=True), np.linspace(0, 1, 200)
    slope = np.stack([grid * 0, grid * 0 + 1, 2 * grid, 3 * grid**2], axis=1)
    found = optimize.minimize(
        lambda c: np.sum((basis @ c - y) ** 2),
        np.array([y.mean(), 1.0, 0, 0]),
        constraints={"type": "ineq", "fun": lambda c: slope @ c},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    return basis @ found.x


def test_vqegs_measures():
    rows = scored(label_std=0.3)
    (made,) = side_tables(rows, ["vqeg"], subjects=9)
    (bare,) = side_tables(rows.drop(columns="label_std"), ["vqeg"])
    assert list(bare.frame) == ["metric", "rmse"]
    assert "not known" in bare.note
    for row in made.frame.to_dict(orient="records"):
        part = rows[rows["metric"] == row["metric"]]
        x, y = (part["score"] * np.where(part["lower_better"], -1, 1)).to_numpy(), -part["label"].to_numpy()
        off = np.abs(_cubic(x, y) - y)
        half = stats.t.ppf(0.975, 8) * 0.3 / 3
        assert row["rmse"] == pytest.approx(np.sqrt(np.sum(off**2) / (len(y) - 4)), rel=1e-3)
        star = np.sqrt(np.sum(np.maximum(off - half, 0) ** 2) / (len(y) - 4))
        assert row["rmse_star"] == pytest.approx(star, rel=1e-3)
        assert row["outlier_ratio"] == pytest.approx(np.mean(off > half), abs=0.02)
        i, j = np.triu_indices(len(y), 1)
        z = (y[i] - y[j]) / np.hypot(0.1, 0.1)
        different = np.abs(z) > 2
        auc = stats.mannwhitneyu(np.abs(x[i] - x[j])[different], np.abs(x[i] - x[j])[~different]).statistic
        assert row["different_similar"] == pytest.approx(auc / different.sum() / (~different).sum(), abs=1e-9)
        assert row["correct"] == pytest.approx(np.mean(((x[i] - x[j]) * z > 0)[different]), abs=1e-12)
        assert row["resolving_power"] > 0 or np.isnan(row["resolving_power"])
    assert bare.frame["rmse"].tolist() == made.frame["rmse"].tolist()
    reliability = 1 - 0.01 / rows.loc[rows["metric"] == "m0", "label"].var()
    assert f"allows PLCC {np.sqrt(reliability):.3f}" in made.note


def test_a_metric_that_failed_somewhere_has_vqegs_measures_of_the_rest():
    rows = scored(label_std=0.3)
    rows.loc[3, "score"] = np.nan  # of m0
    frame = side_tables(rows, ["vqeg"])[0].frame.set_index("metric")
    part = rows[rows["metric"] == "m0"].drop(index=3)
    alone = areas(part["score"], -part["label"], 0.3)
    assert frame.loc["m0", "better_worse"] == alone.better_worse[0]
    assert np.isfinite(frame.drop(columns="resolving_power").to_numpy()).all()


def test_all_pairs():
    rows = scored()
    difference, p = side_tables(rows, ["pairs"], draws=50)
    names = difference.frame["metric"].tolist()
    pooled = {metric: both[0] for metric, both in of_scipy(rows).items()}
    for a, line in zip(names, difference.frame.to_dict(orient="records"), strict=True):
        assert [line[b] for b in names] == pytest.approx([pooled[a] - pooled[b] for b in names], abs=1e-12)
    table = p.frame.set_index("metric").to_numpy()
    assert (table == table.T).all()
    assert (np.diag(table) == 1).all()
    assert ((table >= 0) & (table <= 1)).all()
    assert side_tables(rows[rows["metric"] == "m0"], ["pairs"], draws=50) == ()


def test_the_seed_decides():
    rows = scored()
    one, again, other = (side_tables(rows, draws=50, seed=seed)[0].frame for seed in (1, 1, 2))
    assert one.equals(again)
    assert not one.equals(other)
    assert [table.name for table in side_tables(rows, TABLES, draws=0)] == ["vqeg-d"]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"tables": ["protocol"]}, "expected some of protocols, vqeg, pairs"), ({"subjects": 1}, "expected 2 or more")],
)
def test_bad_requests(options, words):
    with pytest.raises(InputError, match=words):
        side_tables(scored(), **options)


LABELS = {"tid2013": "mos", "live": "dmos"}


@pytest.mark.data
def test_public_scores_come_out_as_scipy_says(data, tmp_path):
    """42 metrics each on TID2013 and LIVE: pooled and within references, from files to tables."""
    expected, declared, files = {}, {}, []
    for name, label in LABELS.items():
        table = pd.read_csv(data / "zsiqa_scores" / f"{name}.csv.gz")
        table["ref"] = table["ref"].str.lower()
        table[["dist", "ref", label]].to_csv(tmp_path / f"{name}.csv", index=False)
        metrics = list(table.columns[3:])
        table[["dist", *metrics]].rename(columns={m: f"{m}_{name}" for m in metrics}).to_csv(
            tmp_path / f"scores_{name}.csv", index=False
        )
        files.append(tmp_path / f"scores_{name}.csv")
        quality = table[label] * (-1 if label == "dmos" else 1)
        for m in metrics:
            pooled = stats.spearmanr(table[m], quality).statistic
            sign = -1 if pooled < 0 else 1
            parts = [stats.spearmanr(part[m], quality[part.index]).statistic for _, part in table.groupby("ref")]
            expected[name, f"{m}_{name}"] = sign * pooled, sign * np.mean(parts)
            declared[f"{m}_{name}"] = f"{m}_{name}:lower_better={str(pooled < 0).lower()}"
    made = leaderboard(
        [tmp_path / f"{name}.csv" for name in LABELS], list(declared.values()), scores=files, progress=False
    )
    tables = {table.name: table.frame.set_index("metric") for table in made.tables}
    assert set(tables) == {"protocols-tid2013", "protocols-live"}
    assert len(expected) == 84
    for (name, metric), (pooled, within) in expected.items():
        row = tables[f"protocols-{name}"].loc[metric]
        assert (row["srcc_all"], row["srcc_within"]) == pytest.approx((pooled, within), abs=1e-12)
    main = made.table.set_index(["dataset", "metric"])["srcc"]
    assert {key: round(value, 3) for key, value in main.items() if key[1].startswith("psnr_")} == {
        ("tid2013", "psnr_tid2013"): 0.687,
        ("live", "psnr_live"): 0.873,
    }
