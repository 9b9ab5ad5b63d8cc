"""Causal image quality assessment and causal effect maps for PyTorch, integrated with pyiqa.

Importing this package loads neither torch nor pyiqa; the first use of a name does. The names and where they come from
are listed in ``__init__.pyi``.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - pip refuses, but a folder on the path is not checked
    _OLD = "causaliqa needs Python 3.10 or newer, got " + sys.version.split()[0] + "; run it with a newer one"
    if sys.argv[:1] == ["-m"]:  # one line is enough for `python -m causaliqa`
        sys.stderr.write("causaliqa: error: " + _OLD + "\n")
        raise SystemExit(2)
    raise ImportError(_OLD)

import lazy_loader as _lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _lazy_loader.attach_stub(__name__, __file__)
