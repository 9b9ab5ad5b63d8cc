"""Videos: folders of frames, and files that PyAV (FFmpeg) reads, frame by frame as RGB in [0, 1]."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import CausaliqaError, ImageError, InputError
from causaliqa.io.images import image_key, image_suffixes, load_image
from causaliqa.io.weights import sha256
from causaliqa.utils.files import nearby
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from torch import Tensor

    Frame = Callable[[], Tensor]

__all__ = ["Video", "open_video"]

_HD = 720
"""Rows from which a file that names no colour matrix is taken for BT.709, below for BT.601, as players do."""


@dataclass(frozen=True, kw_only=True)
class Video:
    """A sequence of frames on disk."""

    path: Path
    """Folder or file."""
    count: int
    """Number of frames."""
    rate: Fraction | None = None
    """Frames per second; None for a folder, which has none."""
    files: tuple[Path, ...] = field(default=(), repr=False)
    """The frames of a folder in order."""

    def frames(self) -> Iterator[Frame]:
        """Yield every frame in order as a function that returns it as ``(1, 3, H, W)``, float32 RGB in [0, 1].

        A function must be called before the next one is fetched; frames that nobody asks for are not converted.

        Raises:
            ImageError: the file is damaged, or ends before its last frame.
        """
        if self.files:
            yield from (partial(load_image, path) for path in self.files)
            return
        done = 0
        with _container(self.path) as (container, stream):
            for frame in container.decode(stream):
                done += 1
                yield partial(_pixels, frame)
        if done != self.count:
            raise ImageError(f"video {self.path}: got {done} frames, expected {self.count}; it is damaged")

    def key(self, number: int) -> str:
        """Return what stored scores know a frame by: the content of its file, or of the video and its place in it."""
        return image_key(self.files[number]) if self.files else f"{self._checksum}#{number}"

    def name(self, number: int) -> str:
        """Return what messages call a frame."""
        return str(self.files[number]) if self.files else f"{self.path}, frame {number}"

    @cached_property
    def _checksum(self) -> str:
        return sha256(self.path)


def open_video(path: str | os.PathLike[str]) -> Video:
    """Look at a video: a folder of frames, in the order of the numbers in their names, or a file.

    Frames of a file are counted by its packets, without decoding.

    Raises:
        ImageError: the path does not exist, holds no frames or is no video.
        InputError: PyAV is needed and not installed.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for number in (10, 9):
        ...         Image.new("RGB", (8, 8)).save(f"{folder}/f{number}.png")
        ...     video = open_video(folder)
        >>> video.count, [file.name for file in video.files]
        (2, ['f9.png', 'f10.png'])
    """
    path = Path(path)
    if not path.exists():
        raise ImageError(f"video {path} does not exist; expected a file or a folder of frames{nearby(path)}")
    if path.is_dir():
        found = sorted((p for p in path.iterdir() if p.suffix.lower() in image_suffixes()), key=_by_numbers)
        if not found:
            raise ImageError(f"video {path}: got no image in the folder, expected frames")
        return Video(path=path, count=len(found), files=tuple(found))
    with _container(path) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate
        count = sum(1 for packet in container.demux(stream) if packet.size)
    if not count:
        raise ImageError(f"video {path}: got no frame")
    return Video(path=path, count=count, rate=Fraction(rate) if rate else None)


def _by_numbers(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort numbers in names as numbers."""
    parts = re.findall(r"\d+|\D+", path.stem)
    return [(int(part), "") if part.isdecimal() and part.isascii() else (-1, part) for part in parts], path.name


@contextmanager
def _container(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file; what FFmpeg says becomes one line."""
    try:
        import av
    except ImportError as error:
        raise InputError(f"video {path}: PyAV is needed to read it: pip install 'causaliqa[video]'") from error
    av.logging.set_level(av.logging.PANIC)  # its messages on stderr name no file
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ImageError(f"video {path}: got no video stream")
            stream: Any = container.streams.video[0]  # takes texts that its stubs do not
            stream.thread_type = "AUTO"
            yield container, stream
    except CausaliqaError:
        raise
    except av.FFmpegError as error:
        raise ImageError(f"video {path} cannot be read: {brief(error, 200, kind=False)}") from error


def _pixels(frame: Any) -> Tensor:
    """Return a decoded frame; more than 8 bits are kept."""
    import numpy as np
    import torch
    from av.video.reformatter import Colorspace

    deep = max(part.bits for part in frame.format.components) > 8
    unknown = int(frame.colorspace) == 2 and not frame.format.is_rgb  # AVCOL_SPC_UNSPECIFIED
    matrix = (Colorspace.ITU709 if frame.height >= _HD else Colorspace.ITU601) if unknown else None
    values = frame.to_ndarray(format="rgb48le" if deep else "rgb24", src_colorspace=matrix)
    rgb = values.astype(np.float32) / np.float32(65535 if deep else 255)
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].contiguous()
