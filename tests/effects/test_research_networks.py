"""Trained networks of the research data, through the public interface."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from causaliqa import CausalEffectMap, create_degradation, create_restorer, create_sampler
from causaliqa.api.data import ROI
from causaliqa.effects.black_box import BlackBox
from causaliqa.effects.interventions import InterventionRunner
from causaliqa.effects.prepare import prepare
from causaliqa.effects.receptive_field import whole
from causaliqa.effects.settings import CemSettings
from causaliqa.effects.strategy import Round
from causaliqa.functional.fidelity import psnr
from causaliqa.io.images import load_image

pytestmark = pytest.mark.data


class DnCNN(nn.Module):
    """20 layers of 64 that predict the noise (Zhang et al. 2017)."""

    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(3, 64, 3, padding=1), nn.ReLU()]
        layers += [m for _ in range(18) for m in (nn.Conv2d(64, 64, 3, padding=1), nn.ReLU())]
        self.model = nn.Sequential(*layers, nn.Conv2d(64, 3, 3, padding=1))

    def forward(self, x):
        return x - self.model(x)


@pytest.fixture
def setup(data, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    weights = data / "weights" / "dncnn_color_zhang" / "dncnn_color_sigma50.pth"
    restorer = create_restorer("test_research_networks:DnCNN", checkpoint=weights, device="cpu")
    settings = CemSettings(degradation=create_degradation("denoise"), sampler=create_sampler("natural"))
    image = load_image(data / "cem_images" / "demo_1.png")
    return prepare(BlackBox(restorer, 1), psnr, image, ROI(96, 152, 32, 32), settings)


def test_dncnn_is_local_and_pruning_changes_nothing(setup):
    pruned, scene = setup.runner, setup.runner.scene
    assert (
        pruned.reach.note
        == "reach 20 pixels; runs on 72 x 72; computes what a patch changes, 4% of the multiplications"
    )
    assert (len(pruned.reached), len(scene.grid.outside)) == (84, 1008)
    saved = 1008 / 84 * 256**2 / 72**2
    assert saved > 100
    full = InterventionRunner(pruned.network, scene, psnr, whole(scene.degraded, "everything"))
    todo = Round(stage="plain", patches=pruned.reached[::14] + scene.grid.outside[::250], draws=range(1))
    there = dict(full.effects(todo, todo.patches))
    here = dict(pruned.effects(todo, [p for p in todo.patches if p in pruned.reached]))
    for patch, effects in there.items():
        np.testing.assert_allclose(here.get(patch, np.zeros(1)), effects, rtol=0, atol=5e-4)


def test_natural_library_of_the_demo(data):
    sampler = create_sampler("natural", library=data / "patches" / "cem_div2k_8x8.npz")
    assert len(sampler.library.patches(8)) == 10_000
    made = CausalEffectMap(nn.AvgPool2d(3, stride=1, padding=1)).attribute(
        torch.rand(3, 32, 32), (8, 8, 8, 8), degradation=create_degradation("denoise"), sampler=sampler, fine=3
    )
    assert made.facts["patches_reached"] == 8
