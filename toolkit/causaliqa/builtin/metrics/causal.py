"""The causal metric: intervene on deep features, keep the channels that respond, sum their transport costs.

Source: "Causal IQA" (full-reference image quality assessment by abductive counterfactual inference), section 4, and
the rules of its published implementation.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from causaliqa.builtin.metrics._features import FeatureLevels
from causaliqa.builtin.metrics._options import check_choices, check_window_and_seed
from causaliqa.builtin.metrics.explanation import CausalExplanation
from causaliqa.functional.device import constants_on
from causaliqa.functional.image import NORMALISATIONS, check_pair, pad_to_windows
from causaliqa.functional.intervention import (
    RULES,
    STRENGTHS,
    channel_strength,
    keeps_channel,
    noise_on,
    top_strength,
)
from causaliqa.functional.masking import counted, fill_outside, window_shares
from causaliqa.functional.transport import level_response, level_responses, takes_batches

if TYPE_CHECKING:
    from causaliqa.api.protocols import FeatureBackbone
    from causaliqa.api.specs import BackboneSpec
    from causaliqa.builtin.metrics._features import Image

__all__ = ["CHANNELS", "TERMS", "CausalMetric", "LevelCost", "combine"]

_log = logging.getLogger(__name__)

TERMS = ("ot", "md", "l2")
CHANNELS = ("causal", "all", "residual")
PROTOCOLS = ("pad", "reference")


@dataclass(frozen=True, kw_only=True)
class LevelCost:
    """Cost of one feature level of one image pair, per channel and window."""

    ot: Tensor
    """W_2^2 between the masses, ``(C, P)``."""
    md: Tensor
    """Euclidean norm of the difference of the masses, ``(C, P)``."""
    l2: Tensor
    """Squared difference of the raw features, ``(C, P)``."""
    keep: Tensor
    """True for causal channels, ``(C,)``; all True if the response was not computed or no change can be too small."""
    strength: Tensor
    """Causal strength of every channel, ``(C,)``; see :func:`~causaliqa.functional.intervention.channel_strength`."""
    grid: tuple[int, int]
    """Rows and columns of windows; rows * columns = P."""
    size: tuple[int, int]
    """Height and width of the feature map before padding."""

    def channels(self, which: str) -> Tensor:
        """Return weights ``(C,)`` of 0 and 1 for ``"causal"``, ``"all"`` or ``"residual"`` channels."""
        if which == "all":
            return torch.ones_like(self.strength)
        return (self.keep if which == "causal" else ~self.keep).to(self.strength.dtype)


def combine(
    levels: Sequence[LevelCost], terms: Sequence[str], which: str, inside: Sequence[Tensor] | None = None
) -> Tensor:
    """Sum the chosen terms over the chosen channels and windows, average over levels; a scalar.

    Lower is better. Source: Causal IQA, Eq. 8; the three terms are those of the published implementation.

    Args:
        levels: costs of every level.
        terms: of :data:`TERMS`.
        which: of :data:`CHANNELS`.
        inside: windows ``(P,)`` of every level that count; their sum is scaled as if they were all, so that the score
            does not depend on how many they are.
    """
    totals = []
    for k, level in enumerate(levels):
        chosen = slice(None) if inside is None else inside[k]
        scale = 1.0 if inside is None else len(inside[k]) / int(inside[k].sum())
        per_channel = sum(getattr(level, term)[..., chosen].sum(dim=-1) for term in terms)
        totals.append((per_channel * level.channels(which)).sum(dim=-1) * scale)
    return torch.stack(totals).mean(dim=0)


class CausalMetric(nn.Module):
    """Causal transport cost between the deep features of two images; lower is better, 0 for identical images.

    Args:
        backbone: feature network with the interface of timm's ``features_only`` models.
        backbone_spec: its spec; gives mass, and the defaults of window and normalisation.
        terms: terms of the cost, joined by ``+``: ``ot``, ``md`` and ``l2``.
        channels: ``causal`` channels, ``all`` channels, or the ``residual`` channels, which are not causal.
        window: side of the windows in feature pixels.
        strengths: strengths of the intervention, increasing.
        seed: seed of the intervention noise.
        normalise: input normalisation, ``none``, ``imagenet`` or ``half``.
        threshold: a channel is indifferent if ``|d0 - d_t| < threshold * |sum((X - Y) / 2)|``.
        rule: causal channels respond at ``every`` strength or at ``any``.
        clamp: set negative mass to 0 after adding the noise.
        protocol: ``pad``, or ``reference`` for the padding rule of the published code.
        resize: average-pool large images to about 256 pixels first.

    Raises:
        ValueError: an option is out of its range.

    Example:
        >>> from causaliqa.builtin.backbones._stages import StagedBackbone, freeze
        >>> from causaliqa.api.specs import BackboneSpec
        >>> stage = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        >>> net = freeze(StagedBackbone([stage], channels=[4], reduction=[1]))
        >>> spec = BackboneSpec(name="tiny", factory=lambda: net, summary="", licence="", mass="share", window=8)
        >>> metric = CausalMetric(net, spec)
        >>> x = torch.rand(2, 3, 40, 40)
        >>> metric(x, x)
        tensor([0., 0.])
    """

    lower_better = True
    metric_mode = "FR"

    def __init__(
        self,
        backbone: FeatureBackbone,
        backbone_spec: BackboneSpec,
        *,
        terms: str = "ot+md",
        channels: str = "causal",
        window: int | None = None,
        strengths: Sequence[float] = STRENGTHS,
        seed: int = 0,
        normalise: str | None = None,
        threshold: float = 1e-4,
        rule: str = "every",
        clamp: bool = True,
        protocol: str = "pad",
        resize: bool = True,
    ) -> None:
        super().__init__()
        self.backbone_spec = backbone_spec
        self.terms = tuple(term.strip() for term in terms.split("+"))
        self.channels = channels
        self.window = backbone_spec.window if window is None else window
        self.strengths = tuple(float(s) for s in strengths)
        self.seed = seed
        normalisation = backbone_spec.normalise if normalise is None else normalise
        self.threshold = threshold
        self.rule = rule
        self.clamp = clamp
        self.protocol = protocol
        self.feature_levels = FeatureLevels(backbone, normalisation, resize=resize)
        self._check_options()

    def _check_options(self) -> None:
        check_choices("terms", self.terms, TERMS, what="each term")
        check_choices("channels", (self.channels,), CHANNELS)
        check_choices("normalise", (self.feature_levels.normalisation,), tuple(NORMALISATIONS))
        check_choices("rule", (self.rule,), RULES)
        check_choices("protocol", (self.protocol,), PROTOCOLS)
        check_window_and_seed(self.window, self.seed)
        rising = all(a < b for a, b in zip(self.strengths, self.strengths[1:], strict=False))
        if not self.strengths or self.strengths[0] <= 0 or not rising:
            raise ValueError(f"strengths: got {self.strengths}, expected rising numbers above 0")
        if not self.threshold >= 0:
            raise ValueError(f"threshold: got {self.threshold!r}, expected 0 or more")

    def forward(self, img: Tensor, ref: Tensor, mask: Tensor | None = None) -> Tensor:
        """Score a batch.

        Args:
            img: distorted images ``(N, 3, H, W)``, RGB in [0, 1], at least 32 x 32.
            ref: references of the same shape.
            mask: booleans ``(H, W)``, true where pixels count. Outside, images are made equal to their references;
                of every level the windows count at least half of which lies inside, or those of the largest share.

        Returns:
            Scores ``(N,)``; lower is better. Gradients reach both images through the kept channels.

        Raises:
            ValueError: shapes differ or are too small.
        """
        if torch.is_grad_enabled() and img.requires_grad and self._has_flat_gradients():
            _warn_no_loss(self.backbone_spec.name)
        respond = self.channels != "all"
        img = img if mask is None else fill_outside(img, ref, mask)
        if takes_batches(img, self.clamp):
            return self._combined(self._levels_of_batch(img, ref, respond=respond), mask)
        check_pair(img, ref, self.backbone_spec.min_size)
        small = self.feature_levels.small(img), self.feature_levels.small(ref)
        # Metrics with other terms need the same costs.
        costs = self.feature_levels.recall(
            self._settings(respond=respond), small, lambda *images: self._costs(*images, respond=respond)
        )
        return torch.stack([self._combined(levels, mask) for levels in costs])

    def _combined(self, levels: Sequence[LevelCost], mask: Tensor | None) -> Tensor:
        inside = None
        if mask is not None:
            small = self.feature_levels.small(mask.float()[None, None])[0, 0]
            shares = (window_shares(small, level.size, self.window, self.protocol) for level in levels)
            inside = [counted(share) for share in shares]
        return combine(levels, self.terms, self.channels, inside)

    def _settings(self, *, respond: bool) -> tuple[object, ...]:
        """Return what the costs of a pair depend on, besides images after the size protocol and the backbone."""
        normalisation = self.feature_levels.normalisation
        intervention = (self.strengths, self.threshold, self.rule) if respond else ()
        mass = self.backbone_spec.mass
        return (type(self), normalisation, mass, self.window, self.seed, self.clamp, self.protocol, *intervention)

    def _has_flat_gradients(self) -> bool:
        """Say whether the score is a cost between softmax masses, which hardly depends on the image."""
        return self.backbone_spec.mass == "softmax" and "l2" not in self.terms

    def levels(self, img: Tensor, ref: Tensor, *, respond: bool = True) -> list[list[LevelCost]]:
        """Return the cost of every level (the image itself first), for every pair of the batch.

        From these, :func:`combine` computes the score for any choice of terms and channels.
        """
        check_pair(img, ref, self.backbone_spec.min_size)
        return self._costs(self.feature_levels.small(img), self.feature_levels.small(ref), respond=respond)

    def _costs(self, small: Tensor, ref: Tensor, *, respond: bool) -> list[list[LevelCost]]:
        """Return the same as :meth:`levels` for images after the size protocol."""
        levels = zip(
            self.feature_levels.of_small(small), self.feature_levels.of_small(ref, reference=True), strict=True
        )
        return [
            [self._level(k, x, y, respond=respond) for k, (x, y) in enumerate(zip(xs, ys, strict=True))]
            for xs, ys in levels
        ]

    def _levels_of_batch(self, img: Tensor, ref: Tensor, *, respond: bool) -> list[LevelCost]:
        """Return the cost of every level for all pairs at once; tensors have N before C."""
        check_pair(img, ref, self.backbone_spec.min_size)
        xs, ys = (self.feature_levels.of_batch(v) for v in (img, ref))
        return [self._level(k, x, y, respond=respond) for k, (x, y) in enumerate(zip(xs, ys, strict=True))]

    def explain(self, img: Image, ref: Image) -> CausalExplanation:
        """Return where the score of one pair comes from.

        Args:
            img: distorted image: a tensor ``(1, 3, H, W)``, RGB in [0, 1], a path or an array.
            ref: its reference.

        Raises:
            ValueError: more than one pair, or shapes that differ.
        """
        img, ref = (self.feature_levels.tensor(image) for image in (img, ref))
        if len(img) != 1:
            raise ValueError(f"explain: got a batch of {len(img)}, expected one image pair")
        with torch.no_grad():
            levels = self.levels(img, ref)[0]
            score = float(combine(levels, self.terms, self.channels))
            costs = [self._chosen(level) for level in levels]
            scale = len(levels) * score if score > 0 else 1.0
            side = self.feature_levels.small_size(img)
            cost_map = sum(
                _spread(cost.sum(dim=0).view(level.grid), side) for cost, level in zip(costs, levels, strict=True)
            )
        return CausalExplanation(
            score=score,
            strengths=tuple(level.strength for level in levels),
            shares=tuple(cost.sum(dim=1) / scale for cost in costs),
            cost_map=torch.as_tensor(cost_map) / len(levels),
            top=float(top_strength(torch.tensor(self.strengths))),
            img=img[0].detach(),
            ref=ref[0].detach(),
        )

    def __repr__(self) -> str:
        return (
            f"CausalMetric({self.backbone_spec.name}, terms={'+'.join(self.terms)}, channels={self.channels}, "
            f"window={self.window}, seed={self.seed})"
        )

    def _chosen(self, level: LevelCost) -> Tensor:
        """Cost ``(C, P)`` of the chosen terms in the chosen channels."""
        total = torch.stack([getattr(level, term) for term in self.terms]).sum(dim=0)
        return total * level.channels(self.channels)[:, None]

    def _level(self, k: int, x: Tensor, y: Tensor, *, respond: bool) -> LevelCost:
        size = x.shape[-2], x.shape[-1]
        if self.protocol == "reference":
            x, y = (pad_to_windows(v, self.window, self.protocol) for v in (x, y))
        rows, cols = (-(-side // self.window) for side in x.shape[-2:])
        options: dict[str, Any] = {
            "window": self.window,
            "mode": self.backbone_spec.mass,
            "noise": noise_on(x.device, self.seed, k, rows * cols, self.window**2),
            "strengths": self.strengths if respond else (),
            "threshold": self.threshold,
        }
        made = level_response(x, y, clamp=self.clamp, **options) if x.dim() == 3 else level_responses(x, y, **options)
        if len(made.shift):
            keep = keeps_channel(made.shift, made.tolerance, self.rule)
            strength = channel_strength(made.shift, made.tolerance, self.strengths)
        else:
            keep = torch.ones(x.shape[:-2], dtype=torch.bool, device=x.device)
            strength = top_strength(constants_on(x.device, self.strengths)).expand(x.shape[:-2])
        return LevelCost(ot=made.ot, md=made.md, l2=made.l2, keep=keep, strength=strength, grid=(rows, cols), size=size)


@functools.cache  # once in a process
def _warn_no_loss(backbone: str) -> None:
    _log.warning(
        "causal_%s is no loss: its masses are a softmax over windows, and minimising their cost destroys an image; "
        "train with calibrated_%s",
        backbone,
        backbone,
    )


def _spread(grid: Tensor, side: tuple[int, int]) -> Tensor:
    """Upsample the cost of windows ``(rows, cols)`` to pixels ``(H, W)``; the sum is kept."""
    fine = torch.nn.functional.interpolate(grid[None, None], size=side, mode="nearest")[0, 0]
    total = fine.sum()
    return fine * (grid.sum() / total) if float(total) > 0 else fine
