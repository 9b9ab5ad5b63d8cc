"""Videos: folders in the order of their numbers, and files through PyAV where it is installed."""

import sys
from fractions import Fraction

import numpy as np
import pytest
from clips import frames, write_clip, write_folder

from causaliqa import ImageError, InputError
from causaliqa.io.video import open_video


def pixels(load):
    return (load()[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


def test_a_folder_is_in_the_order_of_its_numbers(tmp_path):
    made = list(frames(12, 16))
    video = open_video(write_folder(tmp_path / "v", made))
    assert (video.count, video.rate) == (12, None)
    assert [p.name for p in video.files] == [f"frame{k}.png" for k in range(12)]
    assert all((pixels(load) == one).all() for load, one in zip(video.frames(), made, strict=True))
    assert len({video.key(k) for k in range(12)}) == 12
    assert video.name(3).endswith("frame3.png")


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()])
def test_what_is_no_video(tmp_path, make):
    make(tmp_path / "v")
    with pytest.raises(ImageError, match=r"does not exist|no image in the folder"):
        open_video(tmp_path / "v")


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "v.mp4").write_bytes(b"0")
    with pytest.raises(InputError, match=r"pip install 'causaliqa\[video\]'"):
        open_video(tmp_path / "v.mp4")


def test_a_lossless_file_holds_the_frames(tmp_path):
    pytest.importorskip("av")
    made = list(frames(7, 48))
    video = open_video(write_clip(tmp_path / "v.mkv", made, rate=Fraction(30000, 1001)))
    assert video.count == 7
    assert float(video.rate) == pytest.approx(30000 / 1001, rel=1e-4)
    assert all((pixels(load) == one).all() for load, one in zip(video.frames(), made, strict=True))
    assert video.key(0) != video.key(1)
    assert video.key(0) == open_video(tmp_path / "v.mkv").key(0)


@pytest.mark.parametrize("depth", ["yuv444p", "yuv444p10le"])
def test_colours_of_encoded_video_are_those_that_went_in(tmp_path, depth):
    pytest.importorskip("av")
    made = [np.full((48, 48, 3), (200, 40, 90), np.uint8)] * 3
    video = open_video(write_clip(tmp_path / "v.mkv", made, "ffv1", depth))
    for load in video.frames():
        assert np.abs(pixels(load).astype(int) - made[0]).max() <= 3


@pytest.mark.parametrize("damage", ["text", "cut"])
def test_damaged_files_are_one_line(tmp_path, damage):
    pytest.importorskip("av")
    path = write_clip(tmp_path / "v.mkv", frames(20, 48))
    content = path.read_bytes()
    path.write_bytes(b"no video" if damage == "text" else content[:200])
    with pytest.raises(ImageError, match=r"v\.mkv"):
        list(open_video(path).frames())
