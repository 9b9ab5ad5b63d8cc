"""Image pairs on which metrics and labels, or two metrics, disagree most: chosen, and made small enough for a page."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, permutations, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from causaliqa.api.data import PairDataset
from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.functional.disagreement import gmad_pairs, largest_residuals
from causaliqa.functional.logistic import Fit
from causaliqa.functional.statistics import orient
from causaliqa.report.cost_maps import Explainer
from causaliqa.report.image_scores import ImageScores, image_scores, shown_name
from causaliqa.utils.text import one_line

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Chosen", "Files", "Thumbnail", "choose", "files_below", "files_of", "picture_of", "thumbnails"]

Files = Callable[[str, str], Path | None]
"""Where an image is: data set and name in the rows -> file, or None if that is unknown."""

_LOG = logging.getLogger(__name__)
_SIDE = 320
"""Longest side of a thumbnail in pixels."""
_MOST_BYTES = 32_000
"""Most bytes of one thumbnail: noise compresses badly, and a page is sent by mail."""
_QUALITIES = (88, 75, 60, 45, 30, 15)
_RIVALS = 6
"""Metrics with the best SRCC that are paired with each other."""


class Chosen(NamedTuple):
    """One image, and why it is shown."""

    image: int
    """Its line in the images of the data set."""
    reason: str
    """One sentence."""


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """One image on a page."""

    image: int
    """Its line in the images of the data set."""
    reasons: tuple[str, ...]
    """Why it was chosen, a sentence each."""
    picture: str
    """The image as a ``data:`` address; empty if the file is unknown or cannot be read."""
    reference: str
    """Its reference; empty likewise."""
    cost_map: str = ""
    """Where the cost is, as a ``data:`` address; empty where no metric explains itself."""


def choose(made: ImageScores, table: pd.DataFrame, count: int) -> list[Chosen]:
    """Return the images of one data set on which labels and metrics, or two metrics, disagree most.

    In turn: the image with the largest residual of every metric, best SRCC first, and the two images that one metric
    holds equal and another sees furthest apart (Ma et al., "Group maximum differentiation competition", IEEE TPAMI
    42(4), 2020), among the six metrics with the best SRCC.

    Args:
        made: scores of the data set.
        table: its statistics from :func:`causaliqa.rank`, with the fits.
        count: most different images; a pair is never split.
    """
    lines = [row for row in table.to_dict(orient="records") if row["n"] > 2]
    places = {name: k for k, name in enumerate(made.lower_better)}
    labels = made.images["label"].to_numpy(float)
    if not lines or count < 1:
        return []
    predicted = np.array([_predicted(made, places[row["metric"]], row) for row in lines])
    quality = orient(labels, made.label_lower_better)
    names = [str(row["metric"]) for row in lines]
    found: list[Chosen] = []
    seen: set[int] = set()
    turns = zip_longest(
        _against_labels(names, predicted, quality, count), _against_each_other(made, names, predicted, quality)
    )
    for group in filter(None, chain.from_iterable(turns)):
        new = {chosen.image for chosen in group} - seen
        if len(seen) + len(new) <= count:
            found += group
            seen |= new
        if len(seen) == count:
            break
    return found


def _predicted(made: ImageScores, place: int, row: Mapping[Any, Any]) -> NDArray[np.float64]:
    """Return the quality that a metric predicts for every image after its fit, on the scale of the labels."""
    fit = Fit(kind=row["fit"]["kind"], params=tuple(row["fit"]["params"]), converged=row["fit"]["converged"])
    low, high = row["fit"]["label_range"]
    share = fit.predict(orient(made.scores[place], list(made.lower_better.values())[place]))
    return np.asarray((high - low) * share + (-high if made.label_lower_better else low))


def _against_labels(
    names: Sequence[str], predicted: NDArray[np.float64], quality: NDArray[np.float64], count: int
) -> Iterator[list[Chosen]]:
    """Yield the worst residual of every metric, then the second worst of every metric, and so on."""
    worst = largest_residuals(predicted, quality, fits=[_SAME] * len(names), count=min(count, len(quality)))
    for images, residuals in zip(worst.images.T, worst.residuals.T, strict=True):
        for name, image, off in zip(names, images, residuals, strict=True):
            if image >= 0:
                kind = "better" if off > 0 else "worse"
                yield [Chosen(int(image), f"{name} takes it for much {kind} than its label says (by {abs(off):.3g}).")]


_SAME = Fit(kind="linear", params=(1.0, 0.0), converged=True)
"""What is predicted already needs no fit."""


def _against_each_other(
    made: ImageScores, names: Sequence[str], predicted: NDArray[np.float64], quality: NDArray[np.float64]
) -> Iterator[list[Chosen]]:
    """Yield the pair of images of every two metrics, the furthest apart first."""
    tolerance = 0.01 * float(quality.max() - quality.min())
    found: list[tuple[float, list[Chosen]]] = []
    for held, apart in permutations(range(min(_RIVALS, len(names))), 2):
        for pair in gmad_pairs(predicted[held], predicted[apart], tolerance=tolerance, count=1):
            labelled = float(quality[pair.better] - quality[pair.worse])
            both = []
            for image, other, sign in ((pair.better, pair.worse, 1), (pair.worse, pair.better, -1)):
                partner = shown_name(made.images["dist"].iloc[other]) or f"image {other + 1}"
                words = (
                    f"{names[held]} holds it equal to {partner}; {names[apart]} sees it "
                    f"{'better' if sign > 0 else 'worse'} by {pair.apart:.3g}, its label "
                    f"{'better' if sign * labelled > 0 else 'worse'} by {abs(labelled):.3g}."
                )
                both.append(Chosen(image, words))
            found.append((pair.apart, both))
    for _, both in sorted(found, key=lambda item: -item[0]):
        yield both


def files_of(datasets: Sequence[PairDataset]) -> Files:
    """Return where the images of data sets are that were read."""
    known = {
        (data.name, data.image_name(path)): path
        for data in datasets
        for pair in data
        for path in (pair.ref, pair.dist)
        if path is not None
    }
    return lambda dataset, name: known.get((dataset, name))


def files_below(folders: Sequence[str]) -> Files:
    """Return where images are whose names in rows are relative to a folder.

    Args:
        folders: ``ROOT``, or ``DATASET=ROOT`` for one data set.

    Raises:
        InputError: a folder does not exist.
    """
    roots: dict[str, Path] = {}
    for item in folders:
        name, equals, root = item.partition("=")
        named = bool(equals) and not Path(item).is_dir()
        roots[name if named else ""] = Path(root if named else item)
    if missing := [root for root in roots.values() if not root.is_dir()]:
        raise InputError(
            f"images: {missing[0]} is no folder; expected ROOT or DATASET=ROOT with the images of the rows"
        )

    def find(dataset: str, name: str) -> Path | None:
        root = roots.get(dataset, roots.get(""))
        if root is None or not name:
            return None
        # Rows may come from anybody: a name must not lead out of the folder into other pictures.
        path = (root / name).resolve()
        return path if path.is_relative_to(root.resolve()) and path.is_file() else None

    return find


def thumbnails(
    frame: pd.DataFrame, table: pd.DataFrame, files: Files, count: int, explainer: Explainer | None = None
) -> dict[str, tuple[ImageScores, list[Thumbnail]]]:
    """Return the images that a page shows of every data set, from the most telling on.

    Args:
        frame: rows, as :func:`causaliqa.evaluate` returns them.
        table: their statistics from :func:`causaliqa.rank`.
        files: where the images are.
        count: most images, shared out among the data sets.
        explainer: makes cost maps of them.

    Raises:
        InputError: ``count`` is negative.
    """
    if count < 0:
        raise InputError(f"thumbnails: got {count}, expected 0 or more")
    sets = list(dict.fromkeys(table["dataset"]))
    shares = [count // len(sets) + (k < count % len(sets)) for k in range(len(sets))]
    shown = {}
    pictures = _Pictures(files)
    for name, share in zip(sets, shares, strict=True):
        made = image_scores(frame[frame["dataset"] == name])
        reasons: dict[int, list[str]] = {}
        for image, reason in choose(made, table[table["dataset"] == name], share) if share else ():
            reasons.setdefault(image, []).append(reason)
        found = [
            Thumbnail(
                image=image,
                reasons=tuple(dict.fromkeys(why)),
                picture=pictures(name, made.images["dist"].iloc[image]),
                reference=pictures(name, made.images["ref"].iloc[image]),
                cost_map=_cost_map(explainer, *(files(name, made.images[c].iloc[image]) for c in ("dist", "ref"))),
            )
            for image, why in reasons.items()
        ]
        if found:
            shown[name] = (made, found)
    return shown


def _cost_map(explainer: Explainer | None, img: Path | None, ref: Path | None) -> str:
    return explainer.picture(img, ref) if explainer and img and ref else ""


class _Pictures:
    """Reads and shrinks images, each once."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.made: dict[Path, str] = {}

    def __call__(self, dataset: str, name: str) -> str:
        path = self.files(dataset, name)
        if path is None:
            return ""
        if path not in self.made:
            try:
                self.made[path] = picture_of(path)
            except CausaliqaError as error:
                _LOG.warning("no thumbnail of %s: %s", one_line(name), error)
                self.made[path] = ""
        return self.made[path]


def picture_of(path: Path) -> str:
    """Return an image as a ``data:`` address of at most 320 pixels a side.

    Raises:
        ImageError: the file cannot be read.
    """
    from PIL import Image

    from causaliqa.io.views import load_view

    image = Image.fromarray(load_view(path))
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    for quality in _QUALITIES:
        buffer = BytesIO()
        image.save(buffer, "WEBP", quality=quality)
        if buffer.tell() <= _MOST_BYTES:
            break
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
