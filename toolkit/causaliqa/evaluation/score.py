"""Score files in one call: an image or a folder of them, by one metric or several."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from causaliqa.api.errors import CausaliqaError, ImageError, InputError
from causaliqa.api.protocols import Explanation
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.request import parse_request
from causaliqa.catalog.workers import build_metric
from causaliqa.evaluation.file_scores import FileScore, Scores
from causaliqa.evaluation.image_files import build_metrics, failed, records_of, score_by_all
from causaliqa.evaluation.preparation import AS_THEY_ARE, Preparation
from causaliqa.evaluation.prepared_pairs import PairPreparer
from causaliqa.io.images import as_image
from causaliqa.io.pairing import file_pairs
from causaliqa.utils.devices import choose_device
from causaliqa.utils.progress import progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Image = Tensor | NDArray[Any] | str | os.PathLike[str]

__all__ = ["explain", "score"]

_FEW = 20
"""Pairs that are scored without a progress bar."""


@overload
def score(
    metric: str,
    img: str | os.PathLike[str],
    ref: str | os.PathLike[str] | None = None,
    *,
    device: str | None = None,
    seed: int = 0,
    prepare: Preparation = AS_THEY_ARE,
    progress: bool = True,
    catalog: Catalog | None = None,
) -> Scores: ...


@overload
def score(
    metric: list[str] | tuple[str, ...],
    img: str | os.PathLike[str],
    ref: str | os.PathLike[str] | None = None,
    *,
    device: str | None = None,
    seed: int = 0,
    prepare: Preparation = AS_THEY_ARE,
    progress: bool = True,
    catalog: Catalog | None = None,
) -> dict[str, Scores]: ...


def score(
    metric: str | list[str] | tuple[str, ...],
    img: str | os.PathLike[str],
    ref: str | os.PathLike[str] | None = None,
    *,
    device: str | None = None,
    seed: int = 0,
    prepare: Preparation = AS_THEY_ARE,
    progress: bool = True,
    catalog: Catalog | None = None,
) -> Scores | dict[str, Scores]:
    """Score an image, or every image of a folder, by one metric or several.

    Args:
        metric: ``NAME[:key=value,...]``, or several.
        img: image, or a folder.
        ref: its reference; of a folder, the folder of references with the same file stems, or one reference for all
            images. Not needed where every metric works without one.
        device: torch device; by default CUDA where there is one, else the CPU.
        seed: seed of a metric that takes one.
        prepare: what is done to every pair before: HDR encoded, luma alone, border cut off, shift undone, resized,
            masked.
        progress: show a progress bar where there are many images.
        catalog: where metrics are looked up; by default what the environment asks for.

    Returns:
        One score per image, of several metrics by their names. Of several images, one that fails has an ``error``
        instead of a score.

    Raises:
        InputError: a metric is unknown or needs a reference, or an option of it is wrong.
        ImageError: there is no image to score; or of a single one a file cannot be read, or the sizes differ.
        CausaliqaError: the metric fails on a single image.

    Example:
        >>> from importlib.resources import files
        >>> path = Path(str(files("skimage"))) / "data" / "astronaut.png"
        >>> float(score("causal_effnet_lite0", path, path, device="cpu"))
        0.0
        >>> score(["psnr", "ssim"], path, path, device="cpu")["ssim"]
        ssim: 1 (higher is better)
    """
    requests = [metric] if isinstance(metric, str) else list(dict.fromkeys(metric))
    pairs, unpaired = file_pairs(Path(img), Path(ref) if ref is not None else None, light=prepare.light)
    catalog = catalog or default_catalog()
    specs = records_of(catalog, requests, job="score", lacking="" if ref is not None else "IMG REF", hdr=prepare.hdr)
    preparer = PairPreparer(prepare)
    preparer.check({name: spec.metric_mode for name, spec in specs.items()}, (pair[1] for pair in pairs))
    device = choose_device(device)
    built = build_metrics(catalog, requests, device, seed)
    scored: dict[str, list[FileScore]] = {request: [] for request in requests}
    with progress_bar(len(pairs) * len(requests), "scoring", shown=progress and len(pairs) > _FEW) as bar:
        for img_path, ref_path in pairs:
            results, note = score_by_all(built, img_path, ref_path, device, preparer)
            for request, result in results.items():
                # One of many costs its own line only.
                if isinstance(result, CausaliqaError) and len(pairs) == 1:
                    raise result
                scored[request].append(_file_score(img_path, ref_path, result, note))
            bar.update(len(requests))
    found = {
        request: Scores(
            metric=request,
            lower_better=built[request].lower_better,
            seed=seed,
            device=device,
            prepared=preparer.said,
            pairs=tuple(scored[request]),
            unpaired=tuple(unpaired),
        )
        for request in requests
    }
    return found[metric] if isinstance(metric, str) else found


def _file_score(img: Path, ref: Path | None, result: float | CausaliqaError, note: str) -> FileScore:
    if isinstance(result, CausaliqaError):
        return FileScore(img=img, ref=ref, score=None, error=str(result))
    return FileScore(img=img, ref=ref, score=result, note=note)


def explain(
    metric: str,
    img: Image,
    ref: Image,
    *,
    device: str | None = None,
    seed: int = 0,
    catalog: Catalog | None = None,
) -> Explanation:
    """Show where the score of a metric comes from: its channels, their shares and the cost in place.

    Args:
        metric: a causal or calibrated metric, or one of a plugin that explains itself, ``NAME[:key=value,...]``.
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
        raise InputError(f"metric {metric!r} cannot explain itself; expected a causal or calibrated metric")
    distorted, reference = as_image(img).to(device), as_image(ref).to(device)
    what = str(img) if isinstance(img, str | os.PathLike) else "the image"
    if distorted.shape != reference.shape:
        raise ImageError(f"sizes differ: {what} and its reference; crop or resize one of them first")
    try:
        made = built.explain(distorted, reference)
    except CausaliqaError:
        raise
    except ValueError as error:
        raise ImageError(f"{what}: {error}") from error
    except Exception as error:
        raise failed(metric, what, error) from error
    if not isinstance(made, Explanation):
        raise InputError(f"metric {metric!r} explains itself in its own terms; call create_metric({metric!r}).explain")
    return made
