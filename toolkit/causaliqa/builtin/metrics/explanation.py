"""Explanation of a causal score: where it comes from, as numbers, figures and in notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Explanation"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Explanation:
    """Where the score of one image pair comes from: levels, channels and places."""

    score: float
    """The score itself; lower is better."""
    strengths: tuple[Tensor, ...]
    """Causal strength of every channel, per level, ``(C_k,)``; level 0 is the image. Higher is more causal."""
    shares: tuple[Tensor, ...]
    """Each channel's share of the score, per level, ``(C_k,)``; all shares sum to 1 (to 0 if the score is 0)."""
    cost_map: Tensor
    """Map of the cost, ``(H, W)`` of the downsampled image; sums to the score."""
    top: float
    """Strength of a channel that responds at every strength of the intervention."""
    img: Tensor
    """Distorted image ``(3, H, W)``."""
    ref: Tensor
    """Its reference ``(3, H, W)``."""

    def full_strength(self, level: int) -> int:
        """Return the number of channels of a level that respond at every strength of the intervention."""
        return int((self.strengths[level] >= self.top - 1e-6).sum())

    def plot(self, what: str = "cost", *, title: str = "") -> Figure:
        """Return a figure, which notebooks show by themselves; ``savefig(path)`` writes it.

        Args:
            what: ``"cost"`` for the map of the cost beside both images, ``"channels"`` for the strength of every
                channel (Figure 3 of the paper).
            title: heading.

        Raises:
            ValueError: ``what`` is neither.
        """
        from causaliqa.builtin.metrics import explanation_plot

        if what not in ("cost", "channels"):
            raise ValueError(f"plot: got {what!r}, expected 'cost' or 'channels'")
        draw = explanation_plot.cost_figure if what == "cost" else explanation_plot.channel_figure
        return draw(self, title=title)

    def __repr__(self) -> str:
        channels = sum(map(len, self.strengths))
        full = sum(map(self.full_strength, range(len(self.strengths))))
        return (
            f"Explanation(score={self.score:.6g}, {len(self.strengths)} levels, {full} of {channels} channels respond "
            "at every strength)"
        )

    def _repr_html_(self) -> str:
        """Return the cost map and a table of the levels, for notebooks."""
        from base64 import b64encode
        from io import BytesIO

        picture = BytesIO()
        self.plot().savefig(picture, format="png", dpi=80)
        image = f'<img alt="cost map" src="data:image/png;base64,{b64encode(picture.getvalue()).decode()}">'
        lines = "".join(
            f"<tr><td>{'image' if k == 0 else f'stage {k}'}</td><td>{self.full_strength(k)} of {len(share)}</td>"
            f"<td>{float(share.sum()):.1%}</td></tr>"
            for k, share in enumerate(self.shares)
        )
        head = "<tr><th>level</th><th>channels that respond at every strength</th><th>share of the score</th></tr>"
        return f"<p>score {self.score:.6g}, lower is better</p>{image}<table>{head}{lines}</table>"
