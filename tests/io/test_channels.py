"""Images of any number of channels, and all sixteen bits of colour."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from causaliqa.api.errors import CausaliqaError, ImageError
from causaliqa.io.channels import load_channels, read_channels
from causaliqa.io.images import image_key, load_image
from causaliqa.utils import memory


def noise(*shape, dtype=np.uint16, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def deep_png(path, pixels, more=b""):
    """Write 16 bits a channel by hand: neither Pillow nor a second library says what is right."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    body = chunk(b"IHDR", head) + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_of_a_png_are_kept_and_alpha_dropped(tmp_path, channels):
    pixels = noise(5, 7, channels)
    deep_png(tmp_path / "a.png", pixels)
    colours = pixels[..., :3] if channels > 2 else pixels[..., :1].repeat(3, axis=2)
    wanted = torch.from_numpy(colours.astype(np.float32) / 65535).permute(2, 0, 1)[None]
    assert torch.equal(load_image(tmp_path / "a.png"), wanted)
    assert torch.equal(load_channels(tmp_path / "a.png"), wanted)
    assert read_channels(tmp_path / "a.png").dtype == np.uint16


def test_a_transparent_colour_of_sixteen_bits_is_its_colour(tmp_path):
    pixels = noise(3, 4, 3)
    data = struct.pack(">3H", *pixels[0, 0])
    chunk = struct.pack(">I", 6) + b"tRNS" + data + struct.pack(">I", zlib.crc32(b"tRNS" + data))
    deep_png(tmp_path / "a.png", pixels, chunk)
    assert np.array_equal(read_channels(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"planarconfig": "separate"},
        {"compression": "zlib"},
        {"compression": "zlib", "planarconfig": "separate"},
        {"tile": (16, 16)},
        {"byteorder": ">"},
    ],
    ids=str,
)
def test_sixteen_bits_of_a_tiff_are_kept(tmp_path, how):
    pixels = noise(20, 24, 3)
    stored = pixels.transpose(2, 0, 1) if "planarconfig" in how else pixels
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", **how)
    wanted = torch.from_numpy(pixels.astype(np.float32) / 65535).permute(2, 0, 1)[None]
    assert torch.equal(load_image(tmp_path / "a.tif"), wanted)


def test_compression_that_needs_another_package_is_read_by_opencv(tmp_path):
    import cv2

    pixels = noise(20, 24, 3)
    cv2.imwrite(str(tmp_path / "a.tif"), pixels[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])  # LZW
    assert np.array_equal(read_channels(tmp_path / "a.tif"), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_deep_colour_is_turned_as_pillow_turns_eight_bits(tmp_path, orientation, suffix):
    pixels = noise(6, 4, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    if suffix == "png":
        data = exif.tobytes().removeprefix(b"Exif\0\0")
        chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
        deep_png(tmp_path / "deep.png", pixels, chunk)
    else:
        tifffile.imwrite(tmp_path / "deep.tif", pixels, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    Image.fromarray((pixels >> 8).astype(np.uint8)).save(tmp_path / f"a.{suffix}", exif=exif)
    upper = read_channels(tmp_path / f"deep.{suffix}") >> 8
    assert np.array_equal(upper, read_channels(tmp_path / f"a.{suffix}"))


def test_stored_scores_know_deep_colour_by_the_version_of_its_reading(tmp_path):
    deep_png(tmp_path / "a.png", noise(2, 2, 3))
    deep_png(tmp_path / "b.png", noise(2, 2, 1))
    assert image_key(tmp_path / "a.png").endswith(":3")
    assert len(image_key(tmp_path / "b.png")) == 64


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [2, 4, 5, 9])
def test_tiff_of_many_channels(tmp_path, planar, dtype, channels):
    pixels = noise(20, 24, channels, dtype=dtype)
    stored = pixels if planar == "contig" else pixels.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", planarconfig=planar, compression="zlib")
    assert np.array_equal(read_channels(tmp_path / "a.tif"), pixels)
    assert load_channels(tmp_path / "a.tif").shape == (1, channels, 20, 24)
    # Those who need RGB refuse it, whatever Pillow makes of it.
    with pytest.raises(ImageError):
        load_image(tmp_path / "a.tif")


def test_alpha_of_a_tiff_is_no_channel(tmp_path):
    pixels = noise(8, 9, 4, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", extrasamples=(0, 2, 0))
    assert np.array_equal(read_channels(tmp_path / "a.tif"), pixels[..., [0, 1, 3]])
    tifffile.imwrite(tmp_path / "b.tif", pixels, photometric="rgb", extrasamples=(2,))
    assert np.array_equal(read_channels(tmp_path / "b.tif"), pixels[..., :3])


def test_a_tiff_that_is_cut_off(tmp_path):
    tifffile.imwrite(tmp_path / "whole.tif", noise(20, 24, 5), photometric="minisblack", planarconfig="contig")
    whole = (tmp_path / "whole.tif").read_bytes()
    for share in (0.3, 0.7, 0.99):
        (tmp_path / "a.tif").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ImageError, match=r"a.tif (cannot be read|is no image)"):
            read_channels(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("array", "channels"),
    [
        (noise(12, 13, dtype=np.uint8), 3),
        (noise(12, 13, 1), 3),
        (noise(12, 13, 2), 2),
        (noise(12, 13, 3, dtype=np.uint8), 3),
        (np.random.default_rng(0).random((12, 13, 7)), 7),
        (np.asfortranarray(np.random.default_rng(0).random((12, 13, 4), np.float32)), 4),
        (noise(12, 13).astype(">u2"), 3),
    ],
)
def test_arrays(tmp_path, array, channels):
    np.save(tmp_path / "a.npy", array)
    found = load_channels(tmp_path / "a.npy")
    white = {1: 255, 2: 65535}.get(array.dtype.itemsize, 1)
    wanted = array.astype(np.float32).reshape(12, 13, -1) / np.float32(white)
    assert found.shape == (1, channels, 12, 13)
    assert found.dtype == torch.float32
    assert np.array_equal(found[0].permute(1, 2, 0), np.broadcast_to(wanted, (12, 13, channels)))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (noise(3, 40, 50), "are the channels first"),
        (noise(5), r"expected \(H, W\) or \(H, W, C\)"),
        (noise(2, 3, 4, 5), r"expected \(H, W\) or \(H, W, C\)"),
        (noise(0, 5), r"expected \(H, W\)"),
        (np.full((4, 4), 1.5), r"values from 1.5 to 1.5, expected \[0, 1\]"),
        (np.full((4, 4), np.nan), r"expected \[0, 1\]"),
        (np.full((4, 4), -np.inf), r"expected \[0, 1\]"),
        (np.zeros((4, 4), np.int32), "array of int32"),
        (np.zeros((4, 4), complex), "array of complex128"),
    ],
)
def test_arrays_that_are_no_images(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ImageError, match=words) as caught:
        load_channels(tmp_path / "a.npy")
    assert "a.npy" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_array_runs_no_code(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[{"a": 1}]], dtype=object), allow_pickle=True)
    with pytest.raises(ImageError, match=r"a.npy cannot be read"):
        load_channels(tmp_path / "a.npy")


def test_arrays_that_are_cut_off(tmp_path):
    np.save(tmp_path / "whole.npy", noise(12, 13, 4))
    whole = (tmp_path / "whole.npy").read_bytes()
    for end in (6, 8, 11, 60, 128, 200, len(whole) - 1):
        (tmp_path / "a.npy").write_bytes(whole[:end])
        with pytest.raises(ImageError, match=r"a.npy (cannot be read|is no image)"):
            load_channels(tmp_path / "a.npy")


def test_an_array_that_does_not_fit_is_said_before_it_is_read(tmp_path, monkeypatch):
    np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype=np.uint8, shape=(4000, 4000, 100)).flush()
    monkeypatch.setattr(memory, "available", lambda device: 1 << 30)
    with pytest.raises(ImageError, match="too large: got 4000 x 4000 pixels of 100 channels"):
        load_channels(tmp_path / "a.npy")
    monkeypatch.setenv("CAUSALIQA_MAX_PIXELS", "1000000000")
    with pytest.raises(CausaliqaError, match="GiB of memory"):
        load_channels(tmp_path / "a.npy")


def test_who_reads_rgb_says_who_reads_arrays(tmp_path):
    np.save(tmp_path / "a.npy", noise(4, 4))
    with pytest.raises(ImageError, match="only score, compare and rd"):
        load_image(tmp_path / "a.npy")
