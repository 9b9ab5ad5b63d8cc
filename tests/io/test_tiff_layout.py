"""Every layout of a TIFF file is read as tifffile reads it, or refused in one line."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from causaliqa.api.errors import ImageError
from causaliqa.io.images import load_image

tifffile = pytest.importorskip("tifffile")

_KINDS = {"minisblack": (1,), "miniswhite": (1,), "rgb": (3, 4), "separated": (4,), "palette": (1,)}
_LAYOUTS = [
    (dtype, kind, channels, planar, compression, order, tile)
    for kind, several in _KINDS.items()
    for channels in several
    for dtype in (("uint8",) if kind == "palette" else ("uint8", "uint16"))
    for planar in (("contig", "separate") if channels > 1 else ("contig",))
    for compression, order, tile in itertools.product((None, "deflate"), "<>", (None, (16, 16)))
]


def _expected(values, kind):
    """Return the colours by the definition of the photometric interpretation, (H, W, 3) in [0, 1]."""
    shares = values.astype(float) / np.iinfo(values.dtype).max
    if kind == "miniswhite":
        shares = 1 - shares
    if kind == "separated":
        return (1 - shares[..., :3]) * (1 - shares[..., 3:])
    return np.repeat(shares[..., None], 3, axis=2) if shares.ndim == 2 else shares[..., :3]


@pytest.mark.parametrize(("dtype", "kind", "channels", "planar", "compression", "order", "tile"), _LAYOUTS)
def test_a_layout_is_read_right_or_refused(dtype, kind, channels, planar, compression, order, tile, tmp_path):
    rng = np.random.default_rng(0)
    values = rng.integers(0, np.iinfo(dtype).max, (24, 20, channels), dtype=dtype, endpoint=True)
    values = values[..., 0] if channels == 1 else values
    path = tmp_path / "image.tif"
    options = {"photometric": kind, "compression": compression, "byteorder": order, "tile": tile}
    if channels > 1:
        options["planarconfig"] = planar
    if kind == "rgb" and channels == 4:
        options["extrasamples"] = ["unassalpha"]
    colours = rng.integers(0, 256, (3, 256), dtype=np.uint16) * 257
    if kind == "palette":
        options["colormap"] = colours
    tifffile.imwrite(path, np.moveaxis(values, -1, 0) if planar == "separate" else values, **options)
    expected = (colours[:, values] / 65535).transpose(1, 2, 0) if kind == "palette" else _expected(values, kind)
    try:
        read = load_image(path)[0].permute(1, 2, 0).numpy()
    except ImageError as error:
        assert "\n" not in str(error)
        # Refused: what Pillow cannot read at all, and what it reads wrongly.
        assert (dtype, kind, order) == ("uint16", "miniswhite", ">") or (dtype, planar, compression) == (
            "uint16",
            "separate",
            None,
        )
        return
    # Pillow keeps the upper 8 bits of colours; the product of inks rounds twice.
    assert np.abs(read - expected).max() < (2.1 / 255 if kind == "separated" else 1.01 / 255)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32", "float16", "float32", "float64", "uint64"])
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_of_unknown_range_are_refused(dtype, channels, tmp_path):
    path = tmp_path / "image.tif"
    values = np.ones((8, 9, channels), dtype=dtype)
    values, kind = (values[..., 0], "minisblack") if channels == 1 else (values, "rgb")
    tifffile.imwrite(path, values, photometric=kind)
    with pytest.raises(ImageError, match=r"image\.tif"):
        load_image(path)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "packbits", "tiff_deflate"])
def test_what_pillow_writes_is_what_is_read(mode, compression, tmp_path):
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)).convert(mode)
    image.save(tmp_path / "image.tif", compression=compression)
    expected = torch.from_numpy(np.asarray(image.convert("RGB"))).permute(2, 0, 1)[None] / 255
    assert (load_image(tmp_path / "image.tif") - expected).abs().max() <= 1.01 / 255


def test_jpeg_in_tiff(tmp_path):
    smooth = Image.fromarray(np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[:, None, None], (1, 64, 3)))
    smooth.save(tmp_path / "image.tif", compression="jpeg", quality=95)
    assert np.abs(load_image(tmp_path / "image.tif")[0, 0].numpy() - np.asarray(smooth)[..., 0] / 255).max() < 0.03


@pytest.mark.parametrize("bits", [10, 12, 14, 24])
def test_an_unusual_number_of_bits(bits, tmp_path):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, np.ones((8, 8), np.uint16), photometric="minisblack")
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags["BitsPerSample"].overwrite(bits)
    with pytest.raises(ImageError):
        load_image(path)


def test_uncompressed_ycbcr_with_fewer_colour_samples(tmp_path):
    path = tmp_path / "image.tif"
    Image.new("YCbCr", (16, 16), (90, 100, 140)).save(path)
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags["YCbCrSubSampling"].overwrite((2, 2))
    with pytest.raises(ImageError, match="YCbCr"):
        load_image(path)
