"""CSIQ (Larson and Chandler, Journal of Electronic Imaging 19(1), 2010): 866 distorted images of 30 references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from causaliqa.api.errors import ManifestError
from causaliqa.builtin.datasets._archive import Archive, Entry, Tree
from causaliqa.utils.text import number as number_of

__all__ = ["ARCHIVE"]

_TYPES = {
    "noise": "AWGN",
    "jpeg": "JPEG",
    "jpeg 2000": "jpeg2000",
    "fnoise": "fnoise",
    "blur": "BLUR",
    "contrast": "contrast",
}
"""Distortion types in the label file, and in the names of the images."""
_COLUMNS = ("image", "dst_type", "dst_lev", "dmos_std", "dmos")


def _table(path: Path) -> list[dict[str, Any]]:
    """Return the rows of the first sheet that has the columns."""
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheets = [list(sheet.iter_rows(values_only=True)) for sheet in book]
        book.close()
    except Exception as error:
        raise ManifestError(f"label file {path} cannot be read: {error}; expected the authors' Excel file") from error
    for sheet in sheets:
        for number, header in enumerate(sheet):
            if set(_COLUMNS) <= set(header):
                rows = (dict(zip(header, row, strict=True)) for row in sheet[number + 1 :])
                return [row for row in rows if row["image"] is not None and row["dst_type"] is not None]
    raise ManifestError(f"label file {path}: no sheet has the columns {', '.join(_COLUMNS)}")


def _read(tree: Tree) -> list[Entry]:
    path = tree.label_file("csiq.DMOS.xlsx", "csiq.beta.xlsx")
    entries = []
    for row in _table(path):
        if row["dst_type"] not in _TYPES:
            raise ManifestError(
                f"label file {path}: got distortion {row['dst_type']!r}, expected one of {', '.join(_TYPES)}"
            )
        kind = _TYPES[row["dst_type"]]
        try:
            level, label, std = (number_of(str(row[column])) for column in ("dst_lev", "dmos", "dmos_std"))
            name = f"{row['image']}.{kind}.{int(level)}.png"
        except (ValueError, OverflowError):
            raise ManifestError(
                f"label file {path}: got level {row['dst_lev']!r}, dmos {row['dmos']!r} and dmos_std "
                f"{row['dmos_std']!r} for {row['image']}, expected numbers"
            ) from None
        entries.append(
            Entry(
                ref=(f"src_imgs/{row['image']}.png",),
                dist=(f"dst_imgs/{kind}/{name}", f"dst_imgs/{name}"),
                label=label,
                std=std,
                type=kind,
                level=str(int(level)),
            )
        )
    return entries


ARCHIVE = Archive(
    name="csiq",
    reference="Larson and Chandler, 2010, doi:10.1117/1.3267105",
    source="https://s2.smu.edu/~eclarson/csiq.html",
    label="dmos",
    label_lower_better=True,
    label_range=(0.0, 1.0),
    references=30,
    images=866,
    read=_read,
    image_folders=("src_imgs", "dst_imgs"),
    graded=True,
)
"""The standard deviation of a label is that between subjects."""
