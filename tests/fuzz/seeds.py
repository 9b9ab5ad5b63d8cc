"""What is fine, before it is spoilt."""

from __future__ import annotations

import functools
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

SETTINGS = {"seed": 0, "roi": [8, 8, 8, 8]}
"""Of the run whose journal it is."""


@functools.cache
def pictures() -> tuple[bytes, ...]:
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


@functools.cache
def more_pictures() -> tuple[bytes, ...]:
    """What others than Pillow read: arrays, TIFF of many channels, deep colour, linear light."""
    import cv2
    import tifffile

    rng = np.random.default_rng(0)
    deep, light = rng.integers(0, 65536, (9, 7, 5), dtype=np.uint16), rng.random((9, 7, 3), np.float32)
    made = []
    for array in (deep, light, deep[..., 0].astype(np.uint8)):
        buffer = io.BytesIO()
        np.save(buffer, array)
        made.append(buffer.getvalue())
    for pixels, kind in ((deep, "minisblack"), (deep[..., :3], "rgb")):
        for planar in ("contig", "separate"):
            buffer = io.BytesIO()
            stored = pixels if planar == "contig" else pixels.transpose(2, 0, 1)
            tifffile.imwrite(buffer, stored, photometric=kind, planarconfig=planar)
            made.append(buffer.getvalue())
    made.append(cv2.imencode(".png", deep[..., :3])[1].tobytes())
    made.append(cv2.imencode(".hdr", light)[1].tobytes())
    made += [b"PF\n7 9\n-1.0\n" + light.tobytes(), b"Pf\n7 9\n1\n" + light[..., 0].astype(">f4").tobytes()]
    return tuple(made)


@functools.cache
def checkpoints() -> tuple[tuple[str, bytes], ...]:
    import torch
    from safetensors.torch import save

    state = {"weight": torch.arange(6.0).reshape(3, 2), "bias": torch.zeros(3)}
    made = [(".safetensors", save(state))]
    for content, zipped in ((state, True), (state, False), ({"params_ema": state, "epoch": 3}, True)):
        buffer = io.BytesIO()
        torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
        made.append((".pth", buffer.getvalue()))
    return tuple(made)


@functools.cache
def effect_map() -> tuple[bytes, bytes]:
    from causaliqa.api.data import ROI
    from causaliqa.effects.effect_map import EffectMap

    effect = np.array([[0.5, 0.0], [-0.2, np.nan]])
    made = EffectMap(
        **{"effect": effect, "count": np.full((2, 2), 4), "sem": np.full((2, 2), 0.1), "samples": effect[..., None]},
        **{"image": np.zeros((16, 16, 3), np.uint8), "base": 30.0, "roi": ROI(8, 8, 8, 8), "patch_size": 8},
        facts={"restorer": "tiny", "scale": 1, "inferences": 4},
    )
    with tempfile.TemporaryDirectory() as folder:
        made.save(folder, pictures=False)
        return tuple((Path(folder) / name).read_bytes() for name in ("cem.npz", "summary.json"))  # type: ignore[return-value]


@functools.cache
def library() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, patches=np.zeros((3, 8, 8, 3), np.uint8))
    return buffer.getvalue()


@functools.cache
def store() -> bytes:
    import sqlite3

    from causaliqa.api.data import ScoreKey, ScoreRow
    from causaliqa.evaluation.store import ScoreStore

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


@functools.cache
def journal() -> bytes:
    from causaliqa.effects.journal import Journal

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cem.journal"
        with Journal(path, SETTINGS) as journal:
            for patch in range(3):
                journal.add("coarse", patch, np.array([0.5, -0.25]))
        return path.read_bytes()
