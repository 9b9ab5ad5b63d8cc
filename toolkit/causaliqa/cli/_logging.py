"""What library code logs, on stderr in the form of the command line's own notes."""

from __future__ import annotations

import logging
import sys

from causaliqa.utils.text import one_line

__all__ = ["show_warnings"]


class _StderrHandler(logging.Handler):
    """Writes ``causaliqa: MESSAGE`` to what is stderr at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"causaliqa: {one_line(record.getMessage())}", file=sys.stderr)


_HANDLER = _StderrHandler()


def show_warnings() -> None:
    """Show warnings of the package on stderr; a second call changes nothing."""
    logging.getLogger("causaliqa").addHandler(_HANDLER)
