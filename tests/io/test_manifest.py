"""Manifests: what is read, and what is refused with which line."""

import csv

import pytest

from causaliqa.api.errors import ManifestError
from causaliqa.io.manifest import read_manifest


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
        ("ref,dist,mos\na.png,x.png,1\na.png,y.png,1\n", "images are missing: .*x.png, .*y.png$"),
        ("ref,dist,mos\nz.png,x.png,1\n", "images are missing: .*; none is there: is .* the folder of the images"),
        ("ref;dist;mos\na.png;a.png;1\n", "fields are separated by ';', expected commas"),
        ("ref\tdist\tmos\na.png\ta.png\t1\n", r"fields are separated by '\\t', expected commas"),
        (f"ref,dist,mos,{'x' * 200_000}\na.png,a.png,1,1\n", "malformed CSV: field larger than"),
        ("ref,dist,mos\na\rb.png,a.png,1\n", "malformed CSV|number of fields"),
        (f"ref,dist,mos\n{'x' * 300}.png,{'y/' * 3000}a.png,1\n", "images are missing"),
        ("ref,dist,mos\na.png,x\0.png,1\n", "line 2: dist is .* leads out|malformed CSV"),
        ("ref,dist,mos\na.png,b c.png,1\nb c.png,b c.png,2\n", "2 images in ref and 1 in dist.*swapped"),
        (b"ref,dist,mos\n\xff\xfe,a.png,1\n", "UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "UTF-8"),
    ],
)
def test_bad_manifests(write, text, words):
    with pytest.raises(ManifestError, match=words):
        read_manifest(write(text))


def test_missing_and_folder(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ManifestError, match=r"cannot be read: .*; expected a CSV file, or NAME=FOLDER"):
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


@pytest.fixture
def outside(tmp_path):
    """A folder with a manifest's images, beside one with a file that is nobody's business."""
    for name in ("set", "set/sub", "secret"):
        (tmp_path / name).mkdir()
    for name in ("set/a.png", "set/sub/b.png", "secret/x.png"):
        (tmp_path / name).touch()
    (tmp_path / "set" / "link.png").symlink_to(tmp_path / "secret" / "x.png")
    (tmp_path / "set" / "folder").symlink_to(tmp_path / "secret")
    (tmp_path / "set" / "inner.png").symlink_to(tmp_path / "set" / "sub" / "b.png")

    def make(cell):
        path = tmp_path / "set" / "m.csv"
        path.write_text(f"ref,dist,mos\na.png,a.png,1\na.png,{cell.format(root=tmp_path)},1\n")
        return path

    return make


OUTSIDE = (
    "../secret/x.png",
    "{root}/secret/x.png",
    "link.png",
    "folder/x.png",
    "sub/../../secret/x.png",
    "..",
    "folder/..",
)


@pytest.mark.parametrize("cell", OUTSIDE)
def test_a_manifest_reads_nothing_outside_its_folder(outside, tmp_path, monkeypatch, cell):
    path = outside(cell)
    with pytest.raises(
        ManifestError, match=r"line 3: dist is .*, which leads out of .*set; .*--allow-outside"
    ) as caught:
        read_manifest(path)
    assert repr(cell.format(root=tmp_path)) in str(caught.value)
    monkeypatch.chdir(tmp_path / "set")
    with pytest.raises(ManifestError, match="leads out"):
        read_manifest(path.relative_to(tmp_path / "set"))
    if cell.endswith(".png"):
        assert read_manifest(path, allow_outside=True).pairs[1].dist.is_file()


@pytest.mark.parametrize("cell", ["sub/b.png", "sub/../a.png", "./a.png", "inner.png", "{root}/set/a.png"])
def test_what_stays_in_the_folder_is_read(outside, cell):
    assert read_manifest(outside(cell)).pairs[1].dist.is_file()


def test_a_folder_may_be_a_link_itself(outside, tmp_path):
    path = outside("sub/b.png")
    (tmp_path / "elsewhere").symlink_to(path.parent)
    assert len(read_manifest(tmp_path / "elsewhere" / "m.csv").pairs) == 2


def test_labels_alone_ask_the_disk_nothing(outside, monkeypatch):
    path = outside("../secret/x.png")
    text = path.read_text()
    monkeypatch.setattr("causaliqa.io.manifest.read_text", lambda *a: text)
    for what in ("is_file", "is_symlink", "stat", "exists"):
        monkeypatch.setattr(f"pathlib.Path.{what}", lambda *a, **k: pytest.fail("looked up"))
    assert len(read_manifest(path, labels_only=True).pairs) == 2


HOSTILE = [
    "with space.png",
    "new\nline.png",
    "tab\there.png",
    "caf\u00e9.png",
    "cafe\u0301.png",
    "\u202egnp.exe.png",
    'it\'s "quoted".png',
    "-dash.png",
    "=cmd().png",
    "+1.png",
    "@SUM(A1).png",
    "<script>alert(1)<.png",
    "a,b;c.png",
    "$x_1$%&#{}~^.png",
    "back\\slash.png",
    "%s%n{0}.png",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_of_a_file_is_read(tmp_path, name):
    (tmp_path / name).touch()
    with (tmp_path / "m.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["ref", "dist", "mos"], [name, name, 1]])
    data = read_manifest(tmp_path / "m.csv")
    assert data.image_name(data.pairs[0].dist) == name


@pytest.mark.parametrize(("there", "said"), [("caf\u00e9.png", "cafe\u0301.png"), ("cafe\u0301.png", "caf\u00e9.png")])
def test_accents_of_another_system_are_found(tmp_path, there, said):
    (tmp_path / there).touch()
    (tmp_path / "m.csv").write_text(f"ref,dist,mos\n{said},{said},1\n")
    assert read_manifest(tmp_path / "m.csv").pairs[0].dist.is_file()


_ONLY_PYTHONS = [
    "1_000",
    "１２",
    "0x10",
    "infinity",
    "-Infinity",
    "1e5_0",
    "1e",
    "٣",
    "1\u00a0",
    "1 000",
    "1,5",
    "+-1",
    "0b1",
]


@pytest.mark.parametrize("cell", _ONLY_PYTHONS)
def test_what_only_python_takes_for_a_number(write, cell):
    with pytest.raises(ManifestError) as caught:
        read_manifest(write(f'ref,dist,mos\na.png,a.png,1\na.png,b c.png,"{cell}"\n'))
    assert "line 3: mos is" in str(caught.value) and repr(cell) in str(caught.value)


@pytest.mark.parametrize(("cell", "value"), [("1e5 ", 1e5), (" -.5", -0.5), ("+3.", 3.0), ("2E-1", 0.2), ("007", 7.0)])
def test_numbers_as_tables_write_them(write, cell, value):
    assert read_manifest(write(f'ref,dist,mos\na.png,a.png,"{cell}"\n')).pairs[0].label == value


@pytest.mark.parametrize("again", ["a.png,b c.png,2", "./a.png,x/../b c.png,2.0", "a.png,b c.png,2,jpeg"])
def test_a_pair_that_stands_there_twice_is_told(write, again, caplog):
    (write("").parent / "x").mkdir()
    head = "ref,dist,mos,type" if again.count(",") == 3 else "ref,dist,mos"
    end = ",blur" if again.count(",") == 3 else ""
    data = read_manifest(write(f"{head}\na.png,a.png,1{end}\na.png,b c.png,2{end}\n{again}\n"))
    assert len(data) == 3
    (record,) = caplog.records
    assert "1 line has a pair again" in record.getMessage() and "b c.png" in record.getMessage()


def test_a_pair_with_two_labels_is_refused(write):
    with pytest.raises(ManifestError, match=r"b c\.png stands there twice .* with labels 2 and 3"):
        read_manifest(write("ref,dist,mos\na.png,a.png,1\na.png,b c.png,2\na.png,b c.png,3\n"))


def test_one_image_with_two_references_is_no_repetition(write, caplog):
    read_manifest(write("ref,dist,mos\na.png,a.png,1\nb c.png,a.png,2\na.png,b c.png,2\n"))
    assert not caplog.records


def test_backslashes_are_named_as_the_cause(write, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.png").touch()
    with pytest.raises(ManifestError, match=r"images are missing.*separated by backslashes, expected /"):
        read_manifest(write("ref,dist,mos\nx\\a.png,a.png,1\n"))
