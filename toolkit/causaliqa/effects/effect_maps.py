"""Causal effect maps in one call, as ``causaliqa cem`` makes them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import ROI
from causaliqa.api.errors import CausaliqaError
from causaliqa.effects.job import MapRun, make_maps
from causaliqa.effects.names import NetworkRequest
from causaliqa.effects.settings import settings_with

if TYPE_CHECKING:
    from causaliqa.api.protocols import Restorer
    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.effects.grid import RoiLike
    from causaliqa.effects.interventions import Measure
    from causaliqa.effects.settings import ImageLike

__all__ = ["effect_maps"]


def effect_maps(
    network: str | Restorer,
    images: ImageLike | Sequence[ImageLike],
    roi: RoiLike | Sequence[RoiLike],
    *,
    task: str | None = None,
    scale: int | None = None,
    checkpoint: str | Path | None = None,
    measure: str | Measure = "psnr",
    out: str | os.PathLike[str] | None = None,
    bound: float | None = None,
    figures: str = "png",
    overwrite: bool = False,
    resume: bool = False,
    device: str | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    shard: str | None = None,
    progress: bool = True,
    **settings: Any,
) -> list[EffectMap]:
    """Make causal effect maps: one for every image and region.

    Args:
        network: name of a restorer, ``"basicsr:ARCH:key=value"``, ``"path/to/file.py:factory"``, or any function or
            module ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``.
        images: ground truth, or several: paths, arrays ``(H, W, 3)`` or tensors ``(3, H, W)``, RGB.
        roi: region of interest in output pixels, or several: ``(x, y, width, height)``, ``"x,y,width,height"``,
            ``ROI``, or ``"auto:count=2,size=32"`` for those with the most texture of every image.
        task: ``"sr"``, ``"denoise"``, ``"derain"`` or a plugin's; names the degradation. Not needed with
            ``degradation``.
        scale: enlargement of ``"sr"``; by default that of a network given by name, else 4.
        checkpoint: a ``.pth`` or ``.safetensors`` file of a network given by name.
        measure: quality of the region: ``"psnr"`` in dB, any metric by name (without unit), or a function
            ``(img, ref) -> (N,)``.
        out: folder to write ``cem.npz``, ``summary.json``, ``cem.png`` and ``pie.png`` to; of several maps, one folder
            each below it. None writes nothing.
        bound: effect, in the unit of the measure, at which the colour map of the pictures saturates; None for the
            largest of each map.
        figures: formats of the pictures, such as ``"pdf"`` or ``"png,svg"``.
        overwrite: replace the map of another network, image or settings in ``out`` instead of refusing to.
        resume: always so, accepted for older programs: finished patches of the same run in ``out`` are not made again.
        device: torch device; None for that of a network that is built already, else CUDA where there is one, else the
            CPU.
        jobs: local processes that make maps.
        scheduler: address of a Dask scheduler whose workers make maps.
        shard: ``"I/N"`` makes every N-th map from the I-th; ``"auto"`` asks SLURM, srun or torchrun.
        progress: show progress bars on stderr.
        settings: fields of :class:`causaliqa.CemSettings`, such as ``strategy``, ``fine``, ``sampler``, ``seed``.

    Returns:
        The maps in order: all regions of the first image, then of the next.

    Raises:
        CausaliqaError: a map cannot be made. Maps made before are in ``out``, and the same call continues.

    Example:
        >>> import torch
        >>> (made,) = effect_maps(
        ...     torch.nn.AvgPool2d(3, 1, 1), torch.rand(3, 32, 32), "8,8,8,8", task="denoise", fine=2, device="cpu",
        ...     progress=False,
        ... )
        >>> made.roi, made.effect.shape
        (ROI(x=8, y=8, width=8, height=8), (4, 4))
    """
    run = MapRun(
        network=NetworkRequest(network=network, task=task, scale=scale, checkpoint=checkpoint),
        images=_images(images),
        regions=_regions(roi),
        settings=settings_with(None, settings),
        measure=measure,
        out=out,
        bound=bound,
        figures=figures,
        overwrite=overwrite,
        resume=resume,
        device=device,
        jobs=jobs,
        scheduler=scheduler,
        shard=shard,
    )
    found = []
    for _, made in make_maps(run, progress=progress):
        if isinstance(made, CausaliqaError):
            raise made
        found.append(made)
    return found


def _images(images: Any) -> tuple[ImageLike, ...]:
    return tuple(images) if isinstance(images, list | tuple) else (images,)


def _regions(roi: Any) -> tuple[RoiLike, ...]:
    several = isinstance(roi, list | tuple) and roi and not isinstance(roi[0], int)
    return tuple(roi) if several and not isinstance(roi, ROI) else (roi,)
