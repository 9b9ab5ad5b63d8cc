"""Ranks and tables."""

import numpy as np
import pandas as pd
import pytest

from causaliqa.api.errors import InputError
from causaliqa.evaluation.rank import rank, wrong_directions


@pytest.fixture
def frame():
    label = np.arange(1.0, 13.0)
    parts = []
    for name, score, lower in (
        ("good", -label, True),
        ("weak", np.where(label % 2 == 0, label, 13 - label), False),
        ("liar", label, True),
        ("flat", np.ones(12), False),
    ):
        parts.append(
            pd.DataFrame(
                {
                    "dataset": "d",
                    "metric": name,
                    "label": label,
                    "score": score,
                    "lower_better": lower,
                    "label_lower_better": False,
                    "type": ["a", "b"] * 6,
                    "seconds": 0.5,
                    "error": "",
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_signs_follow_the_declared_directions(frame):
    table = rank(frame).set_index("metric")
    assert table.loc["good", "srcc"] == 1
    assert table.loc["good", "plcc"] > 0.999
    assert table.loc["liar", "srcc"] == -1
    assert table.loc["liar", "plcc"] < -0.99
    assert table["direction_ok"].to_dict() == {"good": True, "weak": True, "liar": False, "flat": True}
    assert np.isnan(table.loc["flat", "srcc"])
    assert rank(frame)["metric"].tolist()[0] == "good"


def test_a_contradiction_is_said(frame):
    (line,) = wrong_directions(rank(frame))
    assert line.startswith("liar on d: SRCC -1.000 over 12 images contradicts")


def test_by_type(frame):
    table = rank(frame, by="type")
    assert len(table) == 8
    assert set(table["n"]) == {6}


def test_intervals_and_ties(frame):
    frame["ref"] = frame["label"].map(lambda v: f"r{v % 6}")
    table = rank(frame, draws=200).set_index("metric")
    assert table["best_group"].to_dict() == {"good": True, "weak": False, "liar": False, "flat": False}
    assert table.loc["good", "srcc_ci"] == [1.0, 1.0]
    low, high = table.loc["weak", "srcc_ci"]
    assert low <= table.loc["weak", "srcc"] <= high
    again = rank(frame, draws=200).set_index("metric")
    assert again.loc["weak", "srcc_ci"] == [low, high]
    frame["ref"] = frame["label"].map(lambda v: f"r{v}")  # from eight references on, draws are taken
    one, other = (rank(frame, draws=200, seed=s).set_index("metric").loc["weak", "srcc_ci"] for s in (0, 1))
    assert one != other
    assert "srcc_ci" not in rank(frame, draws=0)


def test_pairs_are_matched_by_name_not_by_place(frame):
    frame["ref"], frame["dist"] = "r", frame["label"].map(lambda v: f"{v}.png")
    table = rank(frame, draws=50).drop(columns="seconds")
    shuffled = pd.concat([part.sample(frac=1, random_state=3) for _, part in frame.groupby("metric", sort=False)])
    again = rank(shuffled, draws=50).drop(columns="seconds").set_index("metric").loc[table["metric"]]
    assert again["srcc"].tolist()[:-1] == pytest.approx(table["srcc"].tolist()[:-1])
    assert again["best_group"].tolist() == table["best_group"].tolist()
    assert set(rank(pd.concat([frame, frame]), draws=0)["n"]) == {24}


def test_a_metric_that_failed_everywhere_has_a_line(frame):
    frame.loc[frame["metric"] == "weak", "score"] = np.nan
    table = rank(frame).set_index("metric")
    assert (table.loc["weak", "n"], table.loc["weak", "n_failed"]) == (0, 12)
    assert not table.loc["weak", "best_group"]


def test_missing_columns(frame):
    with pytest.raises(InputError, match="'lower_better' is missing"):
        rank(frame.drop(columns="lower_better"))


def test_outlier_ratio_where_deviations_are_known(frame):
    assert "or" not in rank(frame, draws=0)
    table = rank(frame.assign(label_std=0.001), draws=0).set_index("metric")
    assert table.loc["good", "or"] == 0
    assert table.loc["weak", "or"] > 0.5
    frame["label_std"] = [None] * len(frame)
    assert "or" not in rank(frame, draws=0)
    mixed = pd.concat([frame, frame.assign(dataset="e", label_std=9.0)])
    assert rank(mixed, draws=0).groupby("dataset")["or"].apply(lambda v: v.isna().tolist()).to_dict() == {
        "d": [True] * 4,
        "e": [False] * 4,
    }


def test_the_scale_of_the_label_normalises_the_fit(frame):
    frame = frame[frame["metric"] == "weak"]
    free = rank(frame, draws=0).loc[0]
    told = rank(frame.assign(label_low=-5.0, label_high=20.0), draws=0).loc[0]
    assert told["rmse"] == pytest.approx(free["rmse"], rel=1e-3)
    assert told["fit"]["params"] != pytest.approx(free["fit"]["params"], rel=1e-2)
    same = rank(frame.assign(label_low=1.0, label_high=12.0), draws=0).loc[0]
    assert same["fit"]["params"] == free["fit"]["params"]


def test_clusters_say_what_was_resampled(frame):
    assert set(rank(frame, draws=10)["clusters"]) == {"image"}
    assert set(rank(frame.assign(ref=""), draws=10)["clusters"]) == {"image"}
    frame["ref"] = frame["label"].map(lambda v: f"r{v % 6}")
    assert set(rank(frame, draws=10)["clusters"]) == {"ref"}
    frame.loc[0, "ref"] = None
    assert set(rank(frame, draws=10)["clusters"]) == {"image"}


def test_by_level(frame):
    frame["level"] = frame["label"].map(lambda v: str(1 + int(v > 6)))
    table = rank(frame, by="level", draws=10)
    assert table.groupby("level", sort=False)["metric"].count().to_dict() == {"1": 4, "2": 4}
