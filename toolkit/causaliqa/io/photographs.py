"""Photographs that come with the packages causaliqa depends on: natural images without a download.

They are read as files; the packages themselves are not imported.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.api.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["NAMES", "photograph", "photographs"]

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
"""Photograph by name: ``package:path inside it``."""


def _path(where: str) -> Path | None:
    package, _, inside = where.partition(":")
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return next((path for folder in folders if (path := Path(folder) / inside).is_file()), None)


def photograph(name: str) -> NDArray[np.uint8]:
    """Return one photograph as ``(H, W, 3)`` 8-bit RGB; gray ones are repeated.

    Raises:
        InputError: the package that ships it is not installed, or no longer ships it.

    Example:
        >>> photograph("astronaut").shape
        (512, 512, 3)
    """
    import numpy as np
    from PIL import Image

    where = NAMES.get(name)
    path = _path(where) if where else None
    if path is None:
        raise InputError(f"photograph {name!r} is not here; expected one of {', '.join(NAMES)} from its package")
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def photographs() -> dict[str, NDArray[np.uint8]]:
    """Return every photograph that is installed, by name.

    Raises:
        InputError: there is none.

    Example:
        >>> len(photographs()) >= 8
        True
    """
    found = {name: photograph(name) for name, where in NAMES.items() if _path(where)}
    if not found:
        raise InputError("no photographs: none of scikit-image, scikit-learn and matplotlib ships them; reinstall one")
    return found
