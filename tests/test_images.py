"""Reading images of every kind that people have."""

import numpy as np
import pytest
import torch
from PIL import Image

from causaliqa.errors import ImageError
from causaliqa.images import load_image


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


def test_sixteen_bits_are_not_clipped(tmp_path):
    data = np.array([[0, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(data).save(tmp_path / "a.png")
    np.testing.assert_allclose(load_image(tmp_path / "a.png")[0, 0, 0], [0, 32768 / 65535, 1], atol=1e-6)


def test_missing_broken_truncated_and_folder(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    Image.effect_noise((64, 64), 50).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:600])
    for name, words in (
        ("none.png", "does not exist"),
        ("text.png", "no image"),
        ("cut.png", "cannot be read"),
        ("", "cannot be read"),
    ):
        with pytest.raises(ImageError, match=words):
            load_image(tmp_path / name)


def test_decompression_bombs_are_refused(tmp_path, monkeypatch):
    Image.new("L", (400, 400)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ImageError, match="exceeds limit"):
        load_image(tmp_path / "a.png")
