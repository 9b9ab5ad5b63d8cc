"""What a file of pixels is, by its first bytes; its suffix only says which files of a folder are images."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ARRAY_SUFFIXES", "HDR_KINDS", "HDR_SUFFIXES", "kind_of"]

ARRAY_SUFFIXES = frozenset({".npy"})
"""File name endings of arrays."""
HDR_SUFFIXES = frozenset({".exr", ".hdr", ".pfm"})
"""File name endings of linear light."""
HDR_KINDS = ("exr", "hdr", "pfm")
"""Kinds of files that hold linear light."""

_HEADS = (
    (b"v/1\x01", "exr"),
    (b"#?RADIANCE", "hdr"),
    (b"#?RGBE", "hdr"),
    (b"PF\n", "pfm"),
    (b"PF\r\n", "pfm"),
    (b"PF ", "pfm"),
    (b"Pf\n", "pfm"),
    (b"Pf\r\n", "pfm"),
    (b"Pf ", "pfm"),
    (b"\x93NUMPY", "npy"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)
_PNG, _DEPTH, _COLOUR = b"\x89PNG\r\n\x1a\n", 24, 25
"""Signature, and where its header says bits per sample and the type of colour."""


def kind_of(path: Path) -> str:
    """Return ``exr``, ``hdr``, ``pfm``, ``npy``, ``tiff`` or ``png48`` (16 bits, more than gray); empty for others.

    A file that cannot be read has no kind: whoever opens it says why.
    """
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            head = file.read(32)
    except OSError:
        return ""
    if head.startswith(_PNG) and len(head) > _COLOUR:
        return "png48" if head[_DEPTH] == 16 and head[_COLOUR] else ""
    return next((kind for start, kind in _HEADS if head.startswith(start)), "")
