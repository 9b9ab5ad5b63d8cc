"""Which of several outputs is better, on which images, by which metric: what ``causaliqa compare`` does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.create import default_catalog
from causaliqa.evaluation.channels import channel_notes
from causaliqa.evaluation.compare import OutputScores, power_note, score_outputs
from causaliqa.evaluation.compare_tables import comparison_tables
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.report.strips import Strip, image_strips
from causaliqa.report.table_set import TableSet, scores_provenance
from causaliqa.utils.text import without_folders

__all__ = ["ComparedOutputs", "compare"]

DRAWS = 1000
"""Random signs behind the ties with the best."""
SHOWN = 8
"""Images that the page shows."""


@dataclass(frozen=True, kw_only=True, repr=False)
class ComparedOutputs(TableSet):
    """What :func:`compare` returns: tables ``means``, ``pairs``, ``agreement`` and ``images``."""

    scores: OutputScores = field(repr=False)
    """Outputs, metrics, images and their scores."""

    @property
    def failures(self) -> list[str]:
        """A line for every score that could not be computed."""
        failed = self.rows[self.rows["error"] != ""]
        return [f"{row.metric} failed: {row.error}" for row in failed.itertuples()]

    def _strips(self) -> tuple[Strip, ...]:
        return image_strips(self.scores, self.table("images"), SHOWN)


def compare(
    outputs: Mapping[str, str | os.PathLike[str]] | Sequence[str | os.PathLike[str]],
    ref: str | os.PathLike[str] | None,
    metrics: str | Sequence[str],
    *,
    device: str | None = None,
    seed: int = 0,
    prepare: Preparation = AS_THEY_ARE,
    store: str | os.PathLike[str] | None = None,
    draws: int = DRAWS,
    progress: bool = True,
    catalog: Catalog | None = None,
) -> ComparedOutputs:
    """Compare the outputs of several restorers or encoders on the images that all of them have.

    Args:
        outputs: folders, or folders by the name that tables shall show; files belong together by their stems.
        ref: folder of references; None where every metric works without one.
        metrics: ``NAME[:key=value,...]``, one or several.
        device: torch device; by default CUDA where there is one, else the CPU.
        seed: seed of metrics that take one, and of the ties.
        prepare: what is done to every pair of images before.
        store: file that keeps every score as it comes, so that a run that was stopped goes on from it.
        draws: random signs behind the ties with the best.
        progress: show a progress bar.
        catalog: where metrics are looked up; by default what the environment asks for.

    Returns:
        Scores and tables: means with ties, paired differences with intervals, how often metrics agree, the images that
        decide. A score that cannot be computed costs its row.

    Raises:
        InputError: there are fewer than two outputs, or a metric is unknown or needs a reference.
        ImageError: a folder does not exist, or no file stem is common to all.

    Example:
        >>> import tempfile, numpy as np
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> def write(folder, sigma):
        ...     folder.mkdir()
        ...     for n in range(5):
        ...         rng = np.random.default_rng(n)
        ...         pixels = rng.uniform(60, 190, (32, 32, 3)) + sigma * rng.normal(size=(32, 32, 3))
        ...         Image.fromarray(pixels.round().astype(np.uint8)).save(folder / f"{n}.png")
        >>> with tempfile.TemporaryDirectory() as place:
        ...     folders = {name: Path(place) / name for name in ("truth", "good", "bad")}
        ...     for name, sigma in (("truth", 0), ("good", 2), ("bad", 8)):
        ...         write(folders[name], sigma)
        ...     outputs = [folders["good"], folders["bad"]]
        ...     made = compare(outputs, folders["truth"], "psnr", device="cpu", progress=False)
        >>> made.table("means")[["rank", "output"]].values.tolist()
        [[1, 'good'], [2, 'bad']]
    """
    catalog = catalog or default_catalog()
    requests = [metrics] if isinstance(metrics, str) else list(dict.fromkeys(metrics))
    scores = score_outputs(
        outputs,
        ref,
        requests,
        catalog=catalog,
        device=device,
        seed=seed,
        prepare=prepare,
        store=store,
        progress=progress,
    )
    settings = {
        "outputs": list(scores.outputs),
        "metrics": [without_folders(request) for request in requests],
        "images": len(scores.images),
        "prepared": scores.prepared,
        "seed": seed,
        "device": scores.device,
        "draws": draws,
    }
    notes = [power_note(len(scores.images))]
    if scores.prepared:
        notes.append(f"images: {scores.prepared}")
    notes += channel_notes(scores.rows["note"])
    if scores.unpaired:
        notes.append(f"{len(scores.unpaired)} images without a partner in every folder are left out")
    return ComparedOutputs(
        title=f"Comparison of {' and '.join(scores.outputs)}" if len(scores.outputs) < 4 else "Comparison of outputs",
        tables=comparison_tables(scores, draws=draws, seed=seed),
        rows=scores.rows,
        provenance=scores_provenance(catalog, scores.built, settings, seed=seed),
        notes=tuple(notes),
        scores=scores,
    )
