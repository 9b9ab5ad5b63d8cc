import numpy as np
import pytest
from PIL import Image

from causaliqa.api.data import ROI
from causaliqa.effects.effect_map import EffectMap
from causaliqa.effects.plot import colour_strength, draw_map, draw_pie


@pytest.fixture
def made():
    effect = np.zeros((8, 8))
    effect[2, 3] = np.nan
    effect[2, 4], effect[5, 1], effect[7, 7] = 1.0, -0.5, 0.004
    return EffectMap(
        effect=effect,
        count=np.ones((8, 8), int),
        sem=np.zeros((8, 8)),
        samples=effect[..., None],
        image=np.full((64, 64, 3), 128, np.uint8),
        base=25.0,
        roi=ROI(24, 16, 8, 8),
        patch_size=8,
    )


def pixel(figure, x, y):
    """Colour of a pixel of the map, as drawn."""
    figure.canvas.draw()
    axes = figure.axes[0]
    col, row = axes.transData.transform((x, y))
    drawn = np.asarray(figure.canvas.buffer_rgba())
    return drawn[drawn.shape[0] - 1 - int(row), int(col), :3].astype(int)


def test_red_helps_blue_misleads_green_is_the_region(made):
    figure = draw_map(made)
    red, blue, green, none = (pixel(figure, x, y) for x, y in ((36, 20), (12, 44), (28, 20), (60, 4)))
    assert red[0] > red[1] + 100 > red[1] and red[0] > red[2] + 100
    assert blue[2] > blue[0] + 50
    assert green[1] > green[0] + 50 and green[1] > green[2] + 20
    # No effect, and one below the tolerance, leave the gray input.
    assert np.ptp(none) == 0
    assert (pixel(figure, 60, 60) == none).all()


def test_stronger_effects_have_stronger_colours():
    strength = colour_strength(np.array([0.1, 0.5, 1.0, -1.0, 3.0]), bound=2.0)
    assert strength[2] == pytest.approx(0.5 ** (1 / 1.2))
    assert strength[2] == strength[3]
    assert strength[4] == 1
    assert (np.diff(strength[[0, 1, 2, 4]]) > 0).all()


def test_bound_sets_the_scale(made):
    weak, full = (pixel(draw_map(made, bound=b), 36, 20) for b in (10.0, 1.0))
    assert weak[1] > full[1] + 50


def test_shares_count_all_patches(made):
    figure = draw_pie(made)
    labels = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert labels == ["positive 1.6 %", "negative 1.6 %", "none 96.8 %"]


def test_a_map_without_effects_is_drawn(made, tmp_path):
    empty = EffectMap(**{**vars(made), "effect": np.where(np.isnan(made.effect), np.nan, 0.0)})
    empty.save(tmp_path)
    assert Image.open(tmp_path / "cem.png").size[0] > 300


def test_a_notebook_shows_a_figure_by_itself():
    from causaliqa.utils.figures import new_figure

    assert new_figure(2, 1)._repr_png_().startswith(b"\x89PNG")
