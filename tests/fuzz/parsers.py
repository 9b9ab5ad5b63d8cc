"""Everything that reads what others wrote, and what it is fed."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import seeds
from hypothesis import strategies as st
from spoiling import NASTY, Parser, spoilt, text

from causaliqa.api.errors import InputError


def _file(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


# Tables

_CELLS = st.one_of(
    st.sampled_from(["a.png", "b.png", "sub/a.png", "../x.png", "/etc/passwd", "", "1", "1e999", "nan", "-inf", "ref"]),
    NASTY,
)
_LINES = st.lists(st.lists(_CELLS, max_size=5).map(",".join), max_size=5).map("\n".join)
_HEADS = st.sampled_from(["ref,dist,mos\n", "ref,dist,dmos,type\n", "dist,mos\n", "dist,m\n", "dataset,dist,m\n", ""])
_TABLES = st.builds(str.__add__, _HEADS, _LINES)


def _manifest(data: bytes, folder: Path) -> None:
    from causaliqa.io.manifest import read_manifest

    for name in ("a.png", "b.png"):
        (folder / name).touch()
    path = _file(folder, "m.csv", data)
    made = None
    try:
        made = read_manifest(path)
        assert all(
            Path(os.path.realpath(p)).is_relative_to(folder.resolve())
            for pair in made.pairs
            for p in (pair.ref, pair.dist)
        )
    finally:
        if made is None:
            read_manifest(path, labels_only=True)


def _scores(data: bytes, folder: Path) -> None:
    from causaliqa.api.data import Pair, PairDataset
    from causaliqa.io.score_files import match_scores, read_scores

    pairs = tuple(Pair(ref=None, dist=folder / name, label=1.0) for name in ("a.png", "sub/a.png", "b.png"))
    sets = [PairDataset(name=n, pairs=pairs, label="mos", label_lower_better=False, root=folder) for n in ("d", "e")]
    match_scores(read_scores(_file(folder, "s.csv", data)), sets)


_ROWS = (
    "dataset,metric,ref,dist,label,type,level,split,label_lower_better,label_std,label_low,label_high,lower_better,score,"
    "error,seconds\n"
    "d,m,r.png,'=i0.png,1.5,blur,1,,False,,,,True,0.5,,0.25\n"
    'd,m,r.png,"i,1.png",2.5,blur,1,,False,,,,True,,"failed, badly",0.25\n'
)


def _rows(data: bytes, folder: Path) -> None:
    from causaliqa.evaluation.rank import rank
    from causaliqa.report.merge import join, read_rows

    frame, _ = join([read_rows(_file(folder, "rows.csv", data))])
    rank(frame, draws=5)


# Settings

_REGISTRY = """
weights:
  a.pth: {url: "https://x/y", sha256: "12ab", licence: MIT, package: "p:q"}
backbones:
  b: &b {timm: x, weights: a.pth, licence: MIT, window: 4, mass: share}
  c: {<<: *b, window: 8}
restorers:
  r: {arch: EDSR, options: {num_feat: 8}, tasks: [sr], licence: MIT}
presets:
  p: {metrics: [psnr, "causal_b:terms=md"]}
datasets:
  d: {files: {a.txt: "12"}}
"""
_KEYS = st.sampled_from(["weights", "backbones", "presets", "datasets", "restorers", "licence", "timm", "metrics", "a"])
_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        NASTY,
        st.sampled_from(["2001-99-99", "!!bool x", "*a", "="]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=8,
)


def _registry(data: bytes, folder: Path) -> None:
    from causaliqa.catalog.registry import _read

    _read(_file(folder, "mine.yaml", data))


def _request(text: str, _: Path) -> None:
    from causaliqa.api.data import canonical_options
    from causaliqa.catalog.request import labels_of, parse_request

    name, options = parse_request(text)
    assert name.strip()
    canonical_options(options)
    labels_of([text, text])


def _roi(text: str, _: Path) -> None:
    from causaliqa.api.data import ROI

    ROI.parse(text)


_WORDS = (
    "score leaderboard cem list weights data report --data --metric --shard 1/3 0/0 --limit --seed --roi 8,8,8,8 "
    "metrics verify x=y --format csv psnr none.png --scores p=none.csv --device cpu --task sr --store --merge --json "
    "--preset demo --bogus --by type --batch-size -1 tiny_edsr_x4 --library --sampler --offline --registry --jobs"
)
_WORD = st.one_of(st.sampled_from(_WORDS.split()), NASTY)
_LINES_OF = (
    "score ? a.png a.png",
    "score psnr ? ?",
    "leaderboard --data ? --metric ?",
    "leaderboard --data m.csv --metric ? --limit ? --by ?",
    "leaderboard --data m.csv --scores ? --metric ?",
    "leaderboard --data m.csv --metric psnr --shard ? --store ?",
    "leaderboard --data ?=? --metric psnr",
    "list metrics ?",
    "data verify ?=?",
    "weights path ?",
    "cem ? a.png --task ? --roi ? --dry-run",
    "cem tiny_dncnn_50 a.png --task denoise --roi ? --sampler ? --dry-run",
    "lam ? a.png --task ? --roi ? --out x",
    "report ? --out x.html",
    "--registry ? list metrics",
)


def _line(words: list[str], fill: list[str]) -> list[str]:
    rest = iter(fill)
    return ["".join(next(rest) if c == "?" else c for c in word) for word in words]


_LINE = st.one_of(
    st.lists(_WORD, min_size=1, max_size=7),
    st.builds(_line, st.sampled_from([line.split() for line in _LINES_OF]), st.lists(_WORD, min_size=4, max_size=4)),
)


def _command(words: list[str], folder: Path) -> None:
    """The whole command line on names that do not exist: exit code 0, 1 or 2 and no traceback."""
    import contextlib

    from causaliqa.cli import main

    heavy = {"demo", "new-plugin", "--out", "--figure", "--rows", "--checkpoint", "doctor"}
    words = [w for w in words if w not in heavy and "\0" not in w]
    _file(folder, "a.png", seeds.pictures()[0])
    _file(folder, "m.csv", b"ref,dist,mos\na.png,a.png,1\n")
    before = Path.cwd()
    os.chdir(folder)
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code: Any = main(words)
            except SystemExit as stop:
                code = stop.code
    finally:
        os.chdir(before)
    assert code in (0, 1, 2), code
    assert "Traceback" not in err.getvalue(), err.getvalue()[-3000:]
    if code:
        raise InputError(err.getvalue()[-500:] or "nothing was said")


# Pictures


def _image(data: bytes, folder: Path) -> None:
    from causaliqa.io.images import image_size, load_image

    path = _file(folder, "a.png", data)
    size = image_size(path)
    x = load_image(path)
    assert x.ndim == 4 and x.shape[:2] == (1, 3) and sorted(x.shape[2:]) == sorted(size)
    assert 0 <= float(x.min()) <= float(x.max()) <= 1


def _channels(data: bytes, folder: Path) -> None:
    from causaliqa.io.channels import load_channels
    from causaliqa.io.file_kinds import HDR_KINDS, kind_of
    from causaliqa.io.linear_light import read_light

    path = _file(folder, "a.npy", data)
    if kind_of(path) in HDR_KINDS:
        light = read_light(path)
        assert light.ndim == 3 and light.shape[2] in (1, 3) and np.isfinite(light).all() and light.min() >= 0
        return
    x = load_channels(path)
    assert x.ndim == 4 and x.shape[0] == 1 and 0 <= float(x.min()) <= float(x.max()) <= 1


# Weights


def _checkpoint(data: tuple[str, bytes], folder: Path) -> None:
    from torch import nn

    from causaliqa.builtin.restorers.checkpoint import load_checkpoint
    from causaliqa.io.weights import load_state

    path = _file(folder, f"net{data[0]}", data[1])
    load_state(path)
    load_checkpoint(nn.Linear(2, 3), path)


# What runs leave behind


def _effects(data: tuple[bytes, bytes], folder: Path) -> None:
    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.report.map_table import render, statistics

    _file(folder, "cem.npz", data[0])
    _file(folder, "summary.json", data[1])
    maps = {"map": EffectMap.load(folder)}
    for how in ("plain", "csv", "latex", "json"):
        render(statistics(maps), how)


def _library(data: bytes, folder: Path) -> None:
    from causaliqa.builtin.samplers.natural import Library

    Library(_file(folder, "library.npz", data)).patches(8)


def _stored(data: bytes, folder: Path) -> None:
    from causaliqa.evaluation.rank import rank
    from causaliqa.report.merge import read_store

    for leftover in folder.glob("s.sqlite*"):
        leftover.unlink()
    rank(read_store(_file(folder, "s.sqlite", data), {}).rows, draws=5)


def _journal(data: bytes, folder: Path) -> None:
    from causaliqa.effects.journal import Journal

    with Journal(_file(folder, "cem.journal", data), seeds.SETTINGS) as journal:
        journal.add("fine", 1, np.array([1.0]))


# Label files of archives

_LABELS = {
    "kadid10k": (
        "dmos.csv",
        b"dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,4.5,0.2\nI01_01_02.png,I01.png,1.5,0.2\n",
    ),
    "tid2013": ("mos_with_names.txt", b"5.5 I01_01_1.bmp\n2.5 I01_01_2.bmp\n"),
    "pipal": ("Train_Label/A0001.txt", b"A0001_00_00.bmp,1520.0648\nA0001_00_01.bmp,1400\n"),
}


def _labels(data: tuple[str, bytes], folder: Path) -> None:
    path = folder / data[0] / _LABELS[data[0]][0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data[1])
    from causaliqa.builtin.datasets.load import load

    load(folder / data[0], archive=data[0], labels_only=True, references=1, images=2)


_JSON = st.one_of(
    st.deferred(lambda: spoilt(seeds.effect_map()[1])),
    st.dictionaries(st.sampled_from(["roi", "patch_size", "scale", "restorer", "inferences"]), _VALUES).map(
        lambda facts: json.dumps({**json.loads(seeds.effect_map()[1]), **facts}).encode()
    ),
)

PARSERS = (
    Parser("manifest", text("ref,dist,mos\na.png,b.png,4\nb.png,a.png,3\n", free=_TABLES), _manifest),
    Parser("scores", text("dist,m\na.png,1\nb.png,\n", "dataset,dist,m\nd,b.png,1\n", free=_TABLES), _scores),
    Parser("rows", text(_ROWS, free=_LINES.map(lambda text: _ROWS.split("\n", maxsplit=1)[0] + "\n" + text)), _rows),
    Parser("registry", text(_REGISTRY, free=st.one_of(NASTY, _VALUES.map(json.dumps))), _registry),
    Parser(
        "option",
        st.one_of(NASTY, st.builds("causal_vgg:{}={},seed={}".format, st.sampled_from(["a", "b_1"]), NASTY, NASTY)),
        _request,
    ),
    Parser("roi", st.one_of(NASTY, st.lists(st.one_of(st.integers().map(str), NASTY), max_size=5).map(",".join)), _roi),
    Parser("command", _LINE, _command),
    Parser("image", st.deferred(lambda: st.one_of(spoilt(*seeds.pictures()), st.binary(max_size=80))), _image),
    Parser("channels", st.deferred(lambda: spoilt(*seeds.more_pictures())), _channels),
    Parser(
        "checkpoint",
        st.deferred(
            lambda: st.one_of(*(spoilt(data).map(lambda d, s=suffix: (s, d)) for suffix, data in seeds.checkpoints()))
        ),
        _checkpoint,
    ),
    Parser(
        "effect map",
        st.deferred(lambda: st.tuples(st.one_of(st.just(seeds.effect_map()[0]), spoilt(seeds.effect_map()[0])), _JSON)),
        _effects,
    ),
    Parser("library", st.deferred(lambda: spoilt(seeds.library())), _library),
    Parser("store", st.deferred(lambda: spoilt(seeds.store())), _stored, needs="causaliqa.evaluation.recovery"),
    Parser("journal", st.deferred(lambda: spoilt(seeds.journal())), _journal, needs="causaliqa.evaluation.recovery"),
    Parser(
        "label file",
        st.one_of(*(spoilt(seed).map(lambda d, n=name: (n, d)) for name, (_, seed) in _LABELS.items())),
        _labels,
    ),
)
