"""A restoration network as a black box: runs on its device, in batches that fit its memory, sizes checked."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from causaliqa.api.errors import InputError
from causaliqa.api.protocols import Restorer
from causaliqa.utils.checksums import state_dict_checksum

__all__ = ["BlackBox"]

_OUT_OF_MEMORY: tuple[type[BaseException], ...] = (torch.cuda.OutOfMemoryError, MemoryError)
"""Raised when memory runs out; torch's class has this name in every version."""


_FORMER_MODULES = {
    "causaliqa.builtin.restorers.architectures": "causaliqa.restorers.archs",
    "causaliqa.builtin.restorers.padding": "causaliqa.restorers.adapt",
}
"""Where classes of the toolkit were when the first journals were written: fingerprints stay what they were."""


class BlackBox:
    """Call a restorer on any number of inputs.

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
        own = next(forward_func.parameters(), None) if isinstance(forward_func, nn.Module) else None
        self.device = torch.device(device or (own.device if own is not None else "cpu"))
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
                parts.append(cut(self._forward(chunk, size)).cpu())
            except _OUT_OF_MEMORY:
                if size == 1:
                    raise
                self.batch_size = size // 2
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
            else:
                start += len(chunk)
        return torch.cat(parts)

    @torch.inference_mode()
    def _forward(self, chunk: Tensor, size: int) -> Tensor:
        height, width = chunk.shape[-2:]
        full = chunk
        if len(chunk) < size:
            full = torch.cat([chunk, chunk[-1:].expand(size - len(chunk), -1, -1, -1)])
        full = full.to(self.device).contiguous(memory_format=torch.channels_last)
        out = self.forward_func(full)
        expected = (size, 3, height * self.scale, width * self.scale)
        if not isinstance(out, Tensor) or tuple(out.shape) != expected:
            got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise InputError(
                f"network returned another size: got {got} for an input of {tuple(full.shape)}, expected {expected}; "
                "check the scale"
            )
        self.inferences += len(chunk)
        return out[: len(chunk)].float()
