"""The command line and the record: one line each for a map and for an attribution."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from causaliqa_archs.restorer import build_named
from PIL import Image
from tiny import TINY

import causaliqa
from causaliqa.testing import check_restorer


@pytest.mark.parametrize("name", ["imdn", "ffdnet"])
def test_contract_of_files(name, tmp_path):
    torch.save(build_named(name=name, **TINY[name]).network.state_dict(), tmp_path / "net.pth")
    check_restorer(f"archs:{tmp_path / 'net.pth'}")


def test_records():
    names = causaliqa.list_restorers("archs*")
    assert {"archs", "archs.rcan_ap16", "archs.craft"} <= {getattr(name, "name", name) for name in names}


def test_announcing_loads_no_torch():
    code = (
        "import sys, causaliqa_archs\n"
        "assert len(causaliqa_archs.causaliqa_restorers()) > 30\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("command", ["cem", "lam"])
def test_a_map_in_one_line(command, tmp_path):
    torch.save(build_named(name="edsr", **TINY["edsr"]).network.state_dict(), tmp_path / "edsr.pth")
    img = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(img).save(tmp_path / "img.png")
    line = [sys.executable, "-m", "causaliqa", command, f"archs:{tmp_path / 'edsr.pth'}", str(tmp_path / "img.png")]
    line += ["--task", "sr", "--roi", "8,8,8,8", "--out", str(tmp_path / "map"), "--device", "cpu"]
    if command == "cem":
        line += ["--sampler", "noise", "--coarse", "1", "--fine", "1"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "map" / "summary.json").read_text())
