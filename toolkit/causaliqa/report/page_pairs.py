"""Images where metrics disagree, as plain data for the template: grouped by reference, with every metric's rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from causaliqa.report.image_scores import ImageScores, shown_name
from causaliqa.report.thumbnails import Thumbnail

__all__ = ["pair_groups"]


def pair_groups(shown: Mapping[str, tuple[ImageScores, Sequence[Thumbnail]]]) -> list[dict[str, Any]]:
    """Return the images of every data set beside their reference, and a table of their ranks.

    Images are grouped by reference, so that a page holds every picture once.
    """
    return [_one_set(name, made, list(found)) for name, (made, found) in shown.items()]


def _one_set(name: str, made: ImageScores, found: list[Thumbnail]) -> dict[str, Any]:
    ranks, places = made.ranks, made.label_ranks
    scored = np.isfinite(ranks).sum(axis=1)
    groups: dict[str, dict[str, Any]] = {}
    for thumbnail in found:
        facts = made.images.iloc[thumbnail.image]
        group = groups.setdefault(
            facts["ref"], {"name": shown_name(facts["ref"]), "picture": thumbnail.reference, "images": []}
        )
        group["images"].append(
            {
                "name": shown_name(facts["dist"]) or f"image {thumbnail.image + 1}",
                "type": facts["type"],
                "label": f"{facts['label']:.4g}",
                "sort": repr(float(facts["label"])),
                "picture": thumbnail.picture,
                "cost_map": thumbnail.cost_map,
                "reasons": thumbnail.reasons,
                "place": int(places[thumbnail.image]),
                "ranks": [_rank(row[thumbnail.image]) for row in ranks],
            }
        )
    missing = sum(not thumbnail.picture for thumbnail in found)
    return {
        "dataset": name,
        "metrics": list(made.lower_better),
        "n": int(scored.max(initial=0)),
        "groups": list(groups.values()),
        "count": len(found),
        "missing": missing,
        "wide": len(made.lower_better) > 8,
    }


def _rank(place: float) -> int | None:
    return int(place) if np.isfinite(place) else None
