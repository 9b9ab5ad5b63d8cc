"""Figures for print: fonts, formats, colours and markers."""

import itertools
import re

import numpy as np
import pytest

from causaliqa.api.errors import InputError
from causaliqa.utils.figures import COLOURS, MARKERS, formats, new_figure, save

# Linear RGB of a deuteranope and a protanope: Viénot, Brettel and Mollon, Color Res. Appl. 24(4), 1999.
_BLIND = {
    "deuteranope": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    "protanope": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
}


def _drawn(path):
    figure = new_figure(2, 2)
    figure.subplots().set_title("effect on psnr (dB)")
    return save(figure, path).read_bytes()


def test_a_pdf_has_truetype_fonts_and_no_type_3(tmp_path):
    content = _drawn(tmp_path / "a.pdf")
    assert b"/FontFile2" in content
    assert b"/Type3" not in content


def test_an_svg_has_text_and_not_outlines(tmp_path):
    assert "effect on psnr (dB)" in _drawn(tmp_path / "a.svg").decode()


@pytest.mark.parametrize(
    ("text", "expected"), [("png", (".png",)), ("png,pdf", (".png", ".pdf")), ("SVG, svg", (".svg",))]
)
def test_formats_by_name(text, expected):
    assert formats(text) == expected


@pytest.mark.parametrize("text", ["", "jpg", "png,,", "png;pdf"])
def test_other_formats_are_refused(text):
    with pytest.raises(InputError, match="figures: got"):
        formats(text)


@pytest.mark.parametrize("kind", list(_BLIND))
def test_colour_blind_readers_tell_types_apart(kind):
    """Every two types differ in the marker, or in the colour that a colour-blind reader sees."""
    rgb = np.array([[int(c[k : k + 2], 16) / 255 for k in (1, 3, 5)] for c in COLOURS])
    seen = np.clip(rgb**2.2 @ np.array(_BLIND[kind]).T, 0, 1) ** (1 / 2.2)
    for a, b in itertools.combinations(range(10), 2):
        far = np.abs(seen[a % len(COLOURS)] - seen[b % len(COLOURS)]).max()
        assert MARKERS[a % len(MARKERS)] != MARKERS[b % len(MARKERS)] or far > 0.15, (a, b)
    pairs = {(a % len(COLOURS), a % len(MARKERS)) for a in range(len(COLOURS) * len(MARKERS))}
    assert len(pairs) == len(COLOURS) * len(MARKERS)


def test_the_page_has_the_colours_of_the_figures():
    from importlib.resources import files

    style = (files("causaliqa.report") / "assets" / "page.css").read_text("utf-8")
    found = re.findall(r"--c\d: (#[0-9a-f]{3,6});", style)[: len(COLOURS)]
    assert [c if len(c) == 7 else "#" + "".join(2 * x for x in c[1:]) for c in found] == list(COLOURS)
