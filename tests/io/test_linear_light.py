"""PFM, Radiance HDR and OpenEXR: light as it is stored, or one line that says why not."""

import sys

import cv2
import numpy as np
import pytest

from causaliqa.api.errors import ImageError, InputError
from causaliqa.io.images import load_image
from causaliqa.io.linear_light import read_light

LIGHT = (np.random.default_rng(0).random((24, 31, 3)) * np.array([1, 40, 4000])).astype(np.float32)


def pfm(path, pixels, scale=-1.0):
    """Write by hand, the last row first: www.pauldebevec.com/Research/HDR/PFM."""
    kind = "PF" if pixels.ndim == 3 else "Pf"
    order = "<f4" if scale < 0 else ">f4"
    head = f"{kind}\n{pixels.shape[1]} {pixels.shape[0]}\n{scale}\n".encode()
    path.write_bytes(head + pixels[::-1].astype(order).tobytes())


@pytest.mark.parametrize("scale", [-1.0, 1.0])
@pytest.mark.parametrize("pixels", [LIGHT, LIGHT[..., 0]], ids=["colour", "gray"])
def test_pfm_is_exact(tmp_path, scale, pixels):
    pfm(tmp_path / "a.pfm", pixels, scale)
    assert np.array_equal(read_light(tmp_path / "a.pfm"), pixels.reshape(24, 31, -1))


def test_pfm_of_opencv(tmp_path):
    cv2.imwrite(str(tmp_path / "a.pfm"), LIGHT[..., ::-1])
    assert np.array_equal(read_light(tmp_path / "a.pfm"), LIGHT)


def test_pfm_whose_first_pixel_looks_like_white_space(tmp_path):
    (tmp_path / "a.pfm").write_bytes(b"Pf\n1 1\n-1\n" + b"\x0a\x20\x09\x40")
    assert read_light(tmp_path / "a.pfm").item() == np.frombuffer(b"\x0a\x20\x09\x40", "<f4").item()


def rgbe(path, pixels, lines="FORMAT=32-bit_rle_rgbe\n", size="-Y {} +X {}"):
    """Write without run lengths, by hand: Ward, Real Pixels, Graphics Gems II."""
    height, width, _ = pixels.shape
    mantissa, exponent = np.frexp(pixels.max(axis=2))
    scale = np.where(mantissa > 0, mantissa * 256 / np.maximum(pixels.max(axis=2), 1e-30), 0)
    bytes_ = np.concatenate([pixels * scale[..., None], (exponent + 128)[..., None]], axis=2).astype(np.uint8)
    path.write_bytes(f"#?RADIANCE\n{lines}\n{size.format(height, width)}\n".encode() + bytes_.tobytes())


def test_radiance_within_a_part_in_128(tmp_path):
    light = LIGHT[:7, :7]  # too narrow for run lengths
    rgbe(tmp_path / "a.hdr", light)
    found = read_light(tmp_path / "a.hdr")
    assert (np.abs(found - light) <= light.max(axis=2, keepdims=True) / 128).all()


def test_radiance_with_run_lengths(tmp_path):
    cv2.imwrite(str(tmp_path / "a.hdr"), LIGHT[..., ::-1])
    assert (np.abs(read_light(tmp_path / "a.hdr") - LIGHT) <= LIGHT.max(axis=2, keepdims=True) / 128).all()


def test_the_exposure_of_radiance_is_undone(tmp_path):
    light = LIGHT[:7, :7]
    rgbe(tmp_path / "plain.hdr", light)
    rgbe(tmp_path / "a.hdr", light, "EXPOSURE=2\nFORMAT=32-bit_rle_rgbe\nEXPOSURE= 4.0\n")
    assert read_light(tmp_path / "a.hdr") * 8 == pytest.approx(read_light(tmp_path / "plain.hdr"))


@pytest.mark.parametrize(
    ("lines", "size", "words"),
    [
        ("FORMAT=32-bit_rle_xyze\n", "-Y {} +X {}", "colours are XYZ"),
        ("FORMAT=32-bit_rle_rgbe\n", "+Y {} +X {}", "the other way"),
        ("FORMAT=32-bit_rle_rgbe\n", "size {} {}", "head is damaged"),
    ],
)
def test_radiance_that_is_refused(tmp_path, lines, size, words):
    rgbe(tmp_path / "a.hdr", LIGHT[:7, :7], lines, size)
    with pytest.raises(ImageError, match=words):
        read_light(tmp_path / "a.hdr")


@pytest.fixture
def exr():
    return pytest.importorskip("OpenEXR")


def write_exr(exr, path, channels, **head):
    exr.File({"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage, **head}, channels).write(str(path))


@pytest.mark.parametrize(
    ("channels", "wanted"),
    [
        ({"RGB": LIGHT}, LIGHT),
        ({"RGBA": np.concatenate([LIGHT, LIGHT[..., :1]], axis=2)}, LIGHT),
        ({"RGB": LIGHT, "Z": LIGHT[..., 0].copy()}, LIGHT),
        ({"Y": LIGHT[..., 1].copy()}, LIGHT[..., 1:2]),
        ({"RGB": LIGHT.astype(np.float16)}, LIGHT.astype(np.float16).astype(np.float32)),
    ],
    ids=["rgb", "alpha", "depth", "luminance", "half"],
)
def test_openexr_is_exact(tmp_path, exr, channels, wanted):
    write_exr(exr, tmp_path / "a.exr", channels)
    found = read_light(tmp_path / "a.exr")
    assert found.dtype == np.float32
    assert np.array_equal(found, wanted)


def test_openexr_that_is_refused(tmp_path, exr):
    write_exr(exr, tmp_path / "layer.exr", {"left": LIGHT})
    with pytest.raises(ImageError, match="holds left, expected channels R, G, B or Y"):
        read_light(tmp_path / "layer.exr")
    window = (np.array([0, 0], np.int32), np.array([99, 99], np.int32))
    write_exr(exr, tmp_path / "window.exr", {"RGB": LIGHT}, displayWindow=window)
    with pytest.raises(ImageError, match="data window is not its display window"):
        read_light(tmp_path / "window.exr")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    (tmp_path / "a.exr").write_bytes(b"v/1\x01" + b"\0" * 40)
    with pytest.raises(InputError, match=r"pip install 'causaliqa\[hdr\]'") as caught:
        read_light(tmp_path / "a.exr")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["pfm", "hdr", "exr"])
def test_files_that_are_cut_off(tmp_path, kind, capfd):
    if kind == "exr":
        write_exr(pytest.importorskip("OpenEXR"), tmp_path / "whole.exr", {"RGB": LIGHT})
    elif kind == "hdr":
        cv2.imwrite(str(tmp_path / "whole.hdr"), LIGHT[..., ::-1])
    else:
        pfm(tmp_path / "whole.pfm", LIGHT)
    whole = (tmp_path / f"whole.{kind}").read_bytes()
    for end in (3, 12, 30, 60, len(whole) // 2, len(whole) - 1):
        (tmp_path / f"a.{kind}").write_bytes(whole[:end])
        with pytest.raises(ImageError) as caught:
            read_light(tmp_path / f"a.{kind}")
        assert "\n" not in str(caught.value)
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "" or kind == "exr"  # whose library prints its own messages


@pytest.mark.parametrize(
    ("value", "words"),
    [(np.nan, "NaN or infinite"), (np.inf, "NaN or infinite"), (-0.5, "negative light, down to -0.5")],
)
def test_values_that_are_no_light(tmp_path, value, words):
    light = LIGHT.copy()
    light[3, 4, 1] = value
    pfm(tmp_path / "a.pfm", light)
    with pytest.raises(ImageError, match=words):
        read_light(tmp_path / "a.pfm")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PF\n2 2\n0.5\n" + b"\0" * 48, "its scale is 0.5"),
        (b"PF\n2 2\n0\n" + b"\0" * 48, "its scale is 0"),
        (b"PF\n2 2\nnan\n" + b"\0" * 48, "head is damaged"),
        (b"PF\n-2 2\n1\n" + b"\0" * 48, "head is damaged"),
        (b"PF\n0 2\n1\n", "no pixels"),
        (b"PF\n99999999 99999999\n1\n", "too large"),
        (b"P6\n1 1\n255\nabc", "holds no linear light"),
        (b"", "holds no linear light"),
    ],
)
def test_heads_that_are_refused(tmp_path, data, words):
    (tmp_path / "a.pfm").write_bytes(data)
    with pytest.raises(ImageError, match=words):
        read_light(tmp_path / "a.pfm")


def test_who_is_not_told_that_it_is_light_says_what_to_do(tmp_path):
    pfm(tmp_path / "a.pfm", LIGHT)
    with pytest.raises(ImageError, match=r"a.pfm holds linear light: score it with --hdr pu21"):
        load_image(tmp_path / "a.pfm")
