"""Maps by one call: networks, images and regions in every form, here and in workers."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import causaliqa
from causaliqa import CausaliqaError, CemSettings, EffectMap, InputError
from causaliqa.api.data import ROI
from causaliqa.builtin.degradations.paper import GaussianNoise
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.workers import WorkerContext
from causaliqa.effects.job import MapRun, MapUnit, make_maps, make_unit
from causaliqa.effects.names import NetworkRequest
from conftest import photo

QUICK = {"sampler": "noise", "coarse": 1, "fine": 2, "device": "cpu", "progress": False}


@pytest.fixture
def paths(tmp_path):
    found = []
    for name in ("astronaut.png", "coffee.png"):
        found.append(tmp_path / name)
        Image.fromarray(photo(40, name=name)).save(found[-1])
    return found


def run(**changes):
    given = {"network": NetworkRequest(network="tiny_dncnn_50", task="denoise"), "images": ("a.png",)}
    return MapRun(**{**given, "regions": ((16, 16, 8, 8),), "settings": CemSettings(fine=2), **changes})


def test_path_text_array_and_tensor_give_the_same_map(paths):
    array = photo(40)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1) / 255
    made = causaliqa.effect_maps(
        nn.AvgPool2d(3, 1, 1), [paths[0], str(paths[0]), array, tensor], "16,16,8,8", task="denoise", **QUICK
    )
    assert [m.facts["image"] for m in made] == ["astronaut.png", "astronaut.png", "image-3", "image-4"]
    assert len({m.samples.tobytes() for m in made}) == 1
    assert made[0].facts["restorer"] == "AvgPool2d"
    assert made[0].facts["measure"] == "psnr"


@pytest.mark.parametrize(
    ("roi", "count"),
    [((8, 8, 8, 8), 1), ("8,8,8,8", 1), (ROI(8, 8, 8, 8), 1), ([8, 8, 8, 8], 1), ([(8, 8, 8, 8), "16,8,8,8"], 2)],
)
def test_regions_in_every_form(roi, count):
    made = causaliqa.effect_maps(nn.Identity(), photo(32), roi, degradation=GaussianNoise(sigma=25), **QUICK)
    assert [m.roi.x for m in made] == [8, 16][:count]
    assert made[0].facts["task"] == "GaussianNoise"


def test_the_command_and_the_call_write_the_same(run, paths, tmp_path):
    asked = ("--task", "denoise", "--roi", "16,16,8,8", "--coarse", 1, "--fine", 2, "--sampler", "noise")
    assert run("cem", "tiny_dncnn_50", *paths, *asked, "--device", "cpu", "--out", tmp_path / "cli")[0] == 0
    out = tmp_path / "python"
    made = causaliqa.effect_maps("tiny_dncnn_50", paths, (16, 16, 8, 8), task="denoise", out=out, **QUICK)
    for path, here in zip(paths, made, strict=True):
        ours, theirs = (EffectMap.load(folder / path.stem) for folder in (out, tmp_path / "cli"))
        assert ours.samples.tobytes() == theirs.samples.tobytes() == here.samples.tobytes()
        assert {**ours.facts, "seconds": 0} == {**theirs.facts, "seconds": 0}
        assert (out / path.stem / "cem.png").is_file()
        assert [f.name for f in (out / path.stem).iterdir() if f.suffix == ".lock"] == []


# The fixture of the command line is called ``run``, too.
_run = run


def test_a_run_and_its_units_travel(paths):
    asked = _run(images=tuple(paths), out="maps", shard="2/2")
    assert pickle.loads(pickle.dumps(asked)) == asked
    (unit,) = asked.units()
    assert pickle.loads(pickle.dumps(unit)) == unit
    assert unit.folder.as_posix() == "maps/coffee"


def test_workers_get_the_run_and_its_context(paths, tmp_path):
    asked = _run(network=NetworkRequest(network=nn.AvgPool2d(3, 1, 1), task="denoise"))
    context = WorkerContext.of(default_catalog())
    unit = MapUnit(image=paths[0], name=paths[0].name, roi=ROI(16, 16, 8, 8), folder=tmp_path / "map")
    made = make_unit(*pickle.loads(pickle.dumps((asked, context, unit))))
    assert isinstance(made, EffectMap)
    assert EffectMap.load(tmp_path / "map").samples.tobytes() == made.samples.tobytes()
    missing = MapUnit(image=tmp_path / "gone" / "a.png", name="a", roi=unit.roi, folder=None)
    with pytest.raises(InputError, match="does not see"):
        make_unit(asked, context, missing)


def test_processes_make_the_maps_of_one(paths):
    network = nn.Sequential(nn.AvgPool2d(3, 1, 1))
    one, two = (
        causaliqa.effect_maps(network, [photo(40), paths[1]], (16, 16, 8, 8), task="denoise", jobs=jobs, **QUICK)
        for jobs in (1, 2)
    )
    for a, b in zip(one, two, strict=True):
        assert a.samples.tobytes() == b.samples.tobytes()
        assert a.facts["image"] == b.facts["image"]


def test_what_cannot_be_sent_to_workers_is_said(paths):
    with pytest.raises(InputError, match="jobs: got objects that cannot be sent to workers"):
        causaliqa.effect_maps(lambda x: x, paths, (16, 16, 8, 8), task="denoise", jobs=2, **QUICK)


def test_resume_makes_nothing_twice(paths, tmp_path):
    calls = []

    def net(x):
        calls.append(len(x))
        return nn.functional.avg_pool2d(x, 3, 1, 1)

    asked = {"task": "denoise", "out": tmp_path / "map", **QUICK}
    first = causaliqa.effect_maps(net, paths[0], (16, 16, 8, 8), **asked)
    before = len(calls)
    again = causaliqa.effect_maps(net, paths[0], (16, 16, 8, 8), resume=True, **asked)
    assert len(calls) - before < before - 20
    assert again[0].samples.tobytes() == first[0].samples.tobytes()


def test_a_map_that_fails_is_yielded_and_the_others_are_made(paths, tmp_path):
    paths[0].write_text("no image")
    asked = _run(images=tuple(paths), out=tmp_path / "maps", settings=CemSettings(coarse=1, fine=1, sampler="zero"))
    bad, good = (outcome for _, outcome in make_maps(asked, progress=False))
    assert isinstance(bad, CausaliqaError)
    assert isinstance(good, EffectMap)
    with pytest.raises(CausaliqaError, match="image"):
        causaliqa.effect_maps("tiny_dncnn_50", paths[0], (16, 16, 8, 8), task="denoise", **QUICK)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"jobs": 0}, "jobs: got 0"),
        ({"jobs": 2, "scheduler": "tcp://x:1"}, "jobs and scheduler: got both"),
        ({"resume": True}, "resume: got no folder"),
    ],
)
def test_runs_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        _run(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "tiny_edsr_x5"}, "Did you mean 'tiny_edsr_x4'"),
        ({"network": 3}, "network: got int"),
        ({"images": "nothing.png"}, "image nothing.png does not exist"),
        ({"images": []}, "got none"),
        ({"task": None}, "task: got none"),
        ({"task": "unfog"}, "unknown degradation"),
        ({"measure": "psmr"}, "unknown metric"),
        ({"scale": 4}, "keeps the size"),
        ({"fin": 4}, "Did you mean 'fine'"),
        ({"shard": "3/2"}, "shard"),
    ],
)
def test_bad_input_is_named(changes, message):
    given = {"network": "tiny_dncnn_50", "images": photo(40), "roi": (16, 16, 8, 8), "task": "denoise", **QUICK}
    with pytest.raises(InputError, match=message):
        causaliqa.effect_maps(**{**given, **changes})


def test_a_network_of_another_task_is_noted(caplog):
    causaliqa.effect_maps("tiny_dncnn_50", photo(32), (8, 8, 8, 8), task="derain", **QUICK)
    assert "trained for denoise, not for derain" in caplog.text


def test_local_attribution_by_name_and_by_module(paths, tmp_path):
    made = causaliqa.local_attribution(
        "tiny_edsr_x4", str(paths[0]), "16,16,16,16", task="sr", steps=2, device="cpu", out=tmp_path, progress=False
    )
    assert made.attribution.shape == (3, 10, 10)
    assert made.facts["image"] == "astronaut.png"
    assert (tmp_path / "lam.png").is_file()
    other = causaliqa.local_attribution(
        nn.Upsample(scale_factor=4), photo(40), (16, 16, 16, 16), degradation="sr:scale=4", steps=2, progress=False
    )
    assert (other.scale, other.facts["restorer"]) == (4, "Upsample")
    with pytest.raises(InputError, match="no causal effect map"):
        causaliqa.local_attribution(nn.Identity(), photo(40), (16, 16, 8, 8), task="denoise", effects="nowhere")


def test_a_network_by_name_says_its_scale(tmp_path):
    text = (
        "import torch\n\ndef build():\n    net = torch.nn.Upsample(scale_factor=3)\n    net.scale = 3\n    return net\n"
    )
    (tmp_path / "net.py").write_text(text)
    name, image, roi = f"{tmp_path}/net.py:build", photo(36), "9,9,9,9"
    (made,) = causaliqa.effect_maps(name, image, roi, task="sr", patch_size=9, **QUICK)
    assert (made.facts["scale"], made.image.shape) == (3, (12, 12, 3))
    assert causaliqa.local_attribution(name, image, roi, task="sr", steps=2, progress=False, device="cpu").scale == 3
    with pytest.raises(InputError, match="it enlarges by 3, the degradation shrinks by 2"):
        causaliqa.effect_maps(name, image, roi, task="sr", scale=2, **QUICK)


@pytest.mark.parametrize("held", [False, True], ids=["module", "module held by a function"])
def test_a_network_stays_on_its_device_although_there_is_a_gpu(monkeypatch, held):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    used = []

    class Net(nn.Conv2d):
        def forward(self, img):
            used.append(img.device.type)
            return super().forward(img).clamp(0, 1)

    net = Net(3, 3, 3, padding=1)
    network = partial(Net.__call__, net) if held else net
    quick = {key: value for key, value in QUICK.items() if key != "device"}
    image, roi = photo(32), "8,8,8,8"
    (made,) = causaliqa.effect_maps(network, image, roi, task="denoise", **quick)
    causaliqa.effect_bench([{"network": network, "name": "net"}], image, roi, task="denoise", **quick)
    causaliqa.local_attribution(network, image, roi, task="denoise", steps=2, progress=False)
    causaliqa.check_effects(made, image, network, sampler="noise", budget=800, progress=False)
    assert set(used) == {"cpu"}


@pytest.mark.parametrize(
    ("network", "asked", "place"),
    [
        ("tiny_dncnn_50", None, "cuda"),
        (nn.AvgPool2d(3, 1, 1), None, "cuda"),
        (nn.Conv2d(3, 3, 1), None, "cpu"),
        (nn.Conv2d(3, 3, 1, device="meta"), None, "meta"),
        (nn.Conv2d(3, 3, 1, device="meta"), "cpu", "cpu"),
    ],
)
def test_the_device_is_that_asked_for_or_that_of_the_network(monkeypatch, network, asked, place):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert NetworkRequest(network=network, task="denoise").place(asked) == place


def test_objects_show_themselves(paths):
    (made,) = causaliqa.effect_maps("tiny_dncnn_50", paths[0], (16, 16, 8, 8), task="denoise", **QUICK)
    assert repr(made).startswith("EffectMap(tiny_dncnn_50, roi 16,16,8,8, 5 x 5 patches of 8 pixels, positive ")
    assert len(repr(made)) < 200
    lam = causaliqa.local_attribution(
        nn.AvgPool2d(3, 1, 1), photo(40), (16, 16, 8, 8), task="denoise", steps=2, progress=False
    )
    assert repr(lam).startswith("Attribution(AvgPool2d, roi 16,16,8,8, 40 x 40 input pixels, diffusion index ")
    for thing, key in ((made, "positive_percent"), (lam, "diffusion_index")):
        page = thing._repr_html_()
        assert 'src="data:image/png;base64,' in page
        assert f"<th>{key}</th>" in page
        # A map has its colour bar and three crops of the region beside it, an attribution the input.
        assert len(thing.plot().axes) == (5 if isinstance(thing, EffectMap) else 2)


def test_html_of_facts_is_escaped():
    effect = np.zeros((2, 2))
    made = EffectMap(
        effect=effect, count=np.ones((2, 2), int), sem=effect, samples=effect[..., None], base=1.0, patch_size=8,
        image=np.zeros((16, 16, 3), np.uint8), roi=ROI(0, 0, 8, 8), facts={"restorer": "<script>"},
    )  # fmt: skip
    assert "<script>" not in made._repr_html_()
