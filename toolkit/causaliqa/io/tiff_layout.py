"""Layouts of TIFF files that Pillow decodes to other pixels than the file's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

__all__ = ["check_layout", "has_deep_colour", "is_white_zero"]

_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANAR, _INKS, _SAMPLE_FORMAT, _SUBSAMPLING = 258, 259, 262, 284, 332, 339, 530
_SAMPLES, _EXTRA = 277, 338
_NONE, _SEPARATE, _UNSIGNED = 1, 2, 1
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK, _YCBCR = 0, 1, 2, 5, 6


def check_layout(image: Picture) -> None:
    """Refuse layouts that Pillow reads wrongly, or whose white level is unknown.

    Raises:
        ValueError: the samples are signed, floating or of an unusual number of bits, or the layout is one of them.
    """
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    bits = set(_all(tags.get(_BITS, 1)))
    if formats := set(_all(tags.get(_SAMPLE_FORMAT, _UNSIGNED))) - {_UNSIGNED, 4}:
        kind = {2: "signed integers", 3: "floating-point numbers"}.get(min(formats), "samples of an unusual kind")
        raise ValueError(f"it holds {kind} of unknown range; convert it to unsigned 8 or 16 bits")
    if odd := bits - {1, 2, 4, 8, 16}:
        raise ValueError(f"it holds samples of {max(odd)} bits; convert it to 8 or 16 bits")
    kind = tags.get(_PHOTOMETRIC)
    further = int(tags.get(_SAMPLES, 1)) - 1 - sum(extra != 0 for extra in _all(tags.get(_EXTRA, ())))
    if kind in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and further > 0:
        raise ValueError(f"it has {further + 1} channels, expected gray or RGB; only score, compare and rd score each")
    plain = tags.get(_COMPRESSION, _NONE) == _NONE
    deep = has_deep_colour(image)  # read by others
    if plain and not deep and tags.get(_PLANAR) == _SEPARATE and max(bits) > 8 and len(image.getbands()) > 1:
        raise ValueError("it is uncompressed with one plane a channel and 16 bits; save it with interleaved channels")
    if plain and kind == _YCBCR and tuple(tags.get(_SUBSAMPLING, (2, 2))) != (1, 1):
        raise ValueError("it is uncompressed YCbCr with fewer colour samples; save it as RGB")
    if kind == _CMYK and tags.get(_INKS, 1) != 1:
        raise ValueError("its inks are not CMYK; save it as RGB")


def is_white_zero(image: Picture) -> bool:
    """Return whether the 16-bit values of a gray image are those of a negative, which Pillow leaves as they are."""
    return image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO  # type: ignore[attr-defined]


def has_deep_colour(image: Picture) -> bool:
    """Return whether a TIFF holds RGB of 16 bits a channel, of which Pillow keeps 8."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    return tags.get(_PHOTOMETRIC) == _RGB and 16 in _all(tags.get(_BITS, 1))


def _all(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)
