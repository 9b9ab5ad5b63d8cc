"""Explanations of scores of deep features: where a score comes from, as numbers, figures and in notebooks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from typing_extensions import Self

__all__ = ["CausalExplanation", "LevelExplanation", "level_name"]


def level_name(level: int) -> str:
    """Return what a level is called.

    Example:
        >>> [level_name(k) for k in range(3)]
        ['image', 'stage 1', 'stage 2']
    """
    return "image" if level == 0 else f"stage {level}"


@dataclass(frozen=True, kw_only=True, repr=False)
class LevelExplanation:
    """Where the score of one image pair comes from: levels, channels and places.

    Level 0 is the image, the others are the stages of the backbone.
    """

    cost_title: ClassVar[str]
    """What the map of the cost shows."""
    cost_label: ClassVar[str]
    """Unit of that map."""
    channels_stem: ClassVar[str]
    """Stem of the file of the figure of channels."""
    level_heading: ClassVar[str]
    """Heading of what :meth:`level_fact` says."""

    score: float
    """The score itself; lower is better."""
    shares: tuple[Tensor, ...]
    """Each channel's share of the score, per level, ``(C_k,)``; all shares sum to 1 (to 0 if the score is 0)."""
    cost_map: Tensor
    """Map of the cost, ``(H, W)`` of the downsampled image."""
    img: Tensor
    """Distorted image ``(3, H, W)``."""
    ref: Tensor
    """Its reference ``(3, H, W)``."""

    @abstractmethod
    def columns(self) -> dict[str, tuple[Tensor, ...]]:
        """Return what is known of every channel, by the name of a column, per level ``(C_k,)``."""

    @abstractmethod
    def channel_figure(self, others: Sequence[Self] = (), *, names: Sequence[str] = (), title: str = "") -> Figure:
        """Return the figure of channels; see :meth:`figures`."""

    @abstractmethod
    def level_fact(self, level: int) -> str:
        """Return one fact of a level, for the table in notebooks."""

    def figures(self, others: Sequence[Self] = (), *, names: Sequence[str] = (), title: str = "") -> dict[str, Figure]:
        """Return the figures by the stem of their files.

        Args:
            others: explanations of other distorted images of the same reference, to be drawn beside this one.
            names: of the distorted images.
            title: heading.
        """
        from causaliqa.builtin.metrics.explanation_plot import cost_figure

        return {
            self.channels_stem: self.channel_figure(others, names=names, title=title),
            "cost_map": cost_figure([self, *others], names=names, title=title),
        }

    def plot(self, what: str = "cost", *, title: str = "") -> Figure:
        """Return a figure, which notebooks show by themselves; ``savefig(path)`` writes it.

        Args:
            what: ``"cost"`` for the map of the cost beside both images, ``"channels"`` for the channels.
            title: heading.

        Raises:
            ValueError: ``what`` is neither.
        """
        from causaliqa.builtin.metrics.explanation_plot import cost_figure

        if what not in ("cost", "channels"):
            raise ValueError(f"plot: got {what!r}, expected 'cost' or 'channels'")
        return cost_figure([self], title=title) if what == "cost" else self.channel_figure(title=title)

    def _repr_html_(self) -> str:
        """Return the cost map and a table of the levels, for notebooks."""
        from causaliqa.utils.figures import data_url

        image = f'<img alt="cost map" src="{data_url(self.plot(), dpi=80)}">'
        lines = "".join(
            f"<tr><td>{level_name(k)}</td><td>{self.level_fact(k)}</td><td>{float(share.sum()):.1%}</td></tr>"
            for k, share in enumerate(self.shares)
        )
        head = f"<tr><th>level</th><th>{self.level_heading}</th><th>share of the score</th></tr>"
        return f"<p>score {self.score:.6g}, lower is better</p>{image}<table>{head}{lines}</table>"


@dataclass(frozen=True, kw_only=True, repr=False)
class CausalExplanation(LevelExplanation):
    """Where the score of the causal metric comes from; its map of the cost sums to the score."""

    cost_title = "cost of the kept channels"
    cost_label = "cost per pixel; the sum is the score"
    channels_stem = "strips"
    level_heading = "channels that respond at every strength"

    strengths: tuple[Tensor, ...]
    """Causal strength of every channel, per level, ``(C_k,)``; higher is more causal."""
    top: float
    """Strength of a channel that responds at every strength of the intervention."""

    def full_strength(self, level: int) -> int:
        """Return the number of channels of a level that respond at every strength of the intervention."""
        return int((self.strengths[level] >= self.top - 1e-6).sum())

    def columns(self) -> dict[str, tuple[Tensor, ...]]:
        """Return causal strength and share of every channel."""
        return {"strength": self.strengths, "share": self.shares}

    def channel_figure(self, others: Sequence[Self] = (), *, names: Sequence[str] = (), title: str = "") -> Figure:
        """Return the causal strength of every channel as strips, as in Figure 3 of the paper."""
        from causaliqa.builtin.metrics.explanation_plot import strip_figure

        return strip_figure([self, *others], names=names, title=title)

    def level_fact(self, level: int) -> str:
        """Return how many channels respond at every strength."""
        return f"{self.full_strength(level)} of {len(self.shares[level])}"

    def __repr__(self) -> str:
        channels = sum(map(len, self.strengths))
        full = sum(map(self.full_strength, range(len(self.strengths))))
        return (
            f"CausalExplanation(score={self.score:.6g}, {len(self.strengths)} levels, {full} of {channels} channels "
            "respond at every strength)"
        )
