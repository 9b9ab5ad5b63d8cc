"""registry.yaml: what is refused, and how a user's file is merged."""

import os
from pathlib import Path

import pytest

import causaliqa
from causaliqa.api.errors import RegistryError
from causaliqa.catalog.registry import load_registry

ROOT = Path(__file__).parents[2]


def test_the_installed_registry_is_the_one_of_the_repository():
    installed = Path(causaliqa.__file__).with_name("registry.yaml")
    assert installed.read_bytes() == (ROOT / "registry.yaml").read_bytes()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense: 1", "nonsense"),
        ("- a", "expected a mapping"),
        ("weights: [1]", "weights: got list"),
        ("weights:\n  a.pth:\n    url: https://x\n", r"weights\.a\.pth\.licence: missing"),
        ("weights:\n  a.pth:\n    licence: MIT\n    sha256: 12345678\n", "in quotes"),
        ("weights:\n  a.pth:\n    licence: MIT\n    sha256: 'XYZ'\n", "hexadecimal"),
        ("weights:\n  a.pth:\n    licence: MIT\n    url: ftp://x\n", "https"),
        ("weights:\n  a.pth:\n    licence: MIT\n    colour: x\n", r"weights\.a\.pth\.colour: unknown key"),
        ("backbones:\n  b:\n    timm: x\n    licence: MIT\n    window: 0\n", r"backbones\.b\.window: got 0"),
        ("backbones:\n  b:\n    timm: x\n    licence: MIT\n    mass: heavy\n", "share or softmax"),
        ("restorers:\n  r:\n    licence: MIT\n", r"restorers\.r\.arch: missing"),
        ("restorers:\n  r:\n    arch: EDSR\n    licence: MIT\n    options: [1]\n", r"restorers\.r\.options"),
        ("restorers:\n  r:\n    arch: EDSR\n    licence: MIT\n    tasks: sr\n", r"restorers\.r\.tasks"),
        ("metrics:\n  m: {licence: MIT}\n", r"metrics\.m\.licence: unknown key, expected one of trained_on, year"),
        ("metrics:\n  m: {trained_on: KADID-10k}\n", r"metrics\.m\.trained_on: got 'KADID-10k', expected names"),
        ("metrics:\n  m: {year: soon}\n", r"metrics\.m\.year: got 'soon', expected a whole number"),
        ("presets:\n  p:\n    metrics: psnr\n", r"presets\.p\.metrics"),
        ("datasets:\n  d:\n    files: {a.txt: 12}\n", r"datasets\.d\.files\.a\.txt: got 12, expected lower-case"),
        ("datasets:\n  d:\n    url: x\n", r"datasets\.d\.url: unknown key"),
        ("datasets:\n  d: {}\n", r"datasets\.d\.files: missing"),
        ("a: [", "not valid YAML"),
        ("weights:\n  ../a.pth:\n    licence: MIT\n", r"weights\.'../a.pth': expected a name of letters"),
        ("weights:\n  /etc/a.pth: {licence: MIT}\n", r"weights\.'/etc/a.pth': expected a name"),
        ("backbones:\n  '<script>': {timm: x, licence: MIT}\n", r"backbones\.'<script>': expected a name"),
        ("weights:\n  a.pth: {licence: MIT, package: 'a.b:c.pth'}\n", r"weights\.a\.pth\.package: got 'a.b:c.pth'"),
        ("weights:\n  a.pth: {licence: MIT, package: 'a:../c.pth'}\n", r"weights\.a\.pth\.package: got"),
        ("weights:\n  a.pth:\n    licence: MIT\n    licence: GPL\n", r"weights\.a\.pth\.licence: given twice.* line 4"),
        ("presets:\n  p: {metrics: [psnr]}\n  p: {metrics: [ssim]}\n", r"presets\.p: given twice, again in line 3"),
        ("weights: {}\nweights: {}\n", "weights: given twice, again in line 2"),
        ("presets:\n  1: {metrics: [psnr]}\n  '1': {metrics: [ssim]}\n", r"presets\.1: given twice"),
        ("presets:\n  ? [a]\n  : 1\n", "presets: a key is a list or a mapping"),
        ("presets: 2001-99-99", "not valid YAML: month must be in"),
        ("presets: !!bool x", "not valid YAML"),
        ("presets:\n  p:\n    metrics: 2001-01-01\n", r"presets\.p\.metrics: got datetime.date"),
        ("a\x00b", "not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_errors_name_file_and_key(tmp_path, text, words):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(RegistryError, match=words) as caught:
        load_registry(file)
    assert "mine.yaml" in str(caught.value)


BOMBS = {
    "laughs": "\n".join(
        [
            "a0: &a0 [x, x, x, x, x, x, x, x, x]",
            *(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 10)),
        ]
    ),
    "mapping laughs": "a: &a {x: 1}\n"
    + "\n".join(f"{'a' * k}a: &{'a' * k}a {{x: *{'a' * k}, y: *{'a' * k}}}" for k in range(1, 40)),
    "cycle": "weights: &w {x: *w}",
    "brackets": "[" * 100_000,
    "braces": "{a: " * 100_000,
    "dashes": "- " * 100_000,
    "deep": "a: " + "[" * 40 + "]" * 40,
    "long": "# " + "x" * 5_000_000,
    "merge": "a: &a {x: 1}\nb: &b {<<: ["
    + ", ".join(["*a"] * 1000)
    + "]}\nc: {<<: ["
    + ", ".join(["*b"] * 1000)
    + "]}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_at_once(tmp_path, name):
    file = tmp_path / "mine.yaml"
    file.write_text(BOMBS[name])
    with pytest.raises(RegistryError, match=r"mine.yaml: .*(more than|expected|unknown key)") as caught:
        load_registry(file)
    assert len(str(caught.value)) < 1000


def test_a_bomb_does_not_explode_in_the_message(tmp_path):
    file = tmp_path / "mine.yaml"
    long = "x" * 100_000
    file.write_text(f"presets:\n  p:\n    metrics: [&a '{long}', {', '.join(['*a'] * 1000)}, 1]\n")
    with pytest.raises(RegistryError, match=r"presets\.p\.metrics: got") as caught:
        load_registry(file)
    assert len(str(caught.value)) < 1000


def test_anchors_and_merges_are_welcome(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("backbones:\n  a: &a {timm: x, licence: MIT, window: 8}\n  b: {<<: *a, window: 2}\n")
    backbones = load_registry(file).backbones
    assert [backbones[name].window for name in "ab"] == [8, 2]


def test_missing_file():
    with pytest.raises(RegistryError, match="cannot be read"):
        load_registry("/no/such/registry.yaml")


@pytest.mark.parametrize("how", ["argument", "environment", "folder"])
def test_a_users_file_is_merged(tmp_path, monkeypatch, how):
    file = tmp_path / "registry.yaml"
    file.write_text("presets:\n  mine:\n    metrics: [psnr]\nweights:\n  n.pth:\n    licence: MIT\n")
    monkeypatch.chdir(tmp_path if how == "folder" else Path("/"))
    if how == "environment":
        monkeypatch.setenv("CAUSALIQA_REGISTRY", str(file))
    registry = load_registry(file if how == "argument" else None)
    assert registry.presets["mine"].metrics == ("psnr",)
    assert "demo" in registry.presets
    assert {"n.pth", "vgg16-397923af.pth"} <= set(registry.weights)


def test_public_checkpoints_say_where_they_come_from():
    registry = load_registry()
    assert {"swinir_x4", "swinir_dn50", "edsr_m_x4", "rcan_x4", "msrresnet_x4", "esrgan_x4"} <= set(registry.restorers)
    for restorer in registry.restorers.values():
        entry = registry.weights[restorer.weights]
        assert entry.licence and entry.source
        assert restorer.tasks


def test_a_restorer_without_a_line_of_code(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("restorers:\n  mine: {arch: EDSR, options: {num_feat: 8}, scale: 2, tasks: [sr], licence: MIT}\n")
    restorer = load_registry(file).restorers["mine"]
    assert (restorer.scale, restorer.tasks, restorer.weights) == (2, ("sr",), None)
    assert restorer.factory.fixed == (("arch", "EDSR"), ("num_feat", 8))


def test_a_file_that_changes_and_keeps_its_time_stamp(tmp_path):
    file = tmp_path / "registry.yaml"
    stamp = (1_700_000_000, 1_700_000_000)
    for name in ("one", "two"):
        file.write_text(f"presets:\n  {name}:\n    metrics: [psnr]\n")
        os.utime(file, stamp)
        assert name in load_registry(file).presets
