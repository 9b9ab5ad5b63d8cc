"""Clips for tests of videos: a moving pattern, as frames or encoded by PyAV."""

from pathlib import Path

import numpy as np
from PIL import Image


def frames(count, side=64, noise=0.0, seed=0):
    """Yield frames: a wave that moves one pixel a frame, with noise that grows towards the middle of the clip."""
    y, x = np.mgrid[:side, :side]
    for k in range(count):
        rng = np.random.default_rng((seed, k))
        wave = np.stack([128 + 60 * np.sin((x + k) / 5 + c) + 30 * np.cos(y / 7) for c in range(3)], axis=2)
        strength = noise * (1 - abs(2 * k / max(1, count - 1) - 1))
        yield (wave + strength * rng.normal(size=wave.shape)).clip(0, 255).round().astype(np.uint8)


def write_folder(folder, made):
    """Write frames as PNG, numbered without leading zeros."""
    folder = Path(folder)
    folder.mkdir()
    for k, pixels in enumerate(made):
        Image.fromarray(pixels).save(folder / f"frame{k}.png")
    return folder


def write_clip(path, made, codec="ffv1", pixels="bgr0", rate=25):
    """Encode frames; ffv1 in RGB loses nothing."""
    import av

    with av.open(str(path), "w") as container:
        stream = None
        for frame in made:
            if stream is None:
                stream = container.add_stream(codec, rate=rate)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = pixels
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return Path(path)
