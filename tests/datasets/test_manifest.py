"""Manifests: what is read, and what is refused with which line."""

import pytest

from causaliqa.datasets.manifest import read_manifest
from causaliqa.errors import ManifestError


@pytest.fixture
def write(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b c.png").touch()

    def make(text, name="m.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


def test_columns_directions_and_paths(write, tmp_path):
    data = read_manifest(write("\ufeffRef, Dist, MOS, type, level\na.png, b c.png, 4.5, blur, 2\r\n"))
    assert (data.name, data.label, data.label_lower_better) == ("m", "mos", False)
    (pair,) = data.pairs
    assert (pair.ref, pair.dist) == (tmp_path / "a.png", tmp_path / "b c.png")
    assert (pair.label, pair.type, pair.level, pair.split) == (4.5, "blur", "2", "")
    assert read_manifest(write("ref,dist,dmos\na.png,a.png,1\n")).label_lower_better


def test_a_file_called_manifest_takes_the_name_of_its_folder(write, tmp_path):
    assert read_manifest(write("ref,dist,mos\na.png,a.png,1\n", "manifest.csv")).name == tmp_path.name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("ref,dist,mos\n", "no line below the header"),
        ("ref,dist\na.png,a.png\n", "got neither, expected one label column"),
        ("ref,dist,mos,dmos\na.png,a.png,1,2\n", "got mos and dmos"),
        ("dist,mos\na.png,1\n", "column 'ref' is missing"),
        ("ref,ref,dist,mos\na.png,a.png,a.png,1\n", "'ref' occurs twice"),
        ("ref,dist,mos\na.png,a.png,nan\n", "line 2: mos is nan"),
        ("ref,dist,mos\na.png,a.png,inf\n", "line 2: mos is inf"),
        ("ref,dist,mos\na.png,a.png,1\na.png,a.png,good\n", "line 3: mos is 'good'"),
        ("ref,dist,mos\na.png,a.png,\n", "line 2: mos is ''"),
        ("ref,dist,mos\na.png,a.png\n", "line 2: got another number of fields"),
        ("ref,dist,mos\na.png,a.png,1,2\n", "line 2: got another number of fields"),
        ("ref,dist,mos\n,a.png,1\n", "line 2: ref is empty"),
        ("ref,dist,mos\na.png,x.png,1\na.png,y.png,1\n", "images are missing: .*x.png, .*y.png"),
        (b"ref,dist,mos\n\xff\xfe,a.png,1\n", "UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "UTF-8"),
    ],
)
def test_bad_manifests(write, text, words):
    with pytest.raises(ManifestError, match=words):
        read_manifest(write(text))


def test_missing_and_folder(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ManifestError, match="cannot be read"):
            read_manifest(path)


def test_labels_alone_need_neither_images_nor_references(write, tmp_path):
    path = write("dist,mos\nx.png,4\nsub/y.png,2\n")
    with pytest.raises(ManifestError, match="column 'ref' is missing"):
        read_manifest(path)
    data = read_manifest(path, labels_only=True)
    assert [pair.ref for pair in data.pairs] == [None, None]
    assert [data.image_name(pair.dist) for pair in data.pairs] == ["x.png", "sub/y.png"]
    with_ref = read_manifest(write("ref,dist,mos\nr.png,x.png,4\n,y.png,4\n"), labels_only=True)
    assert [with_ref.image_name(pair.ref) for pair in with_ref.pairs] == ["r.png", ""]
    with pytest.raises(ManifestError, match="line 2: dist is empty"):
        read_manifest(write("dist,mos\n,4\n"), labels_only=True)


def test_images_elsewhere_keep_their_whole_path(write, tmp_path):
    data = read_manifest(write(f"ref,dist,mos\n{tmp_path}/a.png,/elsewhere/x.png,1\n"), labels_only=True)
    (pair,) = data.pairs
    assert (data.image_name(pair.ref), data.image_name(pair.dist)) == ("a.png", "/elsewhere/x.png")
