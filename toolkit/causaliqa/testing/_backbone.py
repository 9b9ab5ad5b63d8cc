"""Contract of a feature network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from causaliqa.api.errors import PluginError
from causaliqa.api.specs import BackboneSpec
from causaliqa.functional.image import NORMALISATIONS, normalise
from causaliqa.testing._common import CLOSE, AnySubject, check_repeats, difference, photo, subject
from causaliqa.utils.text import brief

__all__ = ["check_backbone"]


def check_backbone(backbone: str | BackboneSpec, **options: Any) -> None:
    """Check that a feature network has the interface of timm's ``features_only`` models and matches its spec.

    Clauses: import, record, maps, size, mass, batch, determinism, input, gradients.

    Args:
        backbone: name of an installed backbone, or a spec.
        options: options to build it with, for example ``weights`` or ``pretrained=False``.

    Raises:
        ContractError: a clause is broken; the message gives the clause and a remedy.

    Example:
        >>> check_backbone("effnet_lite0")
    """
    made = subject(backbone, BackboneSpec)
    spec = made.spec
    if spec.normalise not in NORMALISATIONS:
        made.fail("record", f"normalise is {spec.normalise!r}, expected {' or '.join(NORMALISATIONS)}")
    if spec.mass not in ("share", "softmax") or spec.window < 1 or spec.min_size < 1:
        made.fail("record", "expected mass share or softmax, window and min_size above 0")
    try:
        # The network itself: what the catalogue puts around it checks the maps, too, but does not name the clause.
        net: nn.Module = made.catalog.create_backbone(made.name, **options).get_submodule("network")
    except PluginError as error:
        if "feature_info" not in str(error):
            raise
        made.fail("maps", "feature_info.channels() and .reduction() are missing; they describe every map")
    img = normalise(torch.cat([photo(160, 192), photo(160, 192, name="coffee")]), spec.normalise)
    maps = _check_maps(made, net, img)
    for height, width in ((spec.min_size, spec.min_size), (spec.min_size + 13, spec.min_size + 6)):
        _check_maps(made, net, img[:, :, :height, :width])
    if spec.mass == "share" and any(float(m.min()) < 0 for m in maps):
        made.fail("mass", "share needs features that are never negative; set mass='softmax', or tap after the ReLU")
    alone = [_maps(net, one) for one in torch.split(img, 1)]
    for k, level in enumerate(maps):
        if (gap := difference(level, torch.cat([own[k] for own in alone]))) > CLOSE:
            made.fail(
                "batch", f"map {k} differs by {gap:.2g} when images are processed one by one; check batch normalisation"
            )
    _check_gradients(made, net, img[:1])


def _maps(net: nn.Module, img: Tensor) -> list[Tensor]:
    with torch.no_grad():
        maps: list[Tensor] = net(img)
    return maps


def _check_maps(made: AnySubject, net: nn.Module, img: Tensor) -> list[Tensor]:
    """Check number, channels and strides of the maps against ``feature_info``."""
    info: Any = getattr(net, "feature_info", None)
    height, width = img.shape[-2:]
    what = "two calls on one image give different maps"
    try:
        maps = check_repeats(made, lambda: _maps(net, img), img, what=what)
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = brief(error, 200, kind=False)
        made.fail("size", f"it refuses {height} x {width}: {reason}; pad inside the network, or raise min_size")
    if not isinstance(maps, (list, tuple)) or not all(isinstance(m, Tensor) and m.dim() == 4 for m in maps):
        made.fail("maps", f"got {type(maps).__name__}, expected a list of maps (N, C, H, W)")
    expected = list(zip(info.channels(), info.reduction(), strict=True))
    if len(maps) != len(expected):
        made.fail("maps", f"got {len(maps)} maps, feature_info lists {len(expected)}")
    for k, (level, (channels, stride)) in enumerate(zip(maps, expected, strict=True)):
        sides = [range(side // stride, -(-side // stride) + 1) for side in (height, width)]
        good = level.shape[:2] == (len(img), channels)
        if not good or any(got not in side for got, side in zip(level.shape[2:], sides, strict=True)):
            stated = f"{channels} channels at stride {stride}"
            made.fail("maps", f"map {k} is {tuple(level.shape)} for {height} x {width}, feature_info says {stated}")
        if not bool(level.isfinite().all()) or not level.is_floating_point():
            made.fail("maps", f"map {k} is not finite; check weights and normalisation")
    return list(maps)


def _check_gradients(made: AnySubject, net: nn.Module, img: Tensor) -> None:
    leaf = img.clone().requires_grad_()
    total = torch.stack([level.square().mean() for level in net(leaf)]).sum()
    if not total.requires_grad:
        made.fail("gradients", "none reach the image; remove no_grad and detach from forward")
    (slope,) = torch.autograd.grad(total, leaf)
    if not bool(slope.isfinite().all()) or not bool(slope.any()):
        made.fail("gradients", "they are not finite, or all zero; add a small number under roots and norms")
