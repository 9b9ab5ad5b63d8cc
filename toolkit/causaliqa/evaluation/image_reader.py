"""Images of a data set, decoded and copied to a device by threads before they are needed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from causaliqa.api.errors import CausaliqaError
from causaliqa.io.images import load_image

if TYPE_CHECKING:
    from torch import Tensor

    Loaded = Tensor | CausaliqaError
    Image = Callable[[], Loaded]

__all__ = ["ImageReader"]


class ImageReader:
    """Reads images in the background; a context, whose end stops the threads.

    On CUDA, images are copied from pinned memory in a stream of their own, beside the computation.

    Args:
        device: torch device of the images.
        threads: images that are decoded at the same time.

    Example:
        >>> with ImageReader("cpu") as reader:
        ...     image = reader.start(Path("missing.png"))
        >>> str(image()).startswith("image missing.png")
        True
    """

    def __init__(self, device: str, threads: int = 1) -> None:
        import torch

        self._device = torch.device(device)
        self._stream: torch.cuda.Stream | None = None
        if self._device.type == "cuda":
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        self._pool = ThreadPoolExecutor(threads)
        self._reference = lru_cache(maxsize=1)(self._submit)

    def __enter__(self) -> ImageReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)

    def start(self, path: Path | None) -> Image:
        """Begin to read an image; calling the result waits for it. An image that cannot be read is its error."""
        return self._submit(path).result

    def start_reference(self, path: Path | None) -> Image:
        """Begin to read a reference, which is read once for pairs that follow each other."""
        return self._reference(path).result

    def _submit(self, path: Path | None) -> Future[Loaded]:
        return self._pool.submit(self._load, path)

    def _load(self, path: Path | None) -> Loaded:
        if path is None:
            return CausaliqaError("no reference is known")
        try:
            return self._to_device(load_image(path))
        except CausaliqaError as error:
            return error

    def _to_device(self, img: Tensor) -> Tensor:
        import torch

        if self._stream is None:
            return img.to(self._device)
        with torch.cuda.stream(self._stream):
            moved = img.pin_memory().to(self._device, non_blocking=True)
        self._stream.synchronize()
        # Freed memory must not be reused by this stream while the computation still reads it.
        moved.record_stream(torch.cuda.default_stream(self._device))
        return moved
