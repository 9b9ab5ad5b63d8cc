"""Which licences count as permissive, and the commands that ask."""

import json

import pytest

from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.create import default_catalog
from causaliqa.cli import main
from causaliqa.utils.licences import is_permissive


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("Apache-2.0", True),
        ("MIT", True),
        ("BSD-2-Clause", True),
        ("BSD-3-Clause-Clear", True),
        ("BSD-3-Clause (torchvision weights, trained on ImageNet)", True),
        ("Apache-2.0; weights BSD-3-Clause (torchvision)", True),
        ("MIT AND Apache-2.0", True),
        ("MIT OR GPL-3.0", True),
        ("Apache-2.0; weights CC-BY-NC-4.0", False),
        ("MIT AND GPL-3.0", False),
        ("PolyForm-Noncommercial-1.0.0 (pyiqa)", False),
        ("GPL-3.0", False),
        ("MITX", False),
        ("that of the network", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_permissive(licence, expected):
    assert is_permissive(licence) is expected


def items(capsys, *argv):
    assert main(["list", *argv, "--json"]) == 0
    return {row["name"]: row["licence"] for row in json.loads(capsys.readouterr().out)["items"]}


def test_list(capsys):
    every = items(capsys, "metrics", "--license")
    free = items(capsys, "metrics", "--license", "permissive")
    assert set(every) == set(default_catalog().names(MetricSpec))
    assert set(free) == {name for name in every if name.startswith(("causal", "calibrated")) or name == "deepwsd"}
    assert "callable" not in items(capsys, "restorers", "--license", "permissive")
    assert "tiny_edsr_x4" in items(capsys, "restorers", "--license", "permissive")


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("psnr", "metric 'psnr' has the licence 'PolyForm"),
        ("causal_closed", "metric 'causal_closed' has the licence 'Apache-2.0; weights CC-BY-NC-4.0'"),
        ("causal:backbone=closed", "backbone 'closed' has the licence 'CC-BY-NC-4.0'"),
        ("causal_half", r"weights half.pth has the licence 'CC-BY-NC-4.0'"),
    ],
)
def test_leaderboard_refuses(tmp_path, manifest, capsys, metric, words):
    registry = tmp_path / "mine.yaml"
    registry.write_text(
        "weights:\n  half.pth: {licence: CC-BY-NC-4.0}\n"
        "backbones:\n  closed: {timm: resnet10t, licence: CC-BY-NC-4.0}\n"
        "  half: {timm: resnet10t, licence: MIT, weights: half.pth}\n"
    )
    line = ["--registry", str(registry), "leaderboard", "--data", str(manifest), "--metric", metric]
    assert main([*line, "--license", "permissive"]) == 2
    out = capsys.readouterr()
    assert words in out.err
    assert "--license permissive" in out.err
    assert out.out == ""


def test_leaderboard_takes_the_permissive(manifest, capsys):
    line = [
        "leaderboard",
        "--data",
        str(manifest),
        "--metric",
        "causal_effnet_lite0",
        "--limit",
        "4",
        "--device",
        "cpu",
    ]
    assert main([*line, "--license", "permissive", "--format", "json", "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["metric"] == "causal_effnet_lite0"
