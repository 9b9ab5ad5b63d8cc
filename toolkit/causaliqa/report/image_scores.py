"""Scores of all metrics on the images of one data set, side by side: what dots and thumbnails are made of."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causaliqa.functional.statistics import orient
from causaliqa.report.scatter_data import Panel
from causaliqa.utils.text import one_line, without_folders

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ImageScores", "image_scores", "points_data", "shown_name"]

_TEXTS = ("ref", "dist", "type")


@dataclass(frozen=True, kw_only=True)
class ImageScores:
    """Images of one data set and their scores."""

    dataset: str
    """Name of the data set."""
    images: pd.DataFrame = field(repr=False)
    """One line an image: ref, dist, type (empty where unknown), label."""
    lower_better: Mapping[str, bool]
    """Direction of every metric."""
    label_lower_better: bool
    """Direction of the labels."""
    scores: NDArray[np.float64] = field(repr=False)
    """Raw scores ``(M, n)``; NaN where a metric failed or did not score an image."""

    @property
    def ranks(self) -> NDArray[np.float64]:
        """Place of every image by every metric, ``(M, n)``: 1 is the best; NaN without a score."""
        return np.array(
            [_places(orient(own, lower)) for own, lower in zip(self.scores, self.lower_better.values(), strict=True)]
        )

    @property
    def label_ranks(self) -> NDArray[np.float64]:
        """Place of every image by its label, ``(n,)``."""
        return _places(orient(self.images["label"].to_numpy(float), self.label_lower_better))


def _places(quality: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    return np.asarray(rankdata(-quality, method="min", nan_policy="omit"), dtype=np.float64)


def image_scores(rows: pd.DataFrame) -> ImageScores:
    """Return the rows of one data set as images x metrics.

    Rows of two metrics belong to one image if reference, image, type and label agree; images without names are matched
    by their place.

    Args:
        rows: rows as :func:`causaliqa.evaluate` returns them, all of one data set.

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"metric": ["a", "a", "b"], "dist": ["x", "y", "y"], "score": [1, 2, 3]})
        >>> rows = rows.assign(dataset="d", label=[5.0, 6.0, 6.0], lower_better=False, label_lower_better=False)
        >>> made = image_scores(rows)
        >>> made.images["dist"].tolist(), made.scores.tolist()
        (['x', 'y'], [[1.0, 2.0], [nan, 3.0]])
    """
    import pandas as pd

    texts = {c: rows[c].fillna("").astype(str) if c in rows else "" for c in _TEXTS}
    facts = rows[["metric", "label"]].assign(**texts)
    keys = [*_TEXTS, "label", "_place"]
    facts["_place"] = facts.groupby(["metric", *keys[:-1]], sort=False, dropna=False).cumcount()
    number = facts.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    metrics = {name: k for k, name in enumerate(dict.fromkeys(facts["metric"]))}
    scores = np.full((len(metrics), int(number.max()) + 1), np.nan)
    scores[facts["metric"].map(metrics).to_numpy(), number] = pd.to_numeric(rows["score"]).to_numpy(dtype=float)
    first = rows.drop_duplicates("metric").set_index("metric")["lower_better"]
    return ImageScores(
        dataset=str(rows["dataset"].iloc[0]),
        images=facts.loc[~pd.Series(number).duplicated().to_numpy(), [*_TEXTS, "label"]].reset_index(drop=True),
        lower_better={name: bool(first[name]) for name in metrics},
        label_lower_better=bool(rows["label_lower_better"].iloc[0]),
        scores=scores,
    )


def shown_name(name: str) -> str:
    """Return the name of an image as a page prints it: without folders of a machine.

    >>> shown_name("/home/ann/set/a.png"), shown_name("dist/a.png")
    ('a.png', 'dist/a.png')
    """
    return one_line(without_folders(name))


def points_data(drawn: Sequence[tuple[ImageScores, Sequence[Panel]]]) -> list[dict[str, Any]]:
    """Return what the script needs to name the dots of every data set, each fact once and numbers exactly.

    Args:
        drawn: images of a data set, and its panels.
    """
    return [_one_set(images, panels) for images, panels in drawn]


def _one_set(made: ImageScores, panels: Sequence[Panel]) -> dict[str, Any]:
    facts: dict[str, Any] = {"dataset": made.dataset, "label_lower_better": made.label_lower_better}
    facts["label_name"] = panels[0].label_name
    for column in _TEXTS:
        names = made.images[column].map(shown_name)
        known = list(dict.fromkeys(names))
        places = {name: k for k, name in enumerate(known)}
        facts[column] = {"names": known, "of": names.map(places).tolist()}
    return facts | {
        "labels": _packed(made.images["label"].to_numpy(float)),
        "metrics": [
            {"name": name, "lower_better": lower, "scores": _packed(own)}
            for (name, lower), own in zip(made.lower_better.items(), made.scores, strict=True)
        ],
    }


def _packed(values: NDArray[np.float64]) -> str:
    """Return numbers as base64 of little-endian doubles: exact, and half as long as text."""
    return base64.b64encode(values.astype("<f8").tobytes()).decode()
