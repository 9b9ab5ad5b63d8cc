"""A grid of networks and images: the maps of ``causaliqa cem``, in folders of their own."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from torch import nn

import causaliqa
from causaliqa import CausaliqaError, CemSettings, EffectMap, InputError
from causaliqa.api.data import ROI
from causaliqa.effects.bench import BenchRun, CellResult, make_bench
from causaliqa.effects.bench_file import BenchNetwork, bench_networks, read_networks
from causaliqa.effects.bench_forecast import check_limit, forecast_bench
from causaliqa.effects.map_units import map_units, one_region, regions_of
from causaliqa.effects.rival_maps import shape_agreement
from conftest import photo

SETTINGS = CemSettings(coarse=1, fine=2, sampler="noise")
MEAN, WIDE = nn.AvgPool2d(3, 1, 1), nn.AvgPool2d(5, 1, 2)
NETWORKS = (BenchNetwork(network=MEAN, name="mean 3", year=2001), BenchNetwork(network=WIDE, name="mean 5"))


@pytest.fixture
def images(tmp_path):
    found = []
    for name in ("astronaut.png", "coffee.png"):
        found.append(tmp_path / name)
        Image.fromarray(photo(32, name=name)).save(found[-1])
    return tuple(found)


def run(images, **changes):
    given = {"networks": NETWORKS, "images": images, "regions": ("8,8,8,8",), "task": "denoise", "device": "cpu"}
    return BenchRun(**{**given, "settings": SETTINGS, **changes})


def test_the_cells_are_the_maps_of_cem(images, tmp_path):
    made = list(make_bench(run(images, out=tmp_path / "grid"), progress=False))
    for cell, result in made:
        (alone,) = causaliqa.effect_maps(
            cell.network.network, cell.unit.image, "8,8,8,8", task="denoise", coarse=1, fine=2, sampler="noise",
            device="cpu", progress=False,
        )  # fmt: skip
        stored = EffectMap.load(tmp_path / "grid" / cell.network.folder / cell.unit.image.stem)
        assert stored.samples.tobytes() == result.effects.samples.tobytes() == alone.samples.tobytes()
        assert {**stored.facts, "seconds": 0} == {**alone.facts, "seconds": 0, "versions": stored.facts["versions"]}
    assert [cell.unit.folder.relative_to(tmp_path / "grid").as_posix() for cell, _ in made] == [
        "mean_3/astronaut", "mean_3/coffee", "mean_5/astronaut", "mean_5/coffee",
    ]  # fmt: skip


def test_shards_make_the_grid_and_what_is_there_costs_nothing(images, tmp_path):
    out = tmp_path / "grid"
    parts = [[cell.number for cell in run(images, out=out, shard=f"{k}/3").cells()] for k in (1, 2, 3)]
    assert sorted(number for part in parts for number in part) == [0, 1, 2, 3]
    asked = run(images, out=out, shard="1/3")
    list(make_bench(asked, progress=False))
    assert [f.maps for f in forecast_bench(asked)] == [0, 0]
    assert [f.maps for f in forecast_bench(run(images, out=out))] == [1, 1]


def test_a_cell_that_fails_does_not_stop_the_others(images, tmp_path):
    images[0].write_text("no image")
    broken = BenchNetwork(network="tiny_dncnn_50", checkpoint=tmp_path / "gone.pth", name="gone")
    made = list(make_bench(run(images, networks=(NETWORKS[0], broken)), progress=False))
    assert [type(result) for _, result in made][1] is CellResult
    assert [isinstance(result, CausaliqaError) for _, result in made] == [True, False, True, True]
    assert "gone.pth" in str(made[3][1])


def test_the_limit_is_checked_against_what_was_measured(images, caplog):
    asked = run(images[:1], networks=NETWORKS[:1])
    forecasts = forecast_bench(asked)
    (one,) = forecasts
    assert (one.maps, one.least, one.most) == (1, one.first.reached, 3 * one.first.reached)
    for limit, said in ((one.most, "takes"), (one.most - 1, "may take up to")):
        caplog.clear()
        with caplog.at_level("INFO", "causaliqa"):
            check_limit(run(images[:1], networks=NETWORKS[:1], limit=str(limit)), forecasts)
        assert said in caplog.text
    with pytest.raises(InputError, match="the grid takes"):
        check_limit(run(images[:1], networks=NETWORKS[:1], limit=str(one.least - 1)), forecasts)
    with pytest.raises(InputError, match="limit: got '3 days'"):
        run(images, limit="3 days")


def test_attribution_stands_beside_and_its_failure_is_noted(images, tmp_path):
    asked = run(images[:1], networks=(NETWORKS[0], BenchNetwork(network=_no_gradient)), lam=True, out=tmp_path / "g")
    good, bad = (result for _, result in make_bench(asked, progress=False))
    assert 0 < good.attribution.diffusion_index <= 100
    assert shape_agreement(good.effects, good.attribution) > 0.5
    with pytest.raises(InputError, match="maps: got region"):
        shape_agreement(replace(good.effects, roi=ROI(0, 0, 8, 8)), good.attribution)
    assert bad.attribution is None and "no gradient" in bad.note
    again, _ = (result for _, result in make_bench(asked, progress=False))
    assert np.array_equal(again.attribution.attribution, good.attribution.attribution)


def _no_gradient(img):
    return MEAN(img.detach())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {network: a, yaer: 3}", r"nets.yaml: 0.yaer: unknown key. Did you mean 'year'"),
        ("- a\n- {network: b, year: soon}", r"nets.yaml: 1.year: got 'soon', expected a whole number"),
        ("- {name: a}", r"nets.yaml: 0.network: got"),
        ("a: 3", "expected a list of networks"),
        ("- {network: a, network: b}", "given twice"),
        ("- {network: x y}\n- {network: x/y, name: x_y}", r"1.name: 'x_y' has the folder of entry 0"),
        ("- {network: a, options: [3]}", r"0.options: got \[3\], expected text"),
        ("", "expected a list"),
        ("- {network: [a]}", r"0.network: got \['a'\], expected text"),
    ],
)
def test_the_file_of_networks_is_checked(tmp_path, text, message):
    path = tmp_path / "nets.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_networks(path)


def test_the_file_of_networks_is_read(tmp_path):
    path = tmp_path / "nets.yaml"
    path.write_text("- tiny_edsr_x4\n- {network: tiny_dncnn_50, name: DnCNN, task: denoise, year: 2017}\n")
    first, second = read_networks(path)
    assert (first.label, first.request("sr").task) == ("tiny_edsr_x4", "sr")
    assert (second.folder, second.year, second.request("sr").task) == ("DnCNN", 2017, "denoise")
    with pytest.raises(InputError, match="cannot be read"):
        read_networks(tmp_path / "gone.yaml")
    with pytest.raises(InputError, match=r"networks: 0 \(tiny_edsr_x5\): unknown restorer"):
        forecast_bench(run((), networks=bench_networks(["tiny_edsr_x5"]), task="sr"))


def test_regions_are_proposed_for_every_image(images):
    units = map_units(images, ("auto:count=2,size=8", "8,8,8,8"), "out")
    assert all(len([u for u in units if u.name == path.name]) in (2, 3) for path in images)
    assert all(unit.folder.name == f"roi-{str(unit.roi).replace(',', '-')}" for unit in units)
    assert regions_of(images[0], "auto:size=8") == [one_region(images[0], "auto:size=8")]
    for wrong in ("auto:size=0", "auto:number=2", "automatic", "auto:size=x"):
        with pytest.raises(InputError, match="roi: got"):
            regions_of(images[0], wrong)
    with pytest.raises(InputError, match="no room for 64 x 64"):
        regions_of(images[0], "auto:size=64")
    with pytest.raises(InputError, match="expected one"):
        one_region(images[0], "auto:count=2,size=8")
