"""Is a metric a sound function? Identity, symmetry, repeatability, rounding over sizes, threads and types, and cost."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from causaliqa.evaluation.card_facts import Check, Cost, Floor
from causaliqa.evaluation.card_scorer import Scorer
from causaliqa.evaluation.pair_score import score_pair
from causaliqa.functional.doses import DISTORTIONS, MODERATE, distort
from causaliqa.utils.memory import PeakMemory
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_properties", "measure_cost", "measure_floors", "moderate"]

_ROUNDING = 1e-3
"""Largest share of the worsening by moderate noise that passes for rounding."""

_LAST_BITS = 1e-5
"""The same where even the order of the sums is the same; addresses of tensors still decide how sums are vectorised."""

_SYMMETRIC = 0.01
"""Largest share by which a symmetric score moves if image and reference change places."""


def moderate(ref: Tensor, name: str = "noise", *, seed: int = 0) -> Tensor:
    """Return an image after the fifth of eight doses of a distortion."""
    return distort(ref, name, DISTORTIONS[name].doses[MODERATE - 1], seed=seed)


def check_properties(scorer: Scorer, refs: Sequence[Tensor], other: Tensor, *, seed: int) -> Iterator[Check]:
    """Yield what a sound score does: identity, symmetry, repeatability, independence of the batch."""
    ref = refs[0]
    img = moderate(ref, seed=seed)
    itself, noisy = scorer(ref, ref, "a photograph itself"), scorer(img, ref, "moderate noise")
    unit = scorer.worsening(noisy, itself)
    unit = abs(unit) if unit else None
    if scorer.full_reference:
        yield _identity(scorer, refs, unit)
        yield _symmetry(scorer, ref, seed)
    else:
        yield _mirror(scorer, ref, itself, unit)
    if noisy is not None:
        yield _repeatable(scorer, img, ref, other, noisy, unit)
        yield _batch(scorer, img, ref, unit)


def _identity(scorer: Scorer, refs: Sequence[Tensor], unit: float | None) -> Check:
    scores = [score for ref in refs if (score := scorer(ref, ref, "a photograph itself")) is not None]
    name = "identity"
    if not scores:
        return Check(name=name, ok=None, value=None, text="a photograph against itself has no finite score")
    declared = getattr(getattr(scorer.metric, "spec", None), "identity", None)
    low, high = min(scores), max(scores)
    found = f"a photograph against itself scores {low:.6g}" + (f" to {high:.6g}" if high > low else "")
    if declared is None:
        return Check(name=name, ok=None, value=scores[0], text=f"{found}; none is declared")
    gap = max(abs(score - declared) for score in scores)
    text = f"{found}, declared {declared:g}"
    return Check(name=name, ok=gap <= _ROUNDING * (unit or abs(declared) or 1.0), value=scores[0], text=text)


def _symmetry(scorer: Scorer, ref: Tensor, seed: int) -> Check:
    """Swap image and reference."""
    moves = []
    itself = scorer(ref, ref, "a photograph itself")
    for name in DISTORTIONS:
        img = moderate(ref, name, seed=seed)
        score, swapped = scorer(img, ref, name), scorer(ref, img, f"{name} as the reference")
        unit, move = scorer.worsening(score, itself), scorer.worsening(swapped, score)
        if unit and move is not None:
            moves.append((abs(move / unit), name))
    if not moves:
        return Check(name="symmetry", ok=None, value=None, text="no pair could be scored both ways")
    share, name = max(moves)
    text = "image and reference can change places"
    if share > _SYMMETRIC:
        text = f"image and reference cannot change places: {name} then moves by {100 * share:.0f} % of its effect"
    return Check(name="symmetry", ok=share <= _SYMMETRIC, value=share, text=text)


def _mirror(scorer: Scorer, ref: Tensor, itself: float | None, unit: float | None) -> Check:
    """Without a reference, a mirrored photograph is as good as the photograph."""
    move = scorer.worsening(scorer(ref.flip(-1), ref, "a mirrored photograph"), itself)
    if move is None or unit is None:
        return Check(name="symmetry", ok=None, value=None, text="no mirrored photograph could be scored")
    share = abs(move) / unit
    text = f"a mirrored photograph differs by {100 * share:.1f} % of the effect of moderate noise"
    return Check(name="symmetry", ok=share <= 0.1, value=share, text=text)


def _repeatable(scorer: Scorer, img: Tensor, ref: Tensor, other: Tensor, first: float, unit: float | None) -> Check:
    """Score a pair again, after another one."""
    scorer(img, other, "moderate noise on another photograph")
    again = [value for _ in range(2) if (value := scorer(img, ref, "moderate noise")) is not None]
    gap = max((abs(value - first) for value in again), default=0.0)
    text = "the same pair has the same score, bit by bit"
    if gap:
        text = f"the same pair has another score the next time, by {gap:.3g}{_share(gap, unit)}"
    return Check(name="repeatability", ok=gap <= _LAST_BITS * (unit or abs(first)), value=gap, text=text)


def _batch(scorer: Scorer, img: Tensor, ref: Tensor, unit: float | None) -> Check:
    def in_batch() -> list[float]:
        both = scorer.metric(torch.cat([img, ref]).to(scorer.device), torch.cat([ref, ref]).to(scorer.device))
        scores = [float(value) for value in both.reshape(-1)]
        if len(scores) != 2:
            raise ValueError(f"a batch of two images has {len(scores)} scores")
        return scores

    alone = [scorer(img, ref, "moderate noise"), scorer(ref, ref, "a photograph itself")]
    with _threads(1), torch.no_grad():
        scores = scorer.attempt("a batch of two", in_batch)
    gaps = [abs(a - b) for a, b in zip(alone, scores or [], strict=False) if a is not None]
    if not gaps:
        return Check(name="batch", ok=None, value=None, text="does not take batches")
    gap = max(gaps)
    text = (
        f"a score in a batch of two differs by {gap:.3g}{_share(gap, unit)}"
        if gap
        else "a score is the same in a batch"
    )
    return Check(name="batch", ok=gap <= _ROUNDING * (unit or 1.0), value=gap, text=text)


def _share(gap: float, unit: float | None) -> str:
    return f", {100 * gap / unit:.2g} % of the effect of moderate noise" if unit else ""


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure_floors(scorer: Scorer, ref: Tensor, sides: Sequence[int], *, seed: int) -> Iterator[Floor]:
    """Yield how far the score moves with threads and types, at several sizes."""
    double = _double(scorer)
    for side in (side for side in sides if side <= min(ref.shape[-2:])):
        small = ref[..., :side, :side].contiguous()
        img = moderate(small, seed=seed)
        try:
            score = score_pair(scorer.metric, img.to(scorer.device), small.to(scorer.device))
            itself = score_pair(scorer.metric, small.to(scorer.device), small.to(scorer.device))
        except Exception as error:  # metrics of others fail in their own ways
            yield Floor(
                side=side, threads=None, float64=None, text=f"does not take {side} x {side}: {brief(error, 160)}"
            )
            continue
        found, missing = {}, []
        for name, score_again in (("threads", _with_threads), ("float64", double)):
            again = score_again(scorer, img, small)
            if isinstance(again, str):
                missing.append(again)
            elif (unit := abs(score - itself)) > 0:
                found[name] = abs(again - score) / unit
        yield Floor(
            side=side, threads=found.get("threads"), float64=found.get("float64"), text="; ".join(filter(None, missing))
        )


def _with_threads(scorer: Scorer, img: Tensor, ref: Tensor) -> float | str:
    if not scorer.device.startswith("cpu"):
        return ""
    with _threads(4), torch.no_grad():
        try:
            return float(scorer.metric(img, ref).reshape(-1)[0])
        except Exception as error:  # metrics of others fail in their own ways
            return f"does not take four threads: {brief(error, 160)}"


def _double(scorer: Scorer) -> Callable[[Scorer, Tensor, Tensor], float | str]:
    """Return what scores in double precision; the metric itself stays as it is."""

    def refuse(error: Exception) -> str:
        return f"does not take float64: {brief(error, 160)}"

    try:
        metric: Any = copy.deepcopy(scorer.metric)
        metric = metric.double() if isinstance(metric, torch.nn.Module) else metric
    except Exception as error:  # networks of others need not be copied
        said = refuse(error)
        return lambda *_: said

    def score(_: Scorer, img: Tensor, ref: Tensor) -> float | str:
        try:
            with _threads(1), torch.no_grad():
                return float(metric(img.double().to(scorer.device), ref.double().to(scorer.device)).reshape(-1)[0])
        except Exception as error:  # metrics of others fail in their own ways
            return refuse(error)

    return score


def measure_cost(scorer: Scorer, ref: Tensor, sides: Sequence[int], *, seed: int) -> Iterator[Cost]:
    """Yield time and memory at several sizes; the photograph is repeated where it is too small."""
    for side in sides:
        times = [-(-side // length) for length in ref.shape[-2:]]
        big = ref.repeat(1, 1, *times)[..., :side, :side].contiguous()
        imgs = [moderate(big, seed=seed + k).to(scorer.device) for k in range(4)]
        yield _cost(scorer, imgs, big.to(scorer.device))


def _cost(scorer: Scorer, imgs: list[Tensor], ref: Tensor) -> Cost:
    side = int(ref.shape[-1])
    try:
        score_pair(scorer.metric, imgs[0], ref)  # later pairs find the reference known
        seconds = []
        # Other processes slow a CPU down, but do not add to the time of this one.
        clock = time.process_time if scorer.device.startswith("cpu") else time.perf_counter
        for img in imgs[1:]:
            start = clock()
            score_pair(scorer.metric, img, ref)  # reads the score, so waits for a device
            seconds.append(clock() - start)
        with PeakMemory(scorer.device) as peak:
            score_pair(scorer.metric, imgs[1], ref)
    except Exception as error:  # metrics of others fail in their own ways
        text = f"{side} x {side}: {brief(error, 160)}"
        return Cost(side=side, seconds=None, nanoseconds_per_pixel=None, bytes_per_pixel=None, text=text)
    return Cost(
        side=side,
        seconds=min(seconds),
        nanoseconds_per_pixel=min(seconds) * 1e9 / side**2,
        bytes_per_pixel=None if peak.growth is None else peak.growth / side**2,
    )
