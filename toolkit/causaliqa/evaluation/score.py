"""Score files in one call: two images, or two folders of them."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import CausaliqaError, ImageError, InputError
from causaliqa.api.protocols import Metric
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.request import parse_request
from causaliqa.catalog.workers import build_metric
from causaliqa.evaluation.scoring import score_pair
from causaliqa.io.images import as_image, load_image
from causaliqa.io.pairing import file_pairs
from causaliqa.utils.devices import choose_device
from causaliqa.utils.progress import progress_bar
from causaliqa.utils.text import brief, one_line

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from torch import Tensor

    from causaliqa.builtin.metrics.explanation import Explanation

    Image = Tensor | NDArray[Any] | str | os.PathLike[str]

__all__ = ["FileScore", "Scores", "explain", "score"]

_FEW = 20
"""Pairs that are scored without a progress bar."""


@dataclass(frozen=True, kw_only=True)
class FileScore:
    """The score of one pair of files."""

    img: Path
    """Distorted image."""
    ref: Path
    """Reference."""
    score: float | None
    """Score; None where the metric failed."""
    error: str = ""
    """Why it failed."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of one metric on some pairs of files; ``float(scores)`` is the score of a single pair."""

    metric: str
    """Metric, as it was asked for."""
    lower_better: bool
    """True if a lower score means better quality."""
    seed: int
    """Seed of the metric."""
    device: str
    """Where it ran."""
    pairs: tuple[FileScore, ...]
    """One entry per pair."""
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
        """One line per pair: img, ref, score, error."""
        import pandas as pd

        return pd.DataFrame([{**vars(pair), "img": str(pair.img), "ref": str(pair.ref)} for pair in self.pairs])

    def __repr__(self) -> str:
        better = "lower" if self.lower_better else "higher"
        shown = (
            f"{float(self):.6g}" if len(self.pairs) == 1 and self.pairs[0].score is not None else f"{len(self)} pairs"
        )
        return f"{self.metric}: {shown} ({better} is better)"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.frame.to_html()}"


def score(
    metric: str,
    img: str | os.PathLike[str],
    ref: str | os.PathLike[str],
    *,
    device: str | None = None,
    seed: int = 0,
    progress: bool = True,
    catalog: Catalog | None = None,
) -> Scores:
    """Score an image against its reference, or the images of two folders that share a file stem.

    Args:
        metric: ``NAME[:key=value,...]``.
        img: distorted image, or a folder.
        ref: reference, or a folder.
        device: torch device; by default CUDA where there is one, else the CPU.
        seed: seed of a metric that takes one.
        progress: show a progress bar where there are many pairs.
        catalog: where the metric is looked up; by default what the environment asks for.

    Returns:
        One score per pair. Of several pairs, one that fails has an ``error`` instead of a score.

    Raises:
        InputError: the metric is unknown, or an option of it is wrong.
        ImageError: no pair is found; or of a single pair an image cannot be read, or the sizes differ.
        CausaliqaError: the metric fails on a single pair.

    Example:
        >>> from importlib.resources import files
        >>> path = Path(str(files("skimage"))) / "data" / "astronaut.png"
        >>> float(score("causal_effnet_lite0", path, path, device="cpu"))
        0.0
    """
    pairs, unpaired = file_pairs(Path(img), Path(ref))
    catalog = catalog or default_catalog()
    catalog.get(MetricSpec, parse_request(metric)[0])  # before torch is loaded
    device = choose_device(device)
    built = build_metric(catalog, metric, device, seed)
    scored = []
    with progress_bar(len(pairs), "scoring", shown=progress and len(pairs) > _FEW) as bar:
        for img_path, ref_path in pairs:
            try:
                value = _score_files(metric, built, img_path, ref_path, device)
                scored.append(FileScore(img=img_path, ref=ref_path, score=value))
            except CausaliqaError as error:
                if len(pairs) == 1:
                    raise
                # One of many costs its own line only.
                scored.append(FileScore(img=img_path, ref=ref_path, score=None, error=str(error)))
            bar.update(1)
    return Scores(
        metric=metric,
        lower_better=built.lower_better,
        seed=seed,
        device=device,
        pairs=tuple(scored),
        unpaired=tuple(unpaired),
    )


def _score_files(name: str, metric: Metric, img_path: Path, ref_path: Path, device: str) -> float:
    img, ref = load_image(img_path), load_image(ref_path)
    if img.shape != ref.shape:
        raise ImageError(
            f"sizes differ: {img_path} is {img.shape[-1]} x {img.shape[-2]}, {ref_path} is "
            f"{ref.shape[-1]} x {ref.shape[-2]} (width x height); crop or resize one of them first"
        )
    try:
        return score_pair(metric, img.to(device), ref.to(device))
    except CausaliqaError as error:
        raise CausaliqaError(f"{img_path}: {error}") from error
    except ValueError as error:
        raise ImageError(f"{img_path}: {error}") from error
    except Exception as error:
        # Metrics of others fail in their own ways, as on images that are smaller than their windows.
        raise _failed(name, img_path, error) from error


def _failed(metric: str, img: object, error: Exception) -> CausaliqaError:
    return CausaliqaError(f"{metric} failed on {one_line(str(img))}: {brief(error)}; -v shows where")


def explain(
    metric: str,
    img: Image,
    ref: Image,
    *,
    device: str | None = None,
    seed: int = 0,
    catalog: Catalog | None = None,
) -> Explanation:
    """Show where the score of a causal metric comes from: channel strengths, shares and cost in place.

    Args:
        metric: a causal metric, ``NAME[:key=value,...]``.
        img: distorted image: a path, a tensor ``(3, H, W)`` or an array ``(H, W, 3)``.
        ref: its reference.
        device: torch device; by default CUDA where there is one, else the CPU.
        seed: seed of the intervention.
        catalog: where the metric is looked up; by default what the environment asks for.

    Raises:
        InputError: the metric is unknown or cannot explain itself.
        ImageError: an image cannot be read, or the sizes differ.

    Example:
        >>> import torch
        >>> x = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
        >>> explain("causal_effnet_lite0", x, x, device="cpu").score
        0.0
    """
    catalog = catalog or default_catalog()
    catalog.get(MetricSpec, parse_request(metric)[0])
    device = choose_device(device)
    built = build_metric(catalog, metric, device, seed)
    if not hasattr(built, "explain"):
        raise InputError(f"metric {metric!r} cannot explain itself; expected a causal metric")
    distorted, reference = as_image(img).to(device), as_image(ref).to(device)
    what = str(img) if isinstance(img, str | os.PathLike) else "the image"
    if distorted.shape != reference.shape:
        raise ImageError(f"sizes differ: {what} and its reference; crop or resize one of them first")
    try:
        made: Explanation = built.explain(distorted, reference)
    except CausaliqaError:
        raise
    except ValueError as error:
        raise ImageError(f"{what}: {error}") from error
    except Exception as error:
        raise _failed(metric, what, error) from error
    return made
