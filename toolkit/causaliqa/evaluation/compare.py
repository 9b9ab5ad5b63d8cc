"""Outputs of several restorers or encoders on the same images: scores, and which differences are real."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import printable
from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.api.protocols import Metric
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.catalog import Catalog
from causaliqa.evaluation.image_files import build_metrics, records_of, score_by_all
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.evaluation.prepared_pairs import PairPreparer
from causaliqa.evaluation.store import open_store
from causaliqa.functional.means import detectable
from causaliqa.io.pairing import common_files
from causaliqa.utils.devices import choose_device
from causaliqa.utils.measures import unit_of
from causaliqa.utils.progress import progress_bar
from causaliqa.utils.text import distinct_names

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ComparedMetric", "OutputScores", "power_note", "score_outputs"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ComparedMetric:
    """What a comparison knows of a metric."""

    name: str
    """Metric, as it was asked for."""
    lower_better: bool
    """True if a lower score means better quality."""
    noticeable: float | None = None
    """Difference of scores from which on people see it; None if unknown."""
    noticeable_source: str = ""
    """Where that comes from."""

    @classmethod
    def of(cls, name: str, spec: MetricSpec) -> ComparedMetric:
        """Return what is known from the record of a metric."""
        return cls(
            name=name,
            lower_better=spec.lower_better,
            noticeable=spec.noticeable,
            noticeable_source=spec.noticeable_source,
        )

    @property
    def unit(self) -> str:
        """Unit of the scores: ``"dB"``, or nothing."""
        return unit_of(self.name)


@dataclass(frozen=True, kw_only=True)
class OutputScores:
    """Scores of N outputs x M images x K metrics."""

    outputs: Mapping[str, Path]
    """Folder of every output by its name."""
    ref: Path | None
    """Folder of the references; None without."""
    metrics: tuple[ComparedMetric, ...]
    """The metrics."""
    images: tuple[str, ...]
    """File stems that every folder has."""
    unpaired: tuple[Path, ...]
    """Images whose stem a folder lacks; they are left out."""
    prepared: str = ""
    """What was done to the images before; empty if nothing."""
    rows: pd.DataFrame = field(repr=False)
    """One line a score: metric, output, image, score (None where it failed), error, note."""
    files: Mapping[tuple[str, str], Path] = field(default_factory=dict, repr=False)
    """File of every image by output and stem; the output of a reference is empty."""
    built: Mapping[str, Metric] = field(default_factory=dict, repr=False)
    """The metrics that computed the scores."""
    device: str = ""
    """Where they ran."""
    seed: int = 0
    """Seed of metrics that take one."""


def score_outputs(
    outputs: Mapping[str, str | os.PathLike[str]] | Sequence[str | os.PathLike[str]],
    ref: str | os.PathLike[str] | None,
    metrics: Sequence[str],
    *,
    catalog: Catalog,
    device: str | None = None,
    seed: int = 0,
    prepare: Preparation = AS_THEY_ARE,
    store: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> OutputScores:
    """Score the outputs of several restorers or encoders on the images that all of them have.

    Args:
        outputs: folders, or folders by the name that tables shall show.
        ref: folder of references; files belong together by their stems. None for metrics without a reference.
        metrics: ``NAME[:key=value,...]``.
        catalog: where metrics are looked up.
        device: torch device; by default CUDA where there is one, else the CPU.
        seed: seed of metrics that take one.
        prepare: what is done to every pair before.
        store: file that keeps every score as it comes; what is in it is not computed again.
        progress: show a progress bar.

    Raises:
        InputError: there are fewer than two outputs, one is given twice, a metric is unknown or needs a reference.
        ImageError: a folder does not exist, or no file stem is common to all.
    """
    folders = _named(outputs)
    reference = Path(ref) if ref is not None else None
    lacking = "" if ref is not None else "a folder of references"
    specs = records_of(catalog, metrics, job="compare", lacking=lacking, hdr=prepare.hdr)
    files, unpaired = common_files([*folders.values(), *filter(None, [reference])], light=prepare.light)
    _LOG.info("%s", power_note(len(files)))
    for path in unpaired:
        _LOG.warning("no partner for %s in every folder: left out", path)
    preparer = PairPreparer(prepare)
    modes = {name: spec.metric_mode for name, spec in specs.items()}
    preparer.check(modes, (row[-1] for row in files if reference is not None))
    device = choose_device(device)
    with ExitStack() as stack:
        kept = stack.enter_context(open_store(store)) if store is not None else None
        built = build_metrics(catalog, specs, device, seed)
        bar = stack.enter_context(progress_bar(len(files) * len(folders) * len(specs), "scoring", shown=progress))
        work = partial(score_by_all, built, device=device, preparer=preparer, store=kept)
        rows = list(_rows(list(folders), files, work, bar))
    import pandas as pd

    return OutputScores(
        outputs=folders,
        ref=reference,
        metrics=tuple(ComparedMetric.of(name, spec) for name, spec in specs.items()),
        images=tuple(printable(row[0].stem) for row in files),
        unpaired=tuple(unpaired),
        prepared=preparer.said,
        rows=pd.DataFrame(rows),
        files={
            (name, printable(row[0].stem)): path
            for row in files
            for name, path in zip([*folders, *([""] if reference else [])], row, strict=True)
        },
        built=built,
        device=device,
        seed=seed,
    )


def _named(outputs: Any) -> dict[str, Path]:
    if isinstance(outputs, str | os.PathLike):
        outputs = [outputs]
    if isinstance(outputs, Mapping):
        folders = {printable(str(name)): Path(path) for name, path in outputs.items()}
    else:
        paths = [Path(path) for path in outputs]
        folders = dict(zip(map(printable, distinct_names(paths)), paths, strict=True))
    if len(folders) < 2:
        raise InputError(f"compare: got {len(folders)} folder of outputs, expected at least two")
    real = [path.resolve() for path in folders.values()]
    for name, path in zip(folders, real, strict=True):
        if real.count(path) > 1:
            raise InputError(f"compare: {name} is given twice; expected different folders")
    return folders


def _rows(
    names: Sequence[str], files: Sequence[tuple[Path, ...]], work: Callable[..., Any], bar: Any
) -> Iterator[dict[str, Any]]:
    """Image by image, so that metrics can keep what they know of its reference."""
    for row in files:
        image, ref = printable(row[0].stem), row[-1] if len(row) > len(names) else None
        for output, path in zip(names, row, strict=False):
            results, note = work(img_path=path, ref_path=ref)
            for metric, result in results.items():
                failed = isinstance(result, CausaliqaError)
                score, error = (None, printable(str(result))) if failed else (result, "")
                fact = {"metric": metric, "output": output, "image": image}
                yield {**fact, "score": score, "error": error, "note": note}
            bar.update(len(results))


def power_note(images: int) -> str:
    """Say what a comparison on so many images can find, before it is made.

    Example:
        >>> power_note(14)
        '14 images: a difference of .81 standard deviations of the paired differences is found in 80 % of such runs'
    """
    if images < 5:
        return f"{images} image{'s' * (images != 1)}: too few for any difference to be significant, expected at least 5"
    return (
        f"{images} images: a difference of {detectable(images):.2f} standard deviations of the paired differences is "
        "found in 80 % of such runs"
    ).replace(" 0.", " .")
