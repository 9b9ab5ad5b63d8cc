"""Local attribution maps in one call, as ``causaliqa lam`` makes them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.api.errors import InputError
from causaliqa.catalog.create import default_catalog
from causaliqa.effects.grid import RoiLike
from causaliqa.effects.journal import check_free
from causaliqa.effects.map_units import one_region
from causaliqa.effects.names import NetworkRequest, label_of
from causaliqa.utils.progress import intervention_bar
from causaliqa.utils.versions import versions

if TYPE_CHECKING:
    from causaliqa.api.protocols import Degradation, Restorer
    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.effects.lam import Attribution
    from causaliqa.effects.settings import ImageLike

__all__ = ["local_attribution"]


def local_attribution(
    network: str | Restorer,
    image: ImageLike,
    roi: RoiLike,
    *,
    task: str | None = None,
    degradation: str | Degradation | None = None,
    scale: int | None = None,
    checkpoint: str | Path | None = None,
    arch_options: str = "",
    steps: int = 50,
    sigma: float = 1.2,
    seed: int = 0,
    device: str | None = None,
    effects: EffectMap | str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    figures: str = "png",
    overwrite: bool = False,
    progress: bool = True,
) -> Attribution:
    """Make the local attribution map of one region, to compare with a causal effect map.

    Args:
        network: name of a restorer, or any function or module that passes gradients; see
            :func:`causaliqa.effect_maps`.
        image: ground truth: a path, an array ``(H, W, 3)`` or a tensor ``(3, H, W)``, RGB.
        roi: region of interest in output pixels: ``(x, y, width, height)``, ``"x,y,width,height"``, or ``"auto"`` for
            the one with the most texture.
        task: ``"sr"``, ``"denoise"``, ``"derain"`` or a plugin's; names the degradation.
        degradation: ``NAME[:key=value,...]`` or an object, in place of that of the task.
        scale: enlargement of ``"sr"``; by default that of a network given by name, else 4.
        checkpoint: a ``.pth`` or ``.safetensors`` file of a network given by name.
        arch_options: arguments of the architecture as ``KEY=VALUE,...``
        steps: points on the path from the blurred input to the input.
        sigma: standard deviation of the blur at its start, in input pixels.
        seed: seed of the degradation.
        device: torch device; None for that of a network that is built already, else CUDA where there is one, else the
            CPU.
        effects: causal effect map of the same region, or its folder: drawn beside the attribution in ``out``.
        out: folder to write ``lam.npz``, ``lam.png`` and ``summary.json`` to; None writes nothing.
        figures: formats of the picture, such as ``"pdf"`` or ``"png,svg"``.
        overwrite: replace a map that is in ``out`` already.
        progress: show a progress bar on stderr.

    Raises:
        InputError: a name is unknown, region, steps or sigma are out of range, or the network has no gradient.

    Source: Gu and Dong, "Interpreting Super-Resolution Networks with Local Attribution Maps", CVPR 2021.

    Example:
        >>> import torch
        >>> blur = torch.nn.AvgPool2d(3, 1, 1)
        >>> local_attribution(
        ...     blur, torch.rand(3, 32, 32), "8,8,8,8", task="denoise", steps=4, device="cpu", progress=False
        ... ).attribution.shape
        (3, 32, 32)
    """
    catalog = default_catalog()
    region = one_region(image, roi)
    request = NetworkRequest(network=network, task=task, scale=scale, checkpoint=checkpoint, arch_options=arch_options)
    request.check_names(catalog, degradation)
    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.effects.lam import integrated_gradients
    from causaliqa.io.images import as_image
    from causaliqa.utils.figures import formats, save

    suffixes = formats(figures)
    if out is not None and not overwrite:
        check_free(Path(out))
    if isinstance(effects, str | os.PathLike):
        effects = EffectMap.load(effects)
    if effects is not None and effects.roi != region:
        raise InputError(f"causal effect map: got one of region {effects.roi}, expected {region}")
    clean = as_image(image)[0]
    place = request.place(device)
    restorer = request.restorer(catalog, place)
    degrade = request.degradation(catalog, degradation, restorer)
    with intervention_bar(shown=progress) as show:
        made = integrated_gradients(
            restorer,
            degrade.degrade(clean, seed),
            region,
            scale=degrade.scale,
            steps=steps,
            sigma=sigma,
            device=place,
            progress=show,
        )
    name = Path(image).name if isinstance(image, str | os.PathLike) else "image"
    task = task or label_of(degradation)
    facts = {"restorer": request.label, "task": task, "image": name, "seed": seed}
    made = replace(made, facts={**facts, **made.facts, "versions": versions()})
    if out is not None:
        made.save(out)
        for suffix in suffixes:
            drawn = made.plot(effects=effects, title=f"{request.label} · {task} · {name}")
            save(drawn, Path(out) / f"lam{suffix}")
    return made
