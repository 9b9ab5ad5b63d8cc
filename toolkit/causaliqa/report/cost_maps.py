"""Cost maps of the images that a page shows, by the best metric that explains itself."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from causaliqa.api.errors import CausaliqaError
from causaliqa.utils.text import brief

__all__ = ["Explainer", "explainer_of"]

_LOG = logging.getLogger(__name__)
_QUALITY = 60
"""Of WebP: a map has no detail that this loses."""


@dataclass(frozen=True, kw_only=True)
class Explainer:
    """A metric that says where its score comes from."""

    name: str
    """Metric, as tables call it."""
    explain: Callable[[Path, Path], Any]
    """Returns an explanation of an image and its reference, whose figures hold a ``cost_map``."""

    def picture(self, img: Path, ref: Path) -> str:
        """Return the cost map of an image pair as a ``data:`` address; empty where there is none."""
        from PIL import Image

        try:
            figure = self.explain(img, ref).figures().get("cost_map")
        except CausaliqaError as error:
            _LOG.warning("no cost map of %s: %s", img.name, error)
            return ""
        except Exception as error:  # explanations of plugins fail in their own ways
            _LOG.warning("no cost map of %s: %s", img.name, brief(error))
            return ""
        if figure is None:
            return ""
        drawn, packed = BytesIO(), BytesIO()
        figure.savefig(drawn, format="png", dpi=70)
        Image.open(drawn).convert("RGB").save(packed, "WEBP", quality=_QUALITY)
        return f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode()}"


def explainer_of(metrics: Mapping[str, Any], order: Iterable[str]) -> Explainer | None:
    """Return the first metric that explains itself.

    Args:
        metrics: metrics that were built, by name; errors of others among them.
        order: names, the best first.
    """
    for name in order:
        if callable(explain := getattr(metrics.get(name), "explain", None)):
            return Explainer(name=name, explain=explain)
    return None
