"""Settings of a map: checked when they are made, and resolved from names."""

import dataclasses
import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn

from causaliqa import CausalEffectMap, CemSettings, InputError
from causaliqa.api.specs import RestorerSpec
from causaliqa.builtin.degradations.paper import Downsampling, GaussianNoise
from causaliqa.builtin.samplers.ablations import SelfPatches, UniformNoise
from causaliqa.catalog.catalog import Catalog
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.host import PluginHost
from causaliqa.catalog.registry import load_registry
from causaliqa.effects.names import NetworkRequest, with_objects
from causaliqa.effects.settings import settings_with


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fine": 0}, "fine: got 0"),
        ({"coarse": 2.5}, "coarse: got 2.5"),
        ({"interventions": -1}, "interventions: got -1"),
        ({"tolerance": float("nan")}, "tolerance: got nan"),
        ({"strategy": "best"}, "strategy: got 'best', expected plain, coarse-to-fine or adaptive"),
        ({"budget": 100}, "belong to the strategy adaptive"),
        ({"strategy": "adaptive", "budget": 0}, "budget: got 0"),
        ({"seed": -1}, "seed: got -1"),
        ({"image_seed": "a"}, "image seed: got 'a'"),
        ({"degradation": 4}, "degradation: got int, expected a name"),
        ({"sampler": object()}, "sampler: got object, expected a name"),
        ({"sampler": UniformNoise(), "library": "photos"}, "library: got one beside a sampler"),
    ],
)
def test_wrong_settings_are_refused_at_once(wrong, message):
    with pytest.raises(InputError, match=message):
        CemSettings(**wrong)


def test_settings_are_frozen_and_travel():
    settings = CemSettings(sampler="self", fine=7, strategy="plain")
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.fine = 8
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert len({settings, CemSettings(sampler="self", fine=7, strategy="plain")}) == 1


def test_fields_in_place_of_those_of_settings():
    base = CemSettings(fine=7)
    assert settings_with(base, {"seed": 3}) == CemSettings(fine=7, seed=3)
    with pytest.raises(InputError, match=r"unknown 'patchsize'\. Did you mean 'patch_size'"):
        settings_with(base, {"patchsize": 8})


def test_names_become_objects_at_the_scale_of_the_network():
    settings = CemSettings(degradation="sr", sampler="self")
    made = with_objects(default_catalog(), settings, 2)
    assert isinstance(made.degradation, Downsampling) and made.degradation.scale == 2
    assert isinstance(made.sampler, SelfPatches)
    assert with_objects(default_catalog(), made, 2) == made


def test_attribute_takes_names_or_objects_alike():
    net, image = nn.AvgPool2d(3, 1, 1), torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    cem, roi = CausalEffectMap(net), (8, 8, 8, 8)
    settings = CemSettings(coarse=1, fine=2, sampler=UniformNoise(), degradation=GaussianNoise(sigma=25))
    by_object = cem.attribute(image, roi, settings, progress=False)
    by_name = cem.attribute(
        image, "8,8,8,8", sampler="noise", degradation="denoise:sigma=25", coarse=1, fine=2, progress=False
    )
    array = (image.permute(1, 2, 0).numpy() * 1).copy()
    by_array = cem.attribute(array, roi, settings, progress=False)
    for other in (by_name, by_array):
        assert other.samples.tobytes() == by_object.samples.tobytes()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sampler": "noise"}, "degradation: got none, expected a name"),
        ({"degradation": "denois"}, "unknown degradation 'denois'. Did you mean 'denoise'"),
        ({"degradation": "denoise", "sampler": "naturel"}, "Did you mean 'natural'"),
        ({"degradation": "denoise", "fin": 3}, "Did you mean 'fine'"),
        ({"degradation": "sr"}, "expected a whole number, 2 or more"),
    ],
)
def test_what_attribute_cannot_accept_is_named(fields, message):
    with pytest.raises(InputError, match=message):
        CausalEffectMap(nn.Identity()).attribute(torch.rand(3, 32, 32), (8, 8, 8, 8), **fields)


@pytest.mark.parametrize("roi", [(1, 2, 3), "1,2,3", (1, 2, 3, "x"), 5, (0.5, 0, 8, 8)])
def test_a_region_is_four_whole_numbers(roi):
    with pytest.raises(InputError, match="expected four whole numbers"):
        CausalEffectMap(nn.Identity()).attribute(torch.rand(3, 32, 32), roi, degradation="denoise")


def test_measure_by_name_and_what_is_none():
    assert CausalEffectMap(nn.Identity(), measure="pyiqa:psnr").measure.name == "pyiqa:psnr"
    with pytest.raises(InputError, match="unknown metric"):
        CausalEffectMap(nn.Identity(), measure="psmr")
    with pytest.raises(InputError, match="measure: got int"):
        CausalEffectMap(nn.Identity(), measure=3)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"network": 3}, "network: got int, expected a name"),
        ({"network": nn.Identity(), "checkpoint": "a.pth"}, "built already"),
        ({"network": nn.Identity(), "arch_options": "a=1"}, "built already"),
    ],
)
def test_wrong_networks_are_refused(request_, message):
    with pytest.raises(InputError, match=message):
        NetworkRequest(**request_)


@pytest.mark.parametrize(
    ("takes", "network", "told"), [(True, "mine", "sr"), (True, "mine:task=jpeg", "jpeg"), (False, "mine", None)]
)
def test_a_network_of_several_tasks_is_told_the_task(takes, network, told):
    def factory(checkpoint=None, task=None):
        return lambda img: task

    spec = RestorerSpec(name="mine", factory=factory, summary="", licence="MIT", takes_task=takes)
    catalog = Catalog(PluginHost(entry_points=lambda: []), replace(load_registry(), restorers={"mine": spec}))
    assert NetworkRequest(network=network, task="sr").restorer(catalog, "cpu")(None) == told
