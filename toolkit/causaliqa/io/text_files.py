"""Text files of data sets, read with clear errors."""

from __future__ import annotations

from pathlib import Path

from causaliqa.api.errors import ManifestError

__all__ = ["cut", "read_text"]

_MOST = 300


def cut(text: str) -> str:
    """Return text for a message, shortened in the middle if it is longer than any path or name should be.

    >>> len(cut("x" * 100_000))
    303
    """
    return text if len(text) <= _MOST else f"{text[: _MOST // 2]}...{text[-_MOST // 2 :]}"


def read_text(path: Path, what: str, expected: str) -> str:
    """Return the text of a UTF-8 file without a byte order mark.

    Args:
        path: the file.
        what: kind of file, for errors.
        expected: expected content, for errors.

    Raises:
        ManifestError: the file cannot be read or is not text.
    """
    try:
        # Path.read_text would turn a carriage return in a name into a line feed.
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ManifestError(f"{what} {path} cannot be read: {error.strerror or error}; expected {expected}") from error
    except UnicodeDecodeError:
        raise ManifestError(f"{what} {path} is no UTF-8 text; expected {expected}") from None
