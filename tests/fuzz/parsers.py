"""Everything that reads what others wrote, and what it is fed."""

from __future__ import annotations

import functools
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from spoiling import NASTY, Parser, spoilt, text

from causaliqa.errors import InputError


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
    from causaliqa.datasets.manifest import read_manifest

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
    from causaliqa.datasets.scores import match_scores, read_scores
    from causaliqa.specs import Pair, PairDataset

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
    from causaliqa.leaderboard import rank
    from causaliqa.report.sources import join, read_rows

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
    from causaliqa.config import _read

    _read(_file(folder, "mine.yaml", data))


def _request(text: str, _: Path) -> None:
    from causaliqa.catalog import parse_request
    from causaliqa.cli._rows import labels_of
    from causaliqa.specs import canonical_options

    name, options = parse_request(text)
    assert name.strip()
    canonical_options(options)
    labels_of([text, text])


def _roi(text: str, _: Path) -> None:
    from causaliqa.specs import ROI

    ROI.parse(text)


_WORDS = (
    "score leaderboard cem list weights data report --data --metric --shard 1/3 0/0 --limit --seed --roi 8,8,8,8 "
    "metrics verify x=y --format csv psnr none.png --scores p=none.csv --device cpu --task sr --store --merge --jobs -1 --json "
    "--preset demo --bogus --by type --batch-size tiny_edsr_x4 --library --sampler --offline --registry --allow-outside"
)
_LINE = st.one_of(st.sampled_from(_WORDS.split()), NASTY)


def _command(words: list[str], folder: Path) -> None:
    """The whole command line on names that do not exist: exit code 0, 1 or 2 and no traceback."""
    import contextlib

    from causaliqa.cli import main

    heavy = {"demo", "new-plugin", "--out", "--figure", "--rows", "--checkpoint", "doctor"}
    words = [w for w in words if w not in heavy and "\0" not in w]
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
    assert "Traceback" not in err.getvalue()
    if code:
        raise InputError(err.getvalue()[-500:] or "nothing was said")


# Pictures


@functools.cache
def _pictures() -> tuple[bytes, ...]:
    from PIL import Image

    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (5, 6), dtype=np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "text"
    kinds: list[tuple[Any, str, dict[str, Any]]] = [
        *((rgb, kind, {"exif": exif}) for kind in ("png", "jpeg", "webp", "tiff")),
        *((rgb, kind, {}) for kind in ("bmp", "gif", "ppm", "jpeg2000", "tga")),
        (rgb, "jpeg", {"progressive": True, "subsampling": 2}),
        (rgb, "webp", {"lossless": True}),
        (rgb, "tiff", {"compression": "tiff_lzw"}),
        (rgb, "tiff", {"compression": "tiff_deflate"}),
        (rgb, "tiff", {"compression": "jpeg"}),
        (rgb.convert("P"), "png", {"transparency": 0}),
        (rgb.convert("P"), "bmp", {}),
        (rgb.convert("CMYK"), "jpeg", {}),
        (rgb.convert("LA"), "png", {}),
        (rgb.convert("1"), "tiff", {"compression": "group4"}),
        (rgb, "gif", {"save_all": True, "append_images": [rgb.rotate(180)]}),
        (deep, "png", {}),
        (deep, "tiff", {}),
    ]
    made = []
    for image, kind, options in kinds:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        made.append(buffer.getvalue())
    return tuple(made)


def _image(data: bytes, folder: Path) -> None:
    from causaliqa.images import image_size, load_image

    path = _file(folder, "a.png", data)
    size = image_size(path)
    x = load_image(path)
    assert x.ndim == 4 and x.shape[:2] == (1, 3) and sorted(x.shape[2:]) == sorted(size)
    assert 0 <= float(x.min()) <= float(x.max()) <= 1


# Weights


@functools.cache
def _checkpoints() -> tuple[tuple[str, bytes], ...]:
    import torch
    from safetensors.torch import save

    state = {"weight": torch.arange(6.0).reshape(3, 2), "bias": torch.zeros(3)}
    made = [(".safetensors", save(state))]
    for content, zipped in ((state, True), (state, False), ({"params_ema": state, "epoch": 3}, True)):
        buffer = io.BytesIO()
        torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
        made.append((".pth", buffer.getvalue()))
    return tuple(made)


def _checkpoint(data: tuple[str, bytes], folder: Path) -> None:
    from torch import nn

    from causaliqa.restorers.checkpoint import load_checkpoint
    from causaliqa.weights import load_state

    path = _file(folder, f"net{data[0]}", data[1])
    load_state(path)
    load_checkpoint(nn.Linear(2, 3), path)


# What runs leave behind


@functools.cache
def _map() -> tuple[bytes, bytes]:
    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.specs import ROI

    effect = np.array([[0.5, 0.0], [-0.2, np.nan]])
    made = EffectMap(
        **{"effect": effect, "count": np.full((2, 2), 4), "sem": np.full((2, 2), 0.1), "samples": effect[..., None]},
        **{"image": np.zeros((16, 16, 3), np.uint8), "base": 30.0, "roi": ROI(8, 8, 8, 8), "patch_size": 8},
        facts={"restorer": "tiny", "scale": 1, "inferences": 4},
    )
    with tempfile.TemporaryDirectory() as folder:
        made.save(folder, pictures=False)
        return tuple((Path(folder) / name).read_bytes() for name in ("cem.npz", "summary.json"))  # type: ignore[return-value]


def _effects(data: tuple[bytes, bytes], folder: Path) -> None:
    from causaliqa.effects.effect_map import EffectMap
    from causaliqa.report.cem_table import render, statistics

    _file(folder, "cem.npz", data[0])
    _file(folder, "summary.json", data[1])
    maps = {"map": EffectMap.load(folder)}
    for how in ("plain", "csv", "latex", "json"):
        render(statistics(maps), how)


@functools.cache
def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, patches=np.zeros((3, 8, 8, 3), np.uint8))
    return buffer.getvalue()


def _library(data: bytes, folder: Path) -> None:
    from causaliqa.samplers.natural import Library

    Library(_file(folder, "library.npz", data)).patches(8)


@functools.cache
def _store() -> bytes:
    import sqlite3

    from causaliqa.specs import ScoreKey, ScoreRow
    from causaliqa.store import ScoreStore

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.sqlite"
        with ScoreStore(path) as store:
            for k in range(3):
                key = ScoreKey(metric="m", version="1", dataset="d", img_hash=str(k), ref_hash="r", protocol="1")
                store.put(
                    key, ScoreRow(dataset="d", metric="m", ref="r.png", dist=f"{k}.png", label=1.0, score=float(k))
                )
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        return path.read_bytes()


def _stored(data: bytes, folder: Path) -> None:
    from causaliqa.leaderboard import rank
    from causaliqa.report.sources import read_store

    for leftover in folder.glob("s.sqlite*"):
        leftover.unlink()
    rank(read_store(_file(folder, "s.sqlite", data), {}).rows, draws=5)


_SETTINGS = {"seed": 0, "roi": [8, 8, 8, 8]}


@functools.cache
def _lines() -> bytes:
    from causaliqa.effects.journal import Journal

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cem.journal"
        with Journal(path, _SETTINGS) as journal:
            for patch in range(3):
                journal.add("coarse", patch, np.array([0.5, -0.25]))
        return path.read_bytes()


def _journal(data: bytes, folder: Path) -> None:
    from causaliqa.effects.journal import Journal

    with Journal(_file(folder, "cem.journal", data), _SETTINGS) as journal:
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
    from importlib import import_module

    module = {"tid2013": "tid"}.get(data[0], data[0])
    path = folder / data[0] / _LABELS[data[0]][0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data[1])
    load = getattr(import_module(f"causaliqa.datasets.{module}"), f"load_{data[0]}")
    load(folder / data[0], labels_only=True, references=1, images=2)


_JSON = st.one_of(
    st.deferred(lambda: spoilt(_map()[1])),
    st.dictionaries(st.sampled_from(["roi", "patch_size", "scale", "restorer", "inferences"]), _VALUES).map(
        lambda facts: json.dumps({**json.loads(_map()[1]), **facts}).encode()
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
    Parser("command", st.lists(_LINE, min_size=1, max_size=7), _command),
    Parser("image", st.deferred(lambda: st.one_of(spoilt(*_pictures()), st.binary(max_size=80))), _image),
    Parser(
        "checkpoint",
        st.deferred(
            lambda: st.one_of(*(spoilt(data).map(lambda d, s=suffix: (s, d)) for suffix, data in _checkpoints()))
        ),
        _checkpoint,
    ),
    Parser(
        "effect map", st.deferred(lambda: st.tuples(st.one_of(st.just(_map()[0]), spoilt(_map()[0])), _JSON)), _effects
    ),
    Parser("library", st.deferred(lambda: spoilt(_npz())), _library),
    Parser("store", st.deferred(lambda: spoilt(_store())), _stored, needs="causaliqa.recovery"),
    Parser("journal", st.deferred(lambda: spoilt(_lines())), _journal, needs="causaliqa.recovery"),
    Parser(
        "label file",
        st.one_of(*(spoilt(seed).map(lambda d, n=name: (n, d)) for name, (_, seed) in _LABELS.items())),
        _labels,
    ),
)
