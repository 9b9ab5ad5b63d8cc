"""The policy of docs/images.md: a file that becomes RGB, or one line that says why not; a fixture of every kind."""

import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from causaliqa.api.errors import CausaliqaError, ImageError, InputError
from causaliqa.io.images import image_key, image_size, image_suffixes, load_image, max_pixels
from causaliqa.utils import memory


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK", "1", "LA"])
def test_modes_become_rgb(tmp_path, mode):
    image = Image.new("RGB", (5, 4), (255, 255, 255)).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    x = load_image(path)
    assert x.shape == (1, 3, 4, 5)
    assert x.dtype == torch.float32
    assert float(x.min()) == float(x.max()) == 1


def test_values_are_exact(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    Image.fromarray(data).save(tmp_path / "a.png")
    assert torch.equal(load_image(tmp_path / "a.png")[0], torch.from_numpy(data).permute(2, 0, 1).float() / 255)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_not_clipped(tmp_path, suffix):
    data = np.array([[0, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(data).save(tmp_path / f"a.{suffix}")
    x = load_image(tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(x[0, 0, 0], [0, 32768 / 65535, 1], atol=1e-6)
    assert torch.equal(x[:, 0], x[:, 2])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG written by hand, of kinds that Pillow cannot write."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def test_alpha_is_dropped_and_the_colour_below_it_kept(tmp_path):
    Image.new("RGBA", (2, 2), (10, 20, 30, 0)).save(tmp_path / "a.png")
    assert torch.equal(load_image(tmp_path / "a.png")[0, :, 0, 0] * 255, torch.tensor([10.0, 20.0, 30.0]))


@pytest.mark.parametrize("transparency", [0, b"\x00\x80"])
def test_a_transparent_colour_of_a_palette_is_its_colour(tmp_path, transparency, recwarn):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=transparency)
    assert (load_image(tmp_path / "a.png")[0] * 255).round().tolist() == [[[10, 40]], [[20, 50]], [[30, 60]]]
    assert not recwarn.list


def test_cmyk_is_what_a_naive_viewer_shows(tmp_path):
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.jpg", quality=100)
    np.testing.assert_allclose(load_image(tmp_path / "a.jpg")[0, :, 0, 0], [0, 1, 1], atol=0.02)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_the_exif_orientation_is_followed(tmp_path, orientation, suffix):
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :8] = 255
    turns = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.ascontiguousarray(turns[orientation](upright))).save(path, exif=exif, quality=100)
    x = load_image(path)
    assert x.shape == (1, 3, 16, 24)
    assert image_size(path) == image_size(path, decode=True) == (24, 16)
    np.testing.assert_allclose(x[0].permute(1, 2, 0) * 255, upright, atol=40 if suffix in ("jpg", "webp") else 0)


def test_metadata_that_cannot_be_parsed_turns_nothing(tmp_path):
    Image.new("RGB", (8, 4)).save(tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff nonsense")
    assert load_image(tmp_path / "a.jpg").shape == (1, 3, 4, 8)


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (3, 20_000)])
def test_extreme_sides(tmp_path, size):
    Image.new("RGB", size, (255, 0, 0)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png").shape == (1, 3, *size[::-1])


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_of_several_frames_the_first_is_taken(tmp_path, suffix):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    more = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **more)
    assert load_image(tmp_path / f"a.{suffix}")[0, :, 0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.array([[0.25, 1.0]], np.float32), "floating-point numbers of unknown range; convert it"),
        (np.array([[0, 70_000]], np.int32), "signed integers of unknown range"),
        (np.array([[-1, 5]], np.int32), "signed integers of unknown range"),
    ],
)
def test_numbers_of_unknown_range_are_refused(tmp_path, data, words):
    Image.fromarray(data).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=words) as caught:
        load_image(tmp_path / "a.tif")
    assert "a.tif" in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "tif", "gif", "ppm", "jp2"])
def test_truncated_files_are_refused(tmp_path, suffix):
    noise = Image.effect_noise((64, 64), 50)
    noise.save(tmp_path / f"whole.{suffix}")
    whole = (tmp_path / f"whole.{suffix}").read_bytes()
    (tmp_path / f"cut.{suffix}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"cut.* (cannot be read|is no image)") as caught:
        load_image(tmp_path / f"cut.{suffix}")
    assert "\n" not in str(caught.value)


def test_missing_empty_text_folder_and_device(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe.png")
    for name, words in (
        ("none.png", "does not exist"),
        ("text.png", "is no image that Pillow can read"),
        ("empty.png", "is empty"),
        ("pipe.png", "a folder or a device"),
        ("", "a folder or a device"),
    ):
        with pytest.raises(ImageError, match=words):
            load_image(tmp_path / name)


def test_postscript_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(exploded) (w) file closefile\n%%EOF\n"
    )
    monkeypatch.setattr("subprocess.check_call", lambda *a, **k: pytest.fail("an interpreter was called"))
    with pytest.raises(ImageError, match="is no image that Pillow can read"):
        load_image(tmp_path / "a.png")


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda *a, **k: pytest.fail("decoded"))
    bomb = png(60_000, 60_000, 1, 0, b"")
    (tmp_path / "a.png").write_bytes(bomb)
    with pytest.raises(ImageError, match=r"too large: .* bomb\? If not, set CAUSALIQA_MAX_PIXELS"):
        load_image(tmp_path / "a.png")


def test_the_limit_is_a_setting(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    Image.new("L", (60, 60)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="expected at most 2000 pixels"):
        load_image(tmp_path / "a.png")
    monkeypatch.setenv("CAUSALIQA_MAX_PIXELS", "3600")
    assert load_image(tmp_path / "a.png").shape == (1, 3, 60, 60)
    monkeypatch.setenv("CAUSALIQA_MAX_PIXELS", "3599")
    with pytest.raises(ImageError, match="got 60 x 60 pixels, expected at most 3599"):
        load_image(tmp_path / "a.png")


@pytest.mark.parametrize("text", ["0", "-5", "1e6", "many", "²"])
def test_a_limit_that_is_no_number(monkeypatch, text):
    monkeypatch.setenv("CAUSALIQA_MAX_PIXELS", text)
    with pytest.raises(InputError, match="CAUSALIQA_MAX_PIXELS: got"):
        max_pixels()


def test_a_bomb_of_text_beside_the_pixels_is_no_bomb(tmp_path):
    whole = png(2, 2, 8, 0, b"\x00\x01\x02" * 2)
    text = chunk(b"zTXt", b"bomb\x00\x00" + zlib.compress(b"A" * 200_000_000, 9))
    (tmp_path / "a.png").write_bytes(whole[:33] + text + whole[33:])
    with pytest.raises(ImageError, match="cannot be read"):
        load_image(tmp_path / "a.png")


def test_an_image_that_does_not_fit_is_said_before_it_is_decoded(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(png(10_000, 10_000, 1, 0, b""))
    monkeypatch.setattr(Image.Image, "load", lambda *a, **k: pytest.fail("decoded"))
    monkeypatch.setattr(memory, "available", lambda device: 1 << 30)
    with pytest.raises(CausaliqaError, match=r"a.png needs 2.5 GiB of memory, 1.0 GiB are free on cpu; crop it"):
        load_image(tmp_path / "a.png")


def test_every_registered_suffix_of_a_format_counts_as_an_image():
    Image.init()
    suffixes = image_suffixes()
    assert {".png", ".jpeg", ".bmp", ".webp", ".tif", ".ppm", ".pgm", ".gif", ".jp2", ".tga"} <= suffixes
    assert not suffixes & {".eps", ".pdf", ".ps", ".npz", ".csv", ".txt"}
    assert (".avif" in suffixes) == ("AVIF" in Image.OPEN)


@pytest.mark.parametrize("suffix", ["jp2", "gif", "tga", "avif", "jpe", "j2k", "pnm"])
def test_less_common_formats_are_read(tmp_path, suffix):
    if f".{suffix}" not in image_suffixes():
        pytest.skip("this Pillow does not read it")
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (16, 12), (255, 0, 0)).save(path)
    assert load_image(path).shape == (1, 3, 12, 16)


def test_a_stored_score_knows_a_tiff_by_the_version_of_its_reading(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "b.png", format="TIFF")
    assert len(image_key(tmp_path / "a.png")) == 64
    assert image_key(tmp_path / "b.png").endswith(":4")
