"""The GPU kernels: under Triton's interpreter, and through its compiler for two generations of cards."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

triton = pytest.importorskip("triton", reason="triton is not installed; it comes with torch's CUDA builds for Linux")

INTERPRETED = Path(__file__).with_name("triton_interpreted.py")
_FLOATS = {"x", "y", "sums_x", "sums_y", "noise", "scales", "md", "l2", "by_ot", "by_md", "out", "maps", "sums"}


def test_kernels_under_the_interpreter(tmp_path):
    env = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", str(INTERPRETED), "-p", "no:cacheprovider", f"--basetemp={tmp_path}/t"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("rule", ["share", "softmax", "as is"])
@pytest.mark.parametrize("name", ["transport", "potential"])
def test_kernels_compile_for_cuda(name, rule, capability, tmp_path, monkeypatch):
    """The compiler refuses code that the interpreter runs; it needs no card."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from causaliqa.functional import _triton_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = getattr(_triton_kernels, name)
    fixed = {"BINS": 25, "WIDE": 32, "ROWS": 5, "COLS": 5, "RULE": rule, "BLOCK": 128 if name == "transport" else 32}
    fixed = {key: value for key, value in fixed.items() if key in kernel.arg_names}
    types = {
        arg: "constexpr" if arg in fixed else "*fp64" if arg == "cost" else "*fp32" if arg in _FLOATS else "i32"
        for arg in kernel.arg_names
    }
    places = {(kernel.arg_names.index(arg),): value for arg, value in fixed.items()}
    made = triton.compile(ASTSource(kernel, types, places), target=GPUTarget("cuda", capability, 32))
    assert f"sm_{capability}" in made.asm["ptx"]
    assert ".local" not in made.asm["ptx"], "an array went to local memory"
    assert len(made.asm["cubin"]) > 1000
