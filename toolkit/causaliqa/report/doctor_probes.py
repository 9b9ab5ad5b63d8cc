"""Checks that run in a process of their own, since they may crash it: ``-m causaliqa.report.doctor_probes``.

Each name gives one line of JSON on stdout as soon as it is known; the first without a line is what ended the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence

from causaliqa.api.errors import InputError
from causaliqa.utils.offline import builder_output

__all__ = ["PROBES", "main"]


class _MissingError(Exception):
    """It is not installed, and need not be."""


def _torch() -> str:
    import torch

    return f"{torch.__version__}, adds: {int(torch.ones(2).sum())}"


def _torchvision() -> str:
    """Call an operator in C++: builds that do not fit torch import, and fail here."""
    import torch
    import torchvision

    torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)
    return f"{torchvision.__version__} works with torch {torch.__version__}"


def _cuda() -> str:
    import torch

    built = torch.version.cuda or torch.version.hip
    if not built:
        return "torch is built for the CPU only"
    if not torch.cuda.is_available():
        if not os.path.exists("/dev/nvidia0"):  # noqa: PTH110
            return f"built with {built}; there is no device"
        torch.zeros(1, device="cuda")  # says why
    devices = ", ".join(torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count()))
    torch.ones(1, device="cuda").add(1).item()
    return f"built with {built}; {devices}"


def _numba() -> str:
    import numba

    numba.njit(lambda x: x + 1)(1)
    return f"{numba.__version__} compiles"


def _compiled_code() -> str:
    import torch

    from causaliqa.functional.compiled import cache_folder
    from causaliqa.functional.transport import transport_response

    transport_response(torch.ones(1, 1, 4), torch.ones(1, 1, 4), torch.zeros(1, 4), [])
    if not (folder := cache_folder()):
        raise _MissingError(
            "works, but cannot be kept on disk, so that every process compiles it again for some seconds; set "
            "NUMBA_CACHE_DIR to a folder that can be written to"
        )
    return f"works, and is kept in {folder}"


def _basicsr() -> str:
    from importlib.util import find_spec

    if find_spec("basicsr") is None:
        raise _MissingError("not installed; `pip install causaliqa[basicsr]` brings its architectures")
    from causaliqa.builtin.restorers.basicsr import architectures

    return f"{len(architectures())} architectures"


def _pyiqa_first() -> str:
    import pyiqa

    return _ours(pyiqa.list_models())


def _pyiqa_after_torch() -> str:
    import torch  # noqa: F401, I001
    import pyiqa

    return _ours(pyiqa.list_models())


def _ours(known: Sequence[str]) -> str:
    if os.environ.get("CAUSALIQA_NO_AUTOLOAD", "") not in ("", "0"):
        return "switched off by CAUSALIQA_NO_AUTOLOAD"
    if "causal_vgg" not in known:
        raise InputError("pyiqa does not know our metrics; reinstall causaliqa, so that torch finds its entry point")
    return f"pyiqa knows {sum(name.startswith('causal_') for name in known)} causal metrics"


PROBES: dict[str, Callable[[], str]] = {
    "torch": _torch,
    "cuda": _cuda,
    "torchvision": _torchvision,
    "numba": _numba,
    "compiled code": _compiled_code,
    "basicsr": _basicsr,
    "pyiqa first": _pyiqa_first,
    "pyiqa after torch": _pyiqa_after_torch,
}


def main(names: Sequence[str]) -> None:
    """Try what was asked for, and print how it went."""
    out = sys.stdout
    for name in names:
        with contextlib.redirect_stdout(builder_output()):
            try:
                state, told = "ok", PROBES[name]()
            except _MissingError as error:
                state, told = "missing", str(error)
            except BaseException as error:
                state, told = "broken", f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        print(json.dumps([name, state, told]), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
