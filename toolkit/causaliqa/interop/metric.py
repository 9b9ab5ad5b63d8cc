"""A metric of pyiqa behind the interface of ours."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyiqa
from torch import Tensor, nn

from causaliqa.api.errors import CausaliqaError, WeightsError, WeightsInputError
from causaliqa.functional.masking import fill_outside
from causaliqa.interop.masked_pooling import MASKED, MaskedPooling
from causaliqa.interop.separable import SEPARABLE, SeparableWindows
from causaliqa.utils.environment import is_set

__all__ = ["PyiqaMetric"]


_TRUST = "CAUSALIQA_TRUST_PYIQA"
"""Any value other than empty or 0 allows pickles in pyiqa's files, which can execute code when they are loaded."""


@contextlib.contextmanager
def _tensors_only(name: str, *, named: bool = False) -> Iterator[None]:
    """Forbid torch the pickles that pyiqa asks for; torch has an environment variable for that, and nothing else."""
    if is_set(_TRUST):
        yield
        return
    variable = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(variable)
    os.environ[variable] = "1"
    try:
        yield
    except pickle.UnpicklingError as error:
        raise (WeightsInputError if named else WeightsError)(
            f"weights of pyiqa's {name!r} hold more than tensors or are damaged, and were not loaded; if you trust "
            f"where they come from, set {_TRUST}=1"
        ) from error
    except OSError as error:
        # So do urllib's and Hugging Face's errors begin.
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise WeightsError(
            f"weights of pyiqa's {name!r} are not here and cannot be downloaded: {reason}; build it once with a "
            f"network, and pyiqa keeps them; `causaliqa doctor score {name} IMG REF` names the files"
        ) from error
    finally:
        os.environ.pop(variable)
        if before is not None:
            os.environ[variable] = before


def _is_file(value: object) -> bool:
    with contextlib.suppress(OSError, ValueError):  # text that can be no path
        return isinstance(value, str | Path) and Path(value).is_file()
    return False


class PyiqaMetric(nn.Module):
    """``pyiqa.create_metric(name, **options)`` as ``(img, ref) -> (N,)``.

    Args:
        name: pyiqa's name.
        options: passed on to pyiqa.

    Raises:
        WeightsError: a file of weights holds more than tensors; nothing in it was executed.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__()
        self.name = name
        logging.getLogger("pyiqa").setLevel(logging.WARNING)
        # A file that the user named is bad input where it is refused.
        named = any(map(_is_file, options.values()))
        with _tensors_only(name, named=named):
            self.net = pyiqa.create_metric(name, device="cpu", **options)
        self.lower_better = bool(self.net.lower_better)
        self.metric_mode = str(self.net.metric_mode)

    def forward(self, img: Tensor, ref: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Score a batch.

        Args:
            img: images ``(N, 3, H, W)``, RGB in [0, 1].
            ref: their references; not needed without one.
            mask: booleans ``(H, W)``, true where pixels count, for the metrics of
                :data:`causaliqa.interop.masked_pooling.MASKED`; what lies outside is taken from the references.

        Returns:
            Scores ``(N,)``.

        Raises:
            CausaliqaError: this metric, or one with these options, cannot honour a mask.
        """
        if mask is not None and ref is not None:
            return self._masked(fill_outside(img, ref, mask), ref, mask)
        with self._windows():
            score: Tensor = self.net(img, ref) if self.metric_mode == "FR" else self.net(img)
        return score.reshape(len(img), -1).squeeze(1)

    def _windows(self) -> contextlib.AbstractContextManager[object]:
        return SeparableWindows() if self.name in SEPARABLE else contextlib.nullcontext()

    def _masked(self, img: Tensor, ref: Tensor, mask: Tensor) -> Tensor:
        if self.name not in MASKED:
            raise CausaliqaError(f"pyiqa's {self.name!r} cannot leave pixels out; crop both images to the mask instead")
        known = MASKED[self.name]
        with self._windows(), MaskedPooling(known.inside(mask)) as mode:
            score: Tensor = self.net(img, ref)
        if mode.pools != known.pools:
            raise CausaliqaError(
                f"pyiqa's {self.name!r} with these options, or in this version, pools its map in a way that no mask is "
                f"known for (got {mode.pools} poolings, expected {known.pools}); use its default options"
            )
        return score.reshape(len(img))
