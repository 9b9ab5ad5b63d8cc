"""A restoration network as a black box: runs on its device, in batches that fit its memory, sizes checked."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.api.protocols import Restorer
from causaliqa.effects.cone import Cone
from causaliqa.effects.grid import Box
from causaliqa.functional.restored import REPEATS, check_output, check_range, check_repeats
from causaliqa.functional.untouched import Snapshot, first_parameter, untouched
from causaliqa.utils.checksums import state_dict_checksum
from causaliqa.utils.text import brief

__all__ = ["BlackBox", "NetworkError"]

_LOG = logging.getLogger(__name__)

_OUT_OF_MEMORY: tuple[type[BaseException], ...] = (torch.cuda.OutOfMemoryError, MemoryError)
"""Raised when memory runs out; torch's class has this name in every version."""


_FORMER_MODULES = {
    "causaliqa.builtin.restorers.architectures": "causaliqa.restorers.archs",
    "causaliqa.builtin.restorers.padding": "causaliqa.restorers.adapt",
}
"""Where classes of the toolkit were when the first journals were written: fingerprints stay what they were."""


class NetworkError(InputError):
    """The network itself failed."""


def _network_error(error: Exception, inputs: Tensor) -> Exception:
    """Return what a network raised as one line that names the size of its input; lack of memory stays what it is."""
    if isinstance(error, (*_OUT_OF_MEMORY, CausaliqaError)):
        return error
    return NetworkError(f"network fails on an input of {tuple(inputs.shape)}: {brief(error, 200)}")


@dataclass(frozen=True, kw_only=True)
class _Way:
    """How the network is called."""

    inference: bool = False
    """Under ``inference_mode``, not only ``no_grad``."""
    channels_last: bool = False
    """With the input in channels-last layout."""
    dtype: torch.dtype = torch.float32
    """Type of the input."""


class BlackBox:
    """Call a restorer on any number of inputs; it is evaluated in evaluation mode, and left as it was.

    On the CPU it sees one image at a time: that is as fast there, and convolutions round differently at other batch
    sizes. Elsewhere batches have a fixed size, halved when memory runs out, and the last one is filled up.

    Args:
        forward_func: ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, s h, s w)``.
        scale: s, side of the output divided by the side of the input.
        device: where it runs; None for where its parameters are.
    """

    def __init__(self, forward_func: Restorer, scale: int, device: str | torch.device | None = None) -> None:
        if not isinstance(scale, int) or scale < 1:
            raise InputError(f"scale: got {scale!r}, expected a whole number, 1 or more")
        self.forward_func = forward_func
        self.scale = scale
        own = first_parameter(forward_func)
        self.device = torch.device(device or (own.device if own is not None else "cpu"))
        self._dtype = own.dtype if own is not None and own.is_floating_point() else torch.float32
        self._way = _Way()
        self._kept: Snapshot | None = None
        self.batch_size = 1
        self.inferences = 0

    @property
    def fingerprint(self) -> str:
        """Checksum of class and weights; of a plain function, its name alone."""
        function = self.forward_func
        named = function if hasattr(function, "__qualname__") else type(function)
        module = _FORMER_MODULES.get(named.__module__, named.__module__)
        name = f"{module}.{named.__qualname__}"
        if isinstance(function, nn.Module):
            return state_dict_checksum(function.state_dict(), prefix=name + str(function))
        return state_dict_checksum({}, prefix=name)

    def fit(self, batch_size: int | str, img: Tensor) -> None:
        """Set the batch size; ``"auto"`` fills 60 % of the free memory of the device, measured on one image."""
        if batch_size != "auto":
            if not isinstance(batch_size, int) or batch_size < 1:
                raise InputError(f"batch size: got {batch_size!r}, expected auto or a whole number, 1 or more")
            self.batch_size = batch_size
        elif self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_allocated(self.device)
            self(img[None])
            each = max(1, torch.cuda.max_memory_allocated(self.device) - before)
            free, _ = torch.cuda.mem_get_info(self.device)
            self.batch_size = max(1, min(256, int(0.6 * free / each)))

    @property
    def effective_batch_size(self) -> int:
        """Images that the network sees at once: 1 on the CPU."""
        return 1 if self.device.type == "cpu" else self.batch_size

    def __call__(self, inputs: Tensor) -> Tensor:
        """Restore ``(N, 3, h, w)``, N at most the batch size; returns the output on the CPU.

        Raises:
            InputError: the output has another size.
        """
        return self.crop(inputs, lambda out: out)

    def crop(self, inputs: Tensor, cut: Callable[[Tensor], Tensor]) -> Tensor:
        """Restore ``(N, 3, h, w)`` and bring only ``cut`` of each output to the CPU."""
        parts, start = [], 0
        while start < len(inputs):
            size = self.effective_batch_size
            chunk = inputs[start : start + size]
            try:
                # A copy: a network may return the same tensor at every call.
                parts.append(cut(self._forward(chunk, size)).to("cpu", copy=True))
            except _OUT_OF_MEMORY:
                if size == 1:
                    raise
                self.batch_size = size // 2
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
            else:
                start += len(chunk)
        return torch.cat(parts)

    def _forward(self, chunk: Tensor, size: int) -> Tensor:
        full = chunk
        if len(chunk) < size:
            full = torch.cat([chunk, chunk[-1:].expand(size - len(chunk), -1, -1, -1)])
        out = self._run(full, self._way)
        self.inferences += len(chunk)
        return out[: len(chunk)]

    def _run(self, inputs: Tensor, way: _Way) -> Tensor:
        """Call the network once, on a copy of the input.

        Raises:
            NetworkError: it fails.
            InputError: it returns anything but a tensor of the right size.
        """
        layout = torch.channels_last if way.channels_last else torch.contiguous_format
        off = torch.autocast(self.device.type, enabled=False)
        with self.untouched() as kept, torch.inference_mode(way.inference), torch.no_grad(), off:
            given = inputs.detach().to(self.device, way.dtype, copy=True, memory_format=layout)
            try:
                out = self.forward_func(given)
            except Exception as error:
                raise _network_error(error, inputs) from error
            finally:
                kept.restore_buffers()
            return check_output(out, inputs.shape, self.scale).detach().float()

    def cone(self, img: Tensor, region: Box) -> Cone | None:
        """Return what computes a region of the output from the changes of an input, None where that is not known.

        Only on the CPU: elsewhere, batches of whole inputs fill the device.

        Args:
            img: the input without intervention, ``(3, h, w)``.
            region: rectangle of the output, in output pixels.
        """
        if self.device.type != "cpu" or self._way.dtype != torch.float32:
            return None
        layout = torch.channels_last if self._way.channels_last else torch.contiguous_format
        try:
            with self.untouched() as kept, torch.autocast("cpu", enabled=False):
                try:
                    return Cone(self.forward_func, img[None].to(memory_format=layout), region)
                finally:
                    kept.restore_buffers()
        except Exception as error:  # whatever it is, the network runs without it
            _LOG.debug("every intervention runs the whole network: %s", brief(error, 200))
            return None

    def changed(self, cone: Cone, inputs: Tensor) -> Tensor:
        """Return the region of the outputs for inputs ``(N, 3, h, w)``, as :meth:`crop` does."""
        with torch.inference_mode():
            parts = [cone(img[None]) for img in inputs]
        self.inferences += len(inputs)
        return torch.cat(parts)

    def differentiable(self, inputs: Tensor) -> Tensor:
        """Call the network so that gradients reach ``inputs``, ``(N, 3, h, w)``; the caller holds :meth:`untouched`.

        Raises:
            InputError: it fails, or returns anything but a tensor of the right size.
        """
        try:
            # A copy: a network may change its input in place, which no leaf allows.
            out = self.forward_func(inputs.clone().to(self._way.dtype))
        except Exception as error:
            raise _network_error(error, inputs) from error
        return check_output(out, inputs.shape, self.scale).float()

    @contextlib.contextmanager
    def untouched(self) -> Iterator[Snapshot]:
        """Keep the network in evaluation mode meanwhile, and leave it as it was; may be nested."""
        if self._kept is not None:
            yield self._kept
            return
        with untouched(self.forward_func) as kept:
            self._kept = kept
            try:
                yield kept
            finally:
                self._kept = None

    def look(self, img: Tensor) -> None:
        """Run the network on an image before anything is measured, and find the fastest way that it takes.

        Its output is checked for size, type, value range, and for being the same twice. Channels-last layout and
        inference mode are kept only where they give the same output as a contiguous tensor under ``no_grad``.

        Args:
            img: degraded input ``(3, h, w)``.

        Raises:
            InputError: the network fails, or its output is not what a restorer returns.
        """
        plain = self._plain_way(img)
        truth = self._run(img[None], plain)
        check_range(truth, img[None].to(truth))
        check_repeats(truth, self._run(img[None], plain))
        self._way = plain
        for inference, channels_last in ((True, True), (True, False), (False, True)):
            way = replace(plain, inference=inference, channels_last=channels_last)
            try:
                out = self._run(img[None], way)
            except InputError:
                continue
            if float((out - truth).nan_to_num().abs().max()) <= REPEATS:
                self._way = way
                return

    def _plain_way(self, img: Tensor) -> _Way:
        """Contiguous, under ``no_grad``, in float32 or the type of the weights; whichever the network takes."""
        try:
            self._run(img[None], _Way())
        except NetworkError as error:
            if self._dtype != torch.float32:
                return _Way(dtype=self._dtype)
            raise InputError(f"{error}{self._sizes(img)}") from error
        return _Way()

    def _sizes(self, img: Tensor) -> str:
        """Say which multiples the network does take, if it refuses an image because of its size."""
        for multiple in (2, 4, 8, 16, 32, 64, 128):
            height, width = (side // multiple * multiple for side in img.shape[-2:])
            if not height or not width or (height, width) == tuple(img.shape[-2:]):
                continue
            try:
                self._run(img[None, :, :height, :width], _Way())
            except InputError:
                continue
            return f"; it takes {height} x {width}: pad inside to a multiple of {multiple}, or crop the image"
        return ""
