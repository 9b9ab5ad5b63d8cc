"""Measures with and without a unit: texts, tolerance, pictures, files."""

import json
import re

import numpy as np
import pytest
import torch

from causaliqa.api.errors import InputError
from causaliqa.effects.causal_effect_map import CausalEffectMap
from causaliqa.effects.effect_map import EffectMap
from causaliqa.effects.plot import draw_map, draw_pie
from causaliqa.effects.settings import CemSettings
from causaliqa.utils.measures import measure_name, unit_of
from conftest import photo

QUICK = {"degradation": "denoise", "sampler": "zero", "coarse": 1, "fine": 1, "progress": False}


def closeness(img, ref):
    """A measure without unit, higher is better."""
    return 1 - (img - ref).abs().flatten(1).mean(1)


def texts(path):
    """Return what an SVG says; the data of its pictures may hold any letters."""
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text()))


def map_of(measure, **more):
    image = torch.from_numpy(photo(32).copy()).permute(2, 0, 1) / 255
    return CausalEffectMap(torch.nn.AvgPool2d(3, 1, 1), measure=measure).attribute(image, (8, 8, 8, 8), **QUICK, **more)


@pytest.mark.parametrize(
    ("measure", "unit"),
    [("psnr", "dB"), ("pyiqa:psnr", "dB"), ("psnr:test_y_channel=true", "dB"), ("psnry", "dB"), ("ssim", ""),
     ("lpips", ""), ("pyiqa:ssim", ""), ("causal_vgg:terms=md", ""), ("psnr_hvs", ""), ("closeness", "")],
)  # fmt: skip
def test_only_psnr_has_a_unit(measure, unit):
    assert unit_of(measure) == unit


def test_measures_of_every_kind_have_a_name():
    assert measure_name(closeness) == "closeness"
    assert measure_name(torch.nn.L1Loss()) == "L1Loss"


@pytest.mark.parametrize(
    ("given", "unit", "base", "expected"),
    [(None, "dB", 28.0, 0.01), (None, "", 0.8, 0.0008), (None, "", -4.0, 0.004), (None, "", 0.0, 1e-6),
     (0.3, "", 0.8, 0.3), (0.3, "dB", 28.0, 0.3), (0.0, "", 0.8, 0.0)],
)  # fmt: skip
def test_the_tolerance_is_that_of_the_measure(given, unit, base, expected):
    assert CemSettings(tolerance=given).tolerance_for(unit, base) == pytest.approx(expected)


def test_a_measure_without_unit_says_no_decibels_anywhere(tmp_path):
    made = map_of(closeness)
    assert made.tolerance == pytest.approx(1e-3 * made.base, rel=0.01)
    assert "dB" not in repr(made)
    assert "closeness" in repr(made)
    summary = json.loads((made.save(tmp_path, figures="svg") / "summary.json").read_text())
    assert (summary["measure"], summary["unit"]) == ("closeness", "")
    assert summary["tolerance"] == made.tolerance
    drawn = texts(tmp_path / "cem.svg")
    assert "dB" not in drawn
    assert "effect on closeness" in drawn
    assert f"below the tolerance, {made.tolerance:.4g}" in drawn


@pytest.mark.parametrize("count", [[], None, "12", True, -1])
def test_a_summary_without_a_number_of_inferences_is_refused(tmp_path, count):
    path = map_of("psnr").save(tmp_path) / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "inferences": count}))
    with pytest.raises(InputError, match=r"inferences of .* expected a whole number"):
        EffectMap.load(tmp_path)


def test_psnr_says_decibels(tmp_path):
    made = map_of("psnr")
    assert (made.tolerance, made.unit, made.summary()["unit"]) == (0.01, "dB", "dB")
    made.save(tmp_path, figures="svg")
    drawn = texts(tmp_path / "cem.svg")
    for words in (
        "effect on psnr (dB)",
        "region of interest",
        "below the tolerance, 0.01 dB",
        "ground truth",
        "output",
    ):
        assert words in drawn


def test_crops_are_those_of_the_region_and_older_maps_are_read(tmp_path):
    made = map_of("psnr")
    np.testing.assert_array_equal(made.truth, photo(32)[8:16, 8:16])
    assert made.output.shape == (8, 8, 3)
    made.save(tmp_path / "new", pictures=False)
    back = EffectMap.load(tmp_path / "new")
    np.testing.assert_array_equal(back.output, made.output)
    assert back.facts == {**made.facts}
    with np.load(tmp_path / "new" / "cem.npz") as archive:
        older = {name: archive[name] for name in archive.files if name not in ("truth", "output")}
    np.savez(tmp_path / "new" / "cem.npz", **older)
    back = EffectMap.load(tmp_path / "new")
    assert back.truth is None
    assert len(draw_map(back).axes) == 3
    np.savez(tmp_path / "new" / "cem.npz", **older, truth=np.zeros((3, 3, 3), np.uint8))
    with pytest.raises(InputError, match="truth of shape"):
        EffectMap.load(tmp_path / "new")


@pytest.mark.parametrize("figures", ["png", "pdf", "svg", "png,pdf"])
def test_pictures_in_the_format_that_is_asked_for(tmp_path, figures):
    map_of("psnr").save(tmp_path, figures=figures)
    found = {path.name for path in tmp_path.iterdir() if path.suffix not in (".npz", ".json")}
    assert found == {f"{name}.{suffix}" for name in ("cem", "pie") for suffix in figures.split(",")}


@pytest.mark.parametrize(
    ("positive", "negative", "bars"), [(30, 30, False), (30, 0, False), (2, 2, True), (60, 1, True)]
)
def test_thin_slices_become_bars(positive, negative, bars):
    effect = np.zeros(100)
    effect[:positive], effect[positive : positive + negative] = 1, -1
    effect = effect.reshape(10, 10)
    made = EffectMap(
        effect=effect, count=np.ones((10, 10), int), sem=effect, samples=effect[..., None],
        image=np.zeros((80, 80, 3), np.uint8), base=30.0, roi=map_of("psnr").roi, patch_size=8,
    )  # fmt: skip
    assert (len(draw_pie(made).axes) == 2) is bars


def test_an_attribution_has_a_colour_bar(tmp_path):
    from causaliqa.effects.lam import integrated_gradients

    made = integrated_gradients(torch.nn.Identity(), torch.rand(3, 16, 16), (4, 4, 8, 8), steps=2)
    figure = made.plot()
    assert figure.axes[1].child_axes[0].get_ylabel() == "absolute attribution of the edges in the region"
