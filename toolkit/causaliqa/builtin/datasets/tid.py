"""TID2008 and TID2013 (Ponomarenko et al., Signal Processing: Image Communication 30, 2015): 25 references each."""

from __future__ import annotations

import re

from causaliqa.api.errors import ManifestError
from causaliqa.builtin.datasets._archive import Archive, Entry, Tree, read_lines
from causaliqa.utils.text import number as number_of

__all__ = ["TID2008", "TID2013"]

_TYPES = (
    "additive gaussian noise",
    "additive noise in colour components",
    "spatially correlated noise",
    "masked noise",
    "high frequency noise",
    "impulse noise",
    "quantization noise",
    "gaussian blur",
    "image denoising",
    "jpeg",
    "jpeg2000",
    "jpeg transmission errors",
    "jpeg2000 transmission errors",
    "non eccentricity pattern noise",
    "local block-wise distortions",
    "mean shift",
    "contrast change",
    "change of colour saturation",
    "multiplicative gaussian noise",
    "comfort noise",
    "lossy compression of noisy images",
    "image colour quantization with dither",
    "chromatic aberrations",
    "sparse sampling and reconstruction",
)
"""Distortions by number in the file name; TID2008 has the first 17."""

_NAME = re.compile(r"(?P<ref>[iI]\d+)_(?P<type>\d\d)_(?P<level>\d)\.bmp", re.ASCII | re.IGNORECASE)


def _read(tree: Tree) -> list[Entry]:
    path = tree.label_file("mos_with_names.txt")
    found = tree.find("mos_std.txt")
    deviations = [_value(line) for line in read_lines(tree.root / found)] if found else None
    entries = []
    lines = read_lines(path)
    if deviations is not None and len(deviations) != len(lines):
        raise ManifestError(
            f"label file {tree.root / str(found)}: got {len(deviations)} lines, expected {len(lines)} as in {path.name}"
        )
    for number, line in enumerate(lines):
        label, _, name = line.partition(" ")
        match = _NAME.fullmatch(name.strip())
        if match is None or not 1 <= int(match["type"]) <= len(_TYPES):
            swapped = " (columns swapped?)" if _NAME.match(label) else ""
            raise ManifestError(
                f"label file {path}, line {number + 1}: got {line!r}{swapped}, "
                "expected a score and a name like i01_08_3.bmp"
            )
        entries.append(
            Entry(
                ref=(f"reference_images/{match['ref']}.bmp",),
                dist=(f"distorted_images/{match[0]}",),
                label=_value(label),
                std=None if deviations is None else deviations[number],
                type=_TYPES[int(match["type"]) - 1],
                level=match["level"],
            )
        )
    return entries


def _value(text: str) -> float:
    try:
        return number_of(text)
    except ValueError:
        return float("nan")


TID2008 = Archive(
    name="tid2008",
    reference="Ponomarenko et al., 2009, Adv. of Modern Radioelectronics 10",
    source="https://www.ponomarenko.info/tid2008.htm",
    label="mos",
    label_lower_better=False,
    label_range=(0.0, 9.0),
    references=25,
    images=1700,
    read=_read,
    image_folders=("reference_images", "distorted_images"),
    graded=True,
)
TID2013 = Archive(
    name="tid2013",
    reference="Ponomarenko et al., 2015, doi:10.1016/j.image.2014.10.009",
    source="https://www.ponomarenko.info/tid2013.htm",
    label="mos",
    label_lower_better=False,
    label_range=(0.0, 9.0),
    references=25,
    images=3000,
    read=_read,
    image_folders=("reference_images", "distorted_images"),
    graded=True,
)
