"""Do the networks of causaliqa-archs give what the public implementations give?

    python benchmarks/archs_parity.py FOLDER [--only NAME]

FOLDER holds checkouts of the public repositories, each as ``owner+name``. None of them is part of this project; those
that are missing are left out. Each implementation gets random weights; its state dict is identified and loaded strictly
into the network of causaliqa-archs, and both see the same input. ``difference`` is the largest difference of the
outputs, divided by the largest output where that exceeds 1. Writes ``benchmarks/results/archs_parity.csv``.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib
import importlib.util
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from unittest import mock

import torch
from causaliqa_archs.identify import candidates, compare, network_class
from torch import nn

RESULT = Path(__file__).parent / "results" / "archs_parity.csv"
TOLERANCE = 1e-5


@contextlib.contextmanager
def importing(root, stubs=()):
    """Import from a checkout, with stand-ins for modules that its networks do not need; forget all of it afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(root))
    for name in stubs:
        module = ModuleType(name)
        module.__path__ = []
        module.__getattr__ = stand_in
        sys.modules[name] = module
    try:
        yield
    finally:
        sys.path.remove(str(root))
        for name in set(sys.modules) - before:
            module = sys.modules[name]
            places = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
            if name in stubs or any(str(root) in str(place) for place in places):
                del sys.modules[name]


class Registry:
    """Stands in for the list that networks are registered in."""

    def register(self):
        return lambda cls: cls


def stand_in(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return Registry() if name.endswith("_REGISTRY") else nn.Module


def from_file(path):
    spec = importlib.util.spec_from_file_location(f"reference_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(where, module, cls, *args, **options):
    """A class in a module below a folder of the checkout."""

    def build(root):
        with importing(root / where):
            return getattr(importlib.import_module(module), cls)(*args, **options)

    return build


def lone(path, cls, stubs=(), **options):
    """A class in one file, whose other imports are not needed."""

    def build(root):
        with importing(root, stubs):
            return getattr(from_file(root / path), cls)(**options)

    return build


def edsr_style(where, module, cls, **options):
    """A class that takes the parsed arguments of EDSR-PyTorch and its descendants."""
    args = Namespace(
        n_resblocks=2, n_resgroups=3, n_feats=32, reduction=8, scale=[4], rgb_range=255, n_colors=3, res_scale=1.0,
        data_train="DIV2K", **options,
    )  # fmt: skip
    return plain(where, module, cls, args)


BASICSR = ("basicsr", "basicsr.utils", "basicsr.utils.registry", "basicsr.ops", "basicsr.ops.dcn", "torchstat")


def basicsr(name, cls, **options):
    """A class of BasicSR; only the file with its blocks is imported beside it."""

    def build(root):
        with importing(root, (*BASICSR, "basicsr.archs")):
            folder = root / "basicsr" / "archs"
            util = from_file(folder / "arch_util.py")
            sys.modules["basicsr.archs.arch_util"] = util
            spec = importlib.util.spec_from_file_location(f"basicsr.archs.{name}", folder / f"{name}.py")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            del sys.modules["basicsr.archs.arch_util"]
            return getattr(module, cls)(**options)

    return build


def craft(root):
    with importing(root, (*BASICSR, "basicsr.archs", "basicsr.archs.arch_util")):
        sys.modules["basicsr.archs.arch_util"].trunc_normal_ = nn.init.trunc_normal_
        module = from_file(root / "basicsr" / "archs" / "craft_arch.py")
        return module.CRAFT(upscale=4, depths=[2, 2], embed_dim=48, num_heads=[6, 6], split_size_0=4, split_size_1=16)


def adnet(root):
    """The file is one of Python 2: without its print statements it is one of Python 3."""
    text = (root / "color" / "models.py").read_text(encoding="utf-8").expandtabs(8)
    lines = [line for line in text.splitlines() if not line.strip().startswith("print ")]
    space = {}
    exec(compile("\n".join(lines), "models.py", "exec"), space)
    return space["ADNet"](3)


def forward(net, x):
    return net(x)


def last(net, x):
    return net(x)[-1]


def first(net, x):
    return net(x)[0]


def unclipped(net, x):
    with mock.patch("torch.clamp_", lambda out, *_: out):
        return net(x)


SMALL, ODD = (2, 3, 24, 32), (2, 3, 17, 21)
EDSR = "TestCode/code"
XR = {
    "dim": 16,
    "num_blocks": [1, 1, 2, 1],
    "num_refinement_blocks": 1,
    "channel_heads": [1, 2, 2, 4],
    "spatial_heads": [1, 2, 2, 3],
}
HIT = {"upscale": 4, "depths": [6, 4], "num_heads": [6, 6], "embed_dim": 60, "upsampler": "pixelshuffledirect"}

# our name, checkout, how to build it, how to call it, input, options that no key tells
ROWS = (
    ("srcnn", "fuyongXu+SRCNN_Pytorch_1.0", plain("", "model", "SRCNN"), forward, (2, 1, 17, 21), {"scale": 3}),
    (
        "fsrcnn",
        "yjn870+FSRCNN-pytorch",
        plain("", "models", "FSRCNN", scale_factor=3),
        forward,
        (2, 1, 17, 21),
        {"scale": 3},
    ),
    (
        "carn",
        "nmhkahn+CARN-pytorch",
        plain("carn", "model.carn", "Net", multi_scale=True, group=1),
        lambda n, x: n(x, 4),
        ODD,
        {},
    ),
    (
        "carn",
        "nmhkahn+CARN-pytorch",
        plain("carn", "model.carn", "Net", scale=3, group=1),
        lambda n, x: n(x, 3),
        ODD,
        {},
    ),
    (
        "carn_m",
        "nmhkahn+CARN-pytorch",
        plain("carn", "model.carn_m", "Net", multi_scale=True, group=4),
        lambda n, x: n(x, 3),
        ODD,
        {"scale": 3},
    ),
    ("srdensenet", "yjn870+SRDenseNet-pytorch", plain("", "models", "SRDenseNet"), forward, (2, 1, 9, 11), {}),
    (
        "srresnet",
        "XPixelGroup+BasicSR",
        basicsr("srresnet_arch", "MSRResNet", num_feat=32, num_block=3, upscale=4),
        forward,
        ODD,
        {},
    ),
    (
        "srresnet",
        "XPixelGroup+BasicSR",
        basicsr("srresnet_arch", "MSRResNet", num_feat=32, num_block=3, upscale=3),
        forward,
        ODD,
        {},
    ),
    (
        "srresnet_bn",
        "Lornatang+SRGAN-PyTorch",
        plain("", "model", "SRResNet", num_rcb=3, upscale=4),
        unclipped,
        ODD,
        {},
    ),
    ("edsr", "daitao+SAN", edsr_style(EDSR, "model.edsr", "EDSR"), forward, ODD, {}),
    (
        "edsr",
        "XPixelGroup+BasicSR",
        basicsr("edsr_arch", "EDSR", num_in_ch=3, num_out_ch=3, num_feat=32, num_block=3, upscale=3),
        lambda n, x: n(x / 255) * 255,
        ODD,
        {},
    ),
    ("rcan", "yulunzhang+RCAN", edsr_style("RCAN_TestCode/code", "model.rcan", "RCAN"), forward, ODD, {}),
    (
        "rcan",
        "XPixelGroup+BasicSR",
        basicsr(
            "rcan_arch",
            "RCAN",
            num_in_ch=3,
            num_out_ch=3,
            num_feat=32,
            num_group=2,
            num_block=2,
            squeeze_factor=8,
            upscale=2,
        ),
        lambda n, x: n(x / 255) * 255,
        ODD,
        {},
    ),
    ("san", "daitao+SAN", edsr_style(EDSR, "model.san", "SAN"), forward, ODD, {}),
    ("drln", "saeed-anwar+DRLN", edsr_style(EDSR, "model.drln", "DRLN"), forward, (1, 3, 9, 11), {}),
    ("rnan", "yulunzhang+RNAN", edsr_style("SR/code", "model.rnan", "RNAN"), forward, SMALL, {}),
    ("rnan", "yulunzhang+RNAN", edsr_style("DN_RGB/code", "model.rnan", "RNAN"), forward, SMALL, {}),
    ("imdn", "Zheng222+IMDN", plain("", "model.architecture", "IMDN", nf=32), forward, ODD, {}),
    ("imdn_plain", "cszn+KAIR", plain("", "models.network_imdn", "IMDN", nc=32, nb=3), forward, ODD, {}),
    ("rfdn", "njulj+RFDN", plain("", "RFDN", "RFDN", nf=32), forward, ODD, {}),
    ("rlfn", "bytedance+RLFN", plain("", "model.rlfn", "RLFN", feature_channels=32), forward, ODD, {}),
    ("rlfn", "bytedance+RLFN", plain("", "model.rlfn_ntire", "RLFN_Prune"), forward, ODD, {}),
    (
        "pan",
        "zhaohengyuan1+PAN",
        plain("codes", "models.archs.PAN_arch", "PAN", 3, 3, 40, 24, 4, scale=4),
        forward,
        ODD,
        {},
    ),
    (
        "pan",
        "zhaohengyuan1+PAN",
        plain("codes", "models.archs.PAN_arch", "PAN", 3, 3, 40, 24, 4, scale=3),
        forward,
        ODD,
        {"scale": 3},
    ),
    (
        "srmd",
        "cszn+KAIR",
        plain("", "models.network_srmd", "SRMD", in_nc=18, nc=32, nb=5, upscale=3),
        forward,
        (2, 18, 17, 21),
        {"degradation": (0.0,) * 15},
    ),
    (
        "dncnn",
        "cszn+KAIR",
        plain("", "models.network_dncnn", "DnCNN", in_nc=3, out_nc=3, nc=32, nb=9, act_mode="R"),
        forward,
        ODD,
        {},
    ),
    (
        "dncnn",
        "cszn+KAIR",
        plain("", "models.network_dncnn", "DnCNN", in_nc=1, out_nc=1, nc=32, nb=9, act_mode="BR"),
        forward,
        (2, 1, 17, 21),
        {},
    ),
    ("ircnn", "cszn+KAIR", plain("", "models.network_dncnn", "IRCNN", in_nc=3, out_nc=3), forward, ODD, {}),
    (
        "ffdnet",
        "cszn+KAIR",
        plain("", "models.network_ffdnet", "FFDNet", in_nc=3, out_nc=3, nc=32, nb=6, act_mode="R"),
        lambda n, x: n(x, torch.full((2, 1, 1, 1), 50 / 255)),
        ODD,
        {},
    ),
    ("adnet", "hellloxiaotian+ADNet", adnet, forward, ODD, {}),
    (
        "sadnet",
        "JimmyChame+SADNet",
        plain("", "model.sadnet", "SADNET", n_channel=16, offset_channel=16),
        forward,
        SMALL,
        {},
    ),
    ("prenet", "csdwren+PReNet", plain("", "networks", "PReNet", use_GPU=False), first, ODD, {}),
    ("prenet", "csdwren+PReNet", plain("", "networks", "PReNet_r", use_GPU=False), first, ODD, {}),
    (
        "hinet",
        "megvii-model+HINet",
        lone("basicsr/models/archs/hinet_arch.py", "HINet", wf=16, depth=4),
        last,
        SMALL,
        {},
    ),
    (
        "mprnet",
        "swz30+MPRNet",
        lone("Deraining/MPRNet.py", "MPRNet", n_feat=16, scale_unetfeats=8, scale_orsnetfeats=8, num_cab=2),
        first,
        SMALL,
        {},
    ),
    ("gcanet", "cddlyf+GCANet", plain("", "GCANet", "GCANet"), forward, (2, 4, 24, 32), {"task": "dehaze"}),
    (
        "gcanet",
        "cddlyf+GCANet",
        plain("", "GCANet", "GCANet", only_residual=False),
        forward,
        (2, 4, 24, 32),
        {"task": "derain"},
    ),
    (
        "xrestormer",
        "Andrew0613+X-Restormer",
        lone("xrestormer/archs/xrestormer_arch.py", "XRestormer", BASICSR, **XR),
        forward,
        (2, 3, 64, 64),
        {"scale": 1},
    ),
    (
        "xrestormer",
        "Andrew0613+X-Restormer",
        lone("xrestormer/archs/xrestormer_arch.py", "XRestormer", BASICSR, **XR, scale=4),
        forward,
        (2, 3, 16, 32),
        {"scale": 4},
    ),
    ("hit_sr", "XiangZ-0+HiT-SR", lone("basicsr/archs/hit_srf_arch.py", "HiT_SRF", BASICSR, **HIT), forward, ODD, {}),
    (
        "hit_sr",
        "XiangZ-0+HiT-SR",
        lone("basicsr/archs/hit_sir_arch.py", "HiT_SIR", BASICSR, **HIT),
        forward,
        (1, 3, 33, 40),
        {},
    ),
    (
        "hit_sr",
        "XiangZ-0+HiT-SR",
        lone("basicsr/archs/hit_sng_arch.py", "HiT_SNG", BASICSR, **HIT),
        forward,
        (1, 3, 66, 70),
        {},
    ),
    ("craft", "AVC2-UESTC+CRAFT-SR", craft, forward, (2, 3, 16, 32), {}),
)


def shake(network):
    """Give every weight and statistic a random part: many start at 0 or 1, which would hide mistakes."""
    for name, value in network.state_dict().items():
        if name.split(".")[0] in ("sub_mean", "add_mean") or not value.is_floating_point() or "biases_" in name:
            continue
        noise = torch.randn_like(value) * (0.02 if value.dim() > 1 else 0.1)
        value.copy_((value + noise).abs() if name.endswith("running_var") else value + noise)


@torch.no_grad()
def measure(row, folder, seed):
    name, checkout, build, call, shape, untold = row
    torch.manual_seed(seed)
    reference = build(folder / checkout).eval()
    shake(reference)
    state = dict(reference.state_dict())
    fit = compare(state, name)
    if fit is None or fit.differences:
        raise SystemExit(f"{name}: the state dict of {checkout} does not fit: {fit and fit.differences[:5]}")
    told = {key: value for key, value in fit.options.items() if value is not None}
    network = network_class(name)(**{**told, **untold}).eval()
    missing, unexpected = network.load_state_dict(fit.state, strict=False)
    if unexpected or any(not network.may_lack(key) for key in missing):
        raise SystemExit(f"{name}: {missing[:5]} missing, {unexpected[:5]} unexpected")
    white = network.input_range
    x = torch.rand(shape) * white
    # Some of them change their input.
    expected, out = call(reference, x.clone()), network(x.clone())
    commit = subprocess.run(
        ["git", "-C", str(folder / checkout), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "architecture": name,
        "implementation": checkout.replace("+", "/", 1),
        "commit": commit.stdout.strip(),
        "parameters": sum(p.numel() for p in network.parameters()),
        "input": "x".join(map(str, shape)),
        "scale": network.scale,
        "identified_as": " or ".join(f.name for f in candidates(state)),
        "largest_output": f"{float(expected.abs().max()):.3g}",
        "difference": f"{float((expected - out).abs().max()) / max(1.0, float(expected.abs().max())):.1e}",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", help="one architecture; nothing is written")
    args = parser.parse_args()
    rows = []
    for seed, row in enumerate(ROWS):
        if args.only not in (None, row[0]):
            continue
        if not (args.folder / row[1]).is_dir():
            print(f"{row[0]}: no {row[1]} in {args.folder}")
            continue
        rows.append(measure(row, args.folder, seed))
        print(rows[-1], flush=True)
    if args.only is None and rows:
        with RESULT.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    if bad := [row["architecture"] for row in rows if float(row["difference"]) > TOLERANCE]:
        raise SystemExit(f"not the same: {', '.join(bad)}")


if __name__ == "__main__":
    main()
