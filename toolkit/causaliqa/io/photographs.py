"""Photographs that ship with the packages causaliqa depends on: natural images without a download.

They are read as files; the packages are not imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from causaliqa.api.errors import InputError
from causaliqa.utils.files import package_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["NAMES", "SCENES", "installed", "photograph", "photographs", "picture"]

NAMES: dict[str, str] = {
    "astronaut": "skimage:data/astronaut.png",
    "chelsea": "skimage:data/chelsea.png",
    "coffee": "skimage:data/coffee.png",
    "rocket": "skimage:data/rocket.jpg",
    "motorcycle_left": "skimage:data/motorcycle_left.png",
    "motorcycle_right": "skimage:data/motorcycle_right.png",
    "camera": "skimage:data/camera.png",
    "brick": "skimage:data/brick.png",
    "grass": "skimage:data/grass.png",
    "gravel": "skimage:data/gravel.png",
    "china": "sklearn:datasets/images/china.jpg",
    "flower": "sklearn:datasets/images/flower.jpg",
    "grace_hopper": "matplotlib:mpl-data/sample_data/grace_hopper.jpg",
}
"""Location of every photograph: ``package:path/inside/it``."""

SCENES = ("astronaut", "chelsea", "coffee", "rocket", "china", "flower", "grace_hopper")
"""Those in colour that differ in content, in the order in which they are taken as references."""


def picture(name: str) -> Image:
    """Return one photograph as a Pillow image in mode RGB, with the metadata of its file.

    Raises:
        InputError: the package that ships it is not installed, or no longer ships it.

    Example:
        >>> picture("coffee").size
        (600, 400)
    """
    from PIL import Image

    where = NAMES.get(name)
    path = package_file(where) if where else None
    if path is None:
        raise InputError(f"photograph {name!r} was not found; expected one of {', '.join(NAMES)} from its package")
    with Image.open(path) as image:
        return image.convert("RGB")


def photograph(name: str) -> NDArray[np.uint8]:
    """Return one photograph as ``(H, W, 3)`` 8-bit RGB; gray ones are repeated in all channels.

    Raises:
        InputError: the package that ships it is not installed, or no longer ships it.

    Example:
        >>> photograph("astronaut").shape
        (512, 512, 3)
    """
    import numpy as np

    return np.array(picture(name))


def installed(names: Iterable[str] = tuple(NAMES)) -> list[str]:
    """Return the names of those photographs that are installed.

    Raises:
        InputError: none is installed.

    Example:
        >>> installed(["coffee", "astronaut"])
        ['coffee', 'astronaut']
    """
    found = [name for name in names if package_file(NAMES[name])]
    if not found:
        raise InputError("no photographs: none of scikit-image, scikit-learn and matplotlib ships them; reinstall one")
    return found


def photographs(names: Iterable[str] = tuple(NAMES)) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield name and pixels of those photographs that are installed, each loaded when it is asked for.

    Raises:
        InputError: none is installed.

    Example:
        >>> [name for name, _ in photographs(["coffee", "astronaut"])]
        ['coffee', 'astronaut']
    """
    for name in installed(names):
        yield name, photograph(name)
