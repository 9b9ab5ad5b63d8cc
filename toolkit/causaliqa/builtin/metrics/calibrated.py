"""The calibrated metric: what a distortion does to deep features, in units of changes that hardly show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from causaliqa.builtin.metrics._features import FeatureLevels
from causaliqa.builtin.metrics._options import check_choices, check_window_and_seed
from causaliqa.builtin.metrics.calibrated_explanation import CalibratedExplanation
from causaliqa.functional.calibration import (
    INTERVENTIONS,
    calibrated_ratio,
    intervene,
    local_moments,
    visibility,
    window_terms,
)
from causaliqa.functional.image import NORMALISATIONS, check_pair

if TYPE_CHECKING:
    from causaliqa.api.protocols import FeatureBackbone
    from causaliqa.api.specs import BackboneSpec
    from causaliqa.builtin.metrics._features import Image

__all__ = ["CalibratedMetric", "Reference"]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What the metric knows of one reference: features, and how they respond to small changes of it.

    Level 0 is the image in [0, 1], the others are the stages of the backbone.
    """

    levels: tuple[Tensor, ...]
    """Features ``(C_k, H_k, W_k)``."""
    moments: tuple[tuple[Tensor, Tensor], ...]
    """Their means and variances in windows."""
    floors: tuple[Tensor, ...]
    """Energy of a difference that does not show, per level: scalars."""
    responses: tuple[Tensor, ...]
    """Costs of every intervention, per level ``(K, T, C_k)``."""
    energy: Tensor
    """Mean squared change of every colour channel of the image over the interventions, ``(3,)``."""


class CalibratedMetric(nn.Module):
    """What a distortion does to deep features, in units of changes that hardly show; lower is better, 0 if equal.

    Every channel of the image and of every stage is compared in windows: local mean, contrast and structure. The same
    costs are measured between the reference and small changes of it: do(brightness), do(contrast), do(colour),
    do(noise) and do(shift). The score is the mean, over levels, channels and terms, of the cost in units of the mean
    response to these changes. So their own scores have mean 1, with every backbone and on every reference: 1 is a just
    noticeable change. A pair takes one pass of the backbone, a new reference one more and one for every intervention.

    Args:
        backbone: feature network, timm's ``features_only`` contract; it is kept in evaluation mode.
        backbone_spec: record of that network; gives window and normalisation where they are not given here.
        interventions: how the reference is changed, joined by ``+``.
        window: side of the windows in feature pixels.
        seed: seed of the intervention ``noise``.
        normalise: input normalisation, ``none``, ``imagenet`` or ``half``.
        resize: average-pool large images to about 256 pixels first.
        unit: map the score s to ``s / (1 + s)``, between 0 and 1.
        as_loss: return what :meth:`loss` returns.

    Raises:
        ValueError: an option is out of its range.

    Example:
        >>> from causaliqa.builtin.backbones._stages import StagedBackbone, freeze
        >>> from causaliqa.api.specs import BackboneSpec
        >>> stage = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        >>> net = freeze(StagedBackbone([stage], channels=[4], reduction=[1]))
        >>> spec = BackboneSpec(name="tiny", factory=lambda: net, summary="", licence="", window=8)
        >>> metric = CalibratedMetric(net, spec)
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
        interventions: str = "+".join(INTERVENTIONS),
        window: int | None = None,
        seed: int = 0,
        normalise: str | None = None,
        resize: bool = True,
        unit: bool = False,
        as_loss: bool = False,
    ) -> None:
        super().__init__()
        self.backbone_spec = backbone_spec
        self.interventions = tuple(part.strip() for part in interventions.split("+"))
        self.window = backbone_spec.window if window is None else window
        self.seed = seed
        self.unit = unit
        self.as_loss = as_loss
        normalisation = backbone_spec.normalise if normalise is None else normalise
        self.feature_levels = FeatureLevels(backbone, normalisation, resize=resize)
        self._check_options()

    def _check_options(self) -> None:
        check_choices("interventions", self.interventions, INTERVENTIONS)
        check_choices("normalise", (self.feature_levels.normalisation,), tuple(NORMALISATIONS))
        check_window_and_seed(self.window, self.seed)

    def forward(self, img: Tensor, ref: Tensor) -> Tensor:
        """Score a batch.

        Args:
            img: distorted images ``(N, 3, H, W)``, RGB in [0, 1], at least 32 x 32.
            ref: references of the same shape.

        Returns:
            Scores ``(N,)``; lower is better, 0 for equal images, 1 for about a just noticeable change. Differentiable.

        Raises:
            ValueError: shapes differ or are too small.
        """
        if self.as_loss:
            return self.loss(img, ref)
        scores = torch.stack([_score(ratios) for ratios in self.ratios(img, ref)])
        return scores / (1 + scores) if self.unit else scores

    def ratios(self, img: Tensor, ref: Tensor) -> list[tuple[Tensor, ...]]:
        """Return the calibrated costs ``(T, C_k)`` of every level (the image itself first), for every pair.

        The score is the mean over levels of their means.
        """
        return [self._ratios(levels, known) for levels, known in self._pairs(img, ref)]

    def loss(self, img: Tensor, ref: Tensor) -> Tensor:
        """Return a loss for training, ``(N,)``: smooth, 0 for equal images, lower is better.

        It is the logarithm of one plus the score, plus the mean squared error in units of the mean squared change by
        the interventions. Features alone are no loss: images that look bad can have nearly the features of the
        reference, and far from it the window terms saturate, so a squared error has to lead the way. The logarithm
        keeps the features, which start many units away, from outweighing it.

        Args:
            img: images ``(N, 3, H, W)``, RGB about [0, 1].
            ref: references of the same shape.

        Raises:
            ValueError: shapes differ or are too small.
        """
        return torch.stack(
            [
                _score(self._ratios(levels, known)).log1p()
                + ((levels[0] - known.levels[0]).square().mean(dim=(1, 2)) / known.energy).mean()
                for levels, known in self._pairs(img, ref)
            ]
        )

    def explain(self, img: Image, ref: Image) -> CalibratedExplanation:
        """Say where the score of one pair comes from: which channels, where, against which interventions.

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
            levels, known = next(self._pairs(img, ref))
            ratios = self._ratios(levels, known)
            score = float(_score(ratios))
            whole = len(ratios) * score if score > 0 else 1.0
            maps = [self._map(k, levels, known) for k in range(len(levels))]
        return CalibratedExplanation(
            score=score,
            ratios=ratios,
            responses=known.responses,
            shares=tuple(r.mean(dim=0) / (r.shape[1] * whole) for r in ratios),
            cost_map=torch.stack(maps).mean(dim=0),
            interventions=self.interventions,
            img=img[0].detach(),
            ref=ref[0].detach(),
        )

    def _map(self, k: int, levels: tuple[Tensor, ...], known: Reference) -> Tensor:
        """Calibrated cost of the windows of level ``k``, over the pixels below them."""
        costs = self._costs(levels[k], known.levels[k], known.floors[k], known.moments[k])
        shape = costs.shape[2:]
        ratios = calibrated_ratio(costs.flatten(2).movedim(2, 0), known.responses[k]).mean(dim=(1, 2))
        side = levels[0].shape[-2:]
        return F.interpolate(ratios.view(1, 1, *shape), size=side, mode="bilinear", align_corners=False)[0, 0]

    def _pairs(self, img: Tensor, ref: Tensor) -> Iterator[tuple[tuple[Tensor, ...], Reference]]:
        """Levels of every image, and what is known of its reference."""
        check_pair(img, ref, self.backbone_spec.min_size)
        # Half precision is too coarse for differences of features.
        with torch.autocast(img.device.type, enabled=False):
            for x, y in zip(self._small(img), self._small(ref), strict=True):
                yield self._levels(x), self._reference(y)

    def _small(self, img: Tensor) -> tuple[Tensor, ...]:
        """Images one by one, after the size protocol."""
        return torch.split(self.feature_levels.small(img if img.dtype == torch.float64 else img.float()), 1)

    def _levels(self, small: Tensor, **options: bool) -> tuple[Tensor, ...]:
        return tuple(self.feature_levels.of_small(small, **options)[0])

    def _reference(self, ref: Tensor) -> Reference:
        """Return what is known of a reference ``(1, 3, h, w)``; kept by its values, not by the tensor's identity."""
        if ref.requires_grad:
            return self._measure(ref)
        what = (type(self), self.feature_levels.normalisation, self.interventions, self.window, self.seed)
        with torch.inference_mode(False), torch.no_grad():
            return self.feature_levels.recall(what, (ref,), self._measure, reference=True)

    def _measure(self, ref: Tensor) -> Reference:
        levels = self._levels(ref, reference=True)
        noisy = self._levels(intervene(ref, "noise", seed=self.seed), remember=False)
        floors = tuple(visibility(a, b) for a, b in zip(noisy, levels, strict=True))
        moments = tuple(local_moments(level, self.window) for level in levels)
        costs, energy = [], []
        for name in self.interventions:
            changed = noisy if name == "noise" else self._levels(intervene(ref, name), remember=False)
            costs.append([self._mean_costs(*level) for level in zip(changed, levels, floors, moments, strict=True)])
            energy.append((changed[0] - levels[0]).square().mean(dim=(1, 2)))
        responses = tuple(torch.stack(level) for level in zip(*costs, strict=True))
        return Reference(
            levels=levels,
            moments=moments,
            floors=floors,
            responses=responses,
            energy=torch.stack(energy).mean(dim=0),
        )

    def _costs(self, x: Tensor, y: Tensor, floor: Tensor, moments: tuple[Tensor, Tensor]) -> Tensor:
        """Costs of every term, channel and window of one level."""
        return window_terms(x, y, window=self.window, floor=floor, moments=moments)

    def _mean_costs(self, x: Tensor, y: Tensor, floor: Tensor, moments: tuple[Tensor, Tensor]) -> Tensor:
        """Costs ``(T, C)`` of one level."""
        return self._costs(x, y, floor, moments).flatten(2).mean(2)

    def _ratios(self, levels: tuple[Tensor, ...], known: Reference) -> tuple[Tensor, ...]:
        """Calibrated costs ``(T, C_k)`` of every level."""
        facts = zip(levels, known.levels, known.floors, known.moments, strict=True)
        return tuple(
            calibrated_ratio(self._mean_costs(*level), responses)
            for level, responses in zip(facts, known.responses, strict=True)
        )


def _score(ratios: tuple[Tensor, ...]) -> Tensor:
    """Mean over levels of the mean over terms and channels, a scalar."""
    return torch.stack([r.mean() for r in ratios]).mean()
