"""KADID-10k (Lin, Hosu and Saupe, QoMEX 2019): 10,125 distorted images of 81 references.

The label column is called ``dmos``, but higher is better: it is the mean of ratings from 1 (very annoying) to 5
(imperceptible).
"""

from __future__ import annotations

import csv
import math
import re

from causaliqa.api.errors import ManifestError
from causaliqa.builtin.datasets._archive import Archive, Entry, Tree, read_lines
from causaliqa.utils.text import number as number_of

__all__ = ["ARCHIVE"]

_TYPES = (
    "gaussian blur",
    "lens blur",
    "motion blur",
    "colour diffusion",
    "colour shift",
    "colour quantization",
    "colour saturation 1",
    "colour saturation 2",
    "jpeg2000",
    "jpeg",
    "white noise",
    "white noise in colour component",
    "impulse noise",
    "multiplicative noise",
    "denoise",
    "brighten",
    "darken",
    "mean shift",
    "jitter",
    "non-eccentricity patch",
    "pixelate",
    "quantization",
    "colour block",
    "high sharpen",
    "contrast change",
)
"""Distortions by number in the file name."""

_NAME = re.compile(r"I\d+_(?P<type>\d\d)_0*(?P<level>\d+)\.png", re.ASCII | re.IGNORECASE)
_COLUMNS = ("dist_img", "ref_img", "dmos", "var")


def _read(tree: Tree) -> list[Entry]:
    path = tree.label_file("dmos.csv")
    rows = list(csv.DictReader(read_lines(path), skipinitialspace=True))
    if not rows or any(column not in rows[0] for column in _COLUMNS):
        got = ", ".join(map(str, rows[0])) if rows else "one line"
        raise ManifestError(f"label file {path}: got {got}, expected the columns {', '.join(_COLUMNS)}")
    entries = []
    for number, row in enumerate(rows, start=2):
        match = _NAME.fullmatch(row["dist_img"] or "")
        try:
            label, variance = number_of(row["dmos"] or ""), number_of(row["var"] or "")
        except ValueError:
            match = None
        if match is None or not 1 <= int(match["type"]) <= len(_TYPES):
            raise ManifestError(
                f"label file {path}, line {number}: got {', '.join(str(v) for v in row.values())}, expected "
                "a name like I01_01_01.png, a reference, a score and a variance"
            )
        entries.append(
            Entry(
                ref=(f"images/{row['ref_img']}",),
                dist=(f"images/{row['dist_img']}",),
                label=label,
                std=math.sqrt(variance) if variance >= 0 else math.nan,
                type=_TYPES[int(match["type"]) - 1],
                level=match["level"],
            )
        )
    return entries


ARCHIVE = Archive(
    name="kadid10k",
    reference="Lin et al., 2019, doi:10.1109/QoMEX.2019.8743252",
    source="https://database.mmsp-kn.de/kadid-10k-database.html",
    note="its label is called dmos, but high is good",
    label="dmos",
    label_lower_better=False,
    label_range=(1.0, 5.0),
    references=81,
    images=10125,
    read=_read,
    image_folders=("images",),
    graded=True,
)
"""The standard deviation of a label is that between subjects, the square root of ``var``."""
