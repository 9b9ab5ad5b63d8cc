"""Scores of files: what :func:`causaliqa.score` returns, and which of them fail a wanted quality."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from causaliqa.api.data import printable
from causaliqa.api.errors import InputError
from causaliqa.catalog.request import metric_value
from causaliqa.functional.means import mean_interval
from causaliqa.utils.measures import unit_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FileScore", "Limit", "Scores", "read_limit"]


@dataclass(frozen=True, kw_only=True)
class FileScore:
    """The score of one file, or of one pair of files."""

    img: Path
    """Distorted image."""
    ref: Path | None = None
    """Reference; None without one."""
    score: float | None
    """Score; None where the metric failed."""
    error: str = ""
    """Why it failed."""
    note: str = ""
    """What the preparation found, such as a shift."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of one metric on some files; ``float(scores)`` is the score of a single one.

    Example:
        >>> pairs = [FileScore(img=Path(f"{n}.png"), score=float(n)) for n in (30, 32, 34)]
        >>> made = Scores(metric="psnr", lower_better=False, seed=0, device="cpu", pairs=tuple(pairs))
        >>> made
        psnr: 3 images (dB, higher is better)
        >>> made.mean, made.worst.img.name
        (32.0, '30.png')
        >>> print(made.summary())
        psnr: mean 32 (95 % 27.03 to 36.97, 3 images), worst 30 (30.png)
    """

    metric: str
    """Metric, as it was asked for."""
    lower_better: bool
    """True if a lower score means better quality."""
    seed: int
    """Seed of the metric."""
    device: str
    """Where it ran."""
    pairs: tuple[FileScore, ...]
    """One entry per image."""
    prepared: str = ""
    """What was done to the images before; empty if nothing."""
    unpaired: tuple[Path, ...] = ()
    """Images of the folders that have no partner."""

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[FileScore]:
        return iter(self.pairs)

    def __getitem__(self, number: int) -> FileScore:
        return self.pairs[number]

    def __float__(self) -> float:
        if len(self.pairs) != 1 or self.pairs[0].score is None:
            raise ValueError(f"got {len(self.pairs)} pairs, expected one with a score; use .frame or iterate")
        return self.pairs[0].score

    @property
    def frame(self) -> pd.DataFrame:
        """One line per image: img, ref, score, error, note."""
        import pandas as pd

        texts = ({"img": str(p.img), "ref": str(p.ref or ""), "error": p.error, "note": p.note} for p in self.pairs)
        return pd.DataFrame(
            [
                {**vars(p), **{name: printable(text) for name, text in own.items()}}
                for p, own in zip(self.pairs, texts, strict=True)
            ]
        )

    @property
    def unit(self) -> str:
        """Unit of the scores: ``"dB"``, or nothing."""
        return unit_of(self.metric)

    @property
    def scale(self) -> str:
        """Unit and direction in words."""
        better = "lower" if self.lower_better else "higher"
        return ", ".join(filter(None, (self.unit, f"{better} is better")))

    @property
    def finished(self) -> tuple[FileScore, ...]:
        """The images with a score."""
        return tuple(pair for pair in self.pairs if pair.score is not None)

    @property
    def mean(self) -> float:
        """Mean over images; NaN if there is no score."""
        found = [pair.score for pair in self.finished]
        return float(np.mean(found)) if found else float("nan")  # type: ignore[arg-type]

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean over images by Student's t; NaN below three images."""
        return mean_interval([pair.score for pair in self.finished])  # type: ignore[misc]

    @property
    def worst(self) -> FileScore | None:
        """The image of lowest quality; None if there is no score."""
        quality = -1.0 if self.lower_better else 1.0
        return min(self.finished, key=lambda pair: quality * float(pair.score or 0.0), default=None)

    def summary(self) -> str:
        """Return one line: mean, its interval over images, and the worst image."""
        if self.worst is None:
            return f"{self.metric}: no image has a score"
        low, high = self.interval
        images = f"{len(self.finished)} image{'s' * (len(self.finished) > 1)}"
        interval = images if np.isnan(low) else f"95 % {low:.4g} to {high:.4g}, {images}"
        return f"{self.metric}: mean {self.mean:.4g} ({interval}), worst {self.worst.score:.4g} ({self.worst.img.name})"

    def __repr__(self) -> str:
        one = len(self.pairs) == 1 and self.pairs[0].score is not None
        shown = f"{float(self):.6g}" if one else f"{len(self)} images"
        return f"{self.metric}: {shown} ({self.scale})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.frame.to_html()}"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A quality that every image must have."""

    metric: str
    """Metric, as it was asked for."""
    value: float
    """Score that is still good enough."""
    below: bool
    """True: a score below fails; False: a score above."""

    def failed(self, made: Scores) -> list[FileScore]:
        """Return the images whose score fails."""
        return [p for p in made.finished if (p.score < self.value if self.below else p.score > self.value)]  # type: ignore[operator]

    def __str__(self) -> str:
        return f"{'below' if self.below else 'above'} {self.value:g}"


def read_limit(text: str, lower_better: Mapping[str, bool], *, below: bool) -> Limit:
    """Read ``METRIC=VALUE``.

    Args:
        text: what the user wrote.
        lower_better: the metrics that are computed, and whether a lower score of each means better quality.
        below: see :class:`Limit`.

    Raises:
        InputError: the metric is not computed, the value is no number, or the limit refuses better quality.

    Example:
        >>> str(read_limit("psnr=30", {"psnr": False}, below=True))
        'below 30'
    """
    side, other = ("below", "above") if below else ("above", "below")
    name, value = metric_value(f"--fail-{side}", text, lower_better)
    if lower_better[name] == below:
        better = "lower" if below else "higher"
        raise InputError(f"--fail-{side} {text}: of {name} {better} is better; use --fail-{other}")
    return Limit(metric=name, value=value, below=below)
