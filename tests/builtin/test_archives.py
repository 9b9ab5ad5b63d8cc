"""The six archives of the field: small ones in the authors' layout, each kind of damage, and the real label files."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from archives import BUILD, LABEL_FILE, SIZE, csiq, image, kadid, live, pipal, swap, tid
from PIL import Image
from scipy.io import savemat

from causaliqa.api.data import PairDataset
from causaliqa.api.errors import ManifestError
from causaliqa.builtin.datasets._archive import Tree
from causaliqa.builtin.datasets.archives import ARCHIVES
from causaliqa.builtin.datasets.load import _counts, _labels
from causaliqa.builtin.hooks import causaliqa_datasets

openpyxl = pytest.importorskip("openpyxl")

SPECS = {spec.name: spec for spec in causaliqa_datasets()}


@pytest.fixture(params=list(BUILD))
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    root = tmp_path / "archive"
    root.mkdir()
    BUILD[request.param](root)
    return request.param, root


def _load(name: str, root: Path, **options) -> PairDataset:
    return SPECS[name].factory(root, **{**SIZE[name], **options})


def _verify(name: str, root: Path) -> list[str]:
    assert SPECS[name].verify is not None
    return [f.message for f in SPECS[name].verify(root, **SIZE[name]) if not f.harmless]


def _first(name: str, root: Path) -> Path:
    return _load(name, root).pairs[5].dist


def test_small_archives_load(archive) -> None:
    name, root = archive
    dataset = _load(name, root)
    assert len(dataset.pairs) == SIZE[name]["images"]
    assert len({pair.ref for pair in dataset.pairs}) == SIZE[name]["references"]
    assert all(pair.ref.is_file() and pair.dist.is_file() for pair in dataset.pairs)
    assert len({pair.dist for pair in dataset.pairs}) == len(dataset.pairs)
    assert all(pair.type and pair.level for pair in dataset.pairs)
    assert dataset.name == name
    assert dataset.label_lower_better == (name in ("live", "csiq"))
    low, high = dataset.label_range
    assert all(low <= pair.label <= high for pair in dataset.pairs)
    assert all((pair.label_std is not None) == ("pipal" not in name) for pair in dataset.pairs)
    assert _verify(name, root) == []


def test_stronger_distortions_are_worse(archive) -> None:
    name, root = archive
    if "pipal" in name:
        return  # its levels are no strengths
    dataset = _load(name, root)
    levels = np.array([float(pair.level) for pair in dataset.pairs])
    labels = np.array([pair.label for pair in dataset.pairs])
    assert (np.corrcoef(levels, labels)[0, 1] > 0.9) == dataset.label_lower_better


def test_another_layout_of_pipal_and_csiq(tmp_path: Path) -> None:
    pipal("Train", ("Train_Dist",))(tmp_path)
    assert len(_load("pipal", tmp_path).pairs) == 14
    csiq(tmp_path)
    for path in list((tmp_path / "dst_imgs").glob("*/*.png")):
        path.rename(tmp_path / "dst_imgs" / path.name)
    assert len(_load("csiq", tmp_path).pairs) == 60


def test_live_leaves_out_undistorted_copies_unless_told(tmp_path: Path) -> None:
    live(tmp_path)
    whole = _load("live", tmp_path, undistorted=True)
    assert len(whole.pairs) == 30
    assert sum(pair.label == 0 for pair in whole.pairs) == 10
    assert all(pair.label > 0 for pair in _load("live", tmp_path).pairs)


def test_live_without_realigned_labels(tmp_path: Path) -> None:
    from scipy.io import loadmat

    live(tmp_path)
    old = loadmat(tmp_path / "dmos_realigned.mat")
    (tmp_path / "dmos_realigned.mat").unlink()
    savemat(tmp_path / "dmos.mat", {"dmos": old["dmos_new"], "orgs": old["orgs"]})
    assert {pair.label_std for pair in _load("live", tmp_path).pairs} == {None}


def test_live_notices_shuffled_references(tmp_path: Path) -> None:
    live(tmp_path)
    info = tmp_path / "wn" / "info.txt"
    swap = {"bikes": "Sailing1", "Sailing1": "bikes"}
    info.write_text(re.sub("bikes|Sailing1", lambda match: swap[match[0]], info.read_text()))
    with pytest.raises(ManifestError, match=r"wn/img1.bmp comes from bikes.bmp, but wn/info.txt says Sailing1.bmp"):
        _load("live", tmp_path)


def test_case_differences_are_found_and_told(tmp_path: Path) -> None:
    tid(24, 5)(tmp_path)
    (found,) = SPECS["tid2013"].verify(tmp_path, **SIZE["tid2013"])
    assert (found.kind, len(found.files), found.harmless) == ("case", 50, True)
    assert re.match(r"50 names differ in case: .*i01_01_1.bmp for I01_01_1.bmp", found.message)


def test_missing_image(archive) -> None:
    name, root = archive
    path = _first(name, root)
    path.unlink()
    with pytest.raises(ManifestError, match=f"(?i)1 image is missing: .*{re.escape(path.name)}"):
        _load(name, root)
    assert any("1 image is missing" in line for line in _verify(name, root))


def test_missing_reference(archive) -> None:
    name, root = archive
    path = _load(name, root).pairs[5].ref
    path.unlink()
    with pytest.raises(ManifestError, match="1 image is missing"):
        _load(name, root)


def test_extra_image(archive) -> None:
    name, root = archive
    path = _first(name, root)
    shutil.copy(path, path.with_name("stray" + path.suffix))
    assert len(_load(name, root).pairs) == SIZE[name]["images"]
    (line,) = _verify(name, root)
    assert "1 image has no label" in line
    assert "stray" in line


def test_wrong_counts(archive) -> None:
    name, root = archive
    got, expected = SIZE[name]["images"], SPECS[name].images
    with pytest.raises(ManifestError, match=f"name {got} distorted images, expected {expected}"):
        SPECS[name].factory(root)
    with pytest.raises(ManifestError, match=f"name {SIZE[name]['references']} references, expected 3"):
        _load(name, root, references=3)


def test_a_damaged_image_and_one_of_another_size(archive) -> None:
    name, root = archive
    pairs = _load(name, root).pairs
    pairs[0].dist.write_bytes(b"BM")
    image(pairs[1].dist, side=9)
    pairs[2].dist.write_bytes(b"")
    problems = _verify(name, root)
    assert any("1 image cannot be read" in line and pairs[0].dist.name in line for line in problems)
    assert any("1 image has another size than" in line and pairs[1].dist.name in line for line in problems)
    assert any("1 image is empty (0 bytes)" in line and pairs[2].dist.name in line for line in problems)
    assert len(problems) == 3


def test_only_a_deep_look_finds_truncated_images(archive) -> None:
    name, root = archive
    path = _first(name, root)
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-60])
    (found,) = (f for f in SPECS[name].verify(root, **SIZE[name], deep=True) if not f.harmless)
    assert (found.kind, len(found.files)) == ("unreadable", 1)
    assert path.name.lower() in found.files[0].lower()
    assert _verify(name, root) == []


def test_labels_alone_are_enough_for_scores_from_elsewhere(archive) -> None:
    name, root = archive
    whole = _load(name, root)
    for pair in whole.pairs:
        pair.dist.unlink()
        pair.ref.unlink(missing_ok=True)
    bare = _load(name, root, labels_only=True)
    assert [pair.label for pair in bare.pairs] == [pair.label for pair in whole.pairs]
    assert len({bare.image_name(pair.ref) for pair in bare.pairs}) == SIZE[name]["references"]
    assert all(bare.image_name(pair.dist)[0] != "/" for pair in bare.pairs)
    with pytest.raises(ManifestError, match="images are missing"):
        _load(name, root)


def test_both_splits_of_pipal_together(tmp_path: Path) -> None:
    BUILD["pipal_trainval"](tmp_path)
    splits = [pair.split for pair in _load("pipal_trainval", tmp_path).pairs]
    assert (splits.count("train"), splits.count("val")) == (14, 14)
    assert SPECS["pipal_trainval"].images == SPECS["pipal"].images + SPECS["pipal_val"].images == 24200


@pytest.mark.parametrize("content", [b"", bytes(range(256)) * 8, b"\xff\xfe\x00", b"nonsense\n"])
def test_unreadable_label_file(archive, content: bytes) -> None:
    name, root = archive
    (root / LABEL_FILE[name]).write_bytes(content)
    with pytest.raises(ManifestError, match="label file .*" + re.escape(Path(LABEL_FILE[name]).name)) as caught:
        _load(name, root)
    assert "expected" in str(caught.value)
    assert _verify(name, root) == [str(caught.value)]


def test_no_label_file_and_no_folder(archive) -> None:
    name, root = archive
    shutil.rmtree(root / "Train_Label", ignore_errors=True)
    shutil.rmtree(root / "Val_Label", ignore_errors=True)
    (root / LABEL_FILE[name]).unlink(missing_ok=True)
    with pytest.raises(ManifestError, match="expected the folder with"):
        _load(name, root)
    with pytest.raises(ManifestError, match="no such folder"):
        _load(name, root / "nowhere")


def test_swapped_label_column(archive) -> None:
    name, root = archive
    swap(name, root)
    with pytest.raises(ManifestError, match=r"another column\?|columns swapped"):
        _load(name, root)


@pytest.mark.parametrize("name", ["tid2008", "tid2013", "kadid10k"])
def test_a_scale_turned_round(tmp_path: Path, name: str) -> None:
    BUILD[name](tmp_path)
    path = tmp_path / LABEL_FILE[name]
    if name == "kadid10k":
        text = re.sub(r",(\d\.\d\d),", lambda m: f",{6 - float(m[1]):.2f},", path.read_text())
    else:
        text = re.sub(r"^(\S+)", lambda m: f"{8 - float(m[1]):.5f}", path.read_text(), flags=re.M)
    path.write_text(text)
    with pytest.raises(ManifestError, match="high is good; are columns swapped or the scale turned round"):
        _load(name, tmp_path)


def test_a_label_that_is_no_number(tmp_path: Path) -> None:
    tid(24, 5)(tmp_path)
    path = tmp_path / "mos_with_names.txt"
    path.write_text("none" + path.read_text()[7:])
    with pytest.raises(ManifestError, match=r"the label of distorted_images/I01_01_1.bmp is not a number"):
        _load("tid2013", tmp_path)


def test_a_line_that_is_cut_off(tmp_path: Path) -> None:
    kadid(tmp_path)
    path = tmp_path / "dmos.csv"
    path.write_text(path.read_text().rstrip().rpartition("\n")[0] + "\nI01_01_05.png")
    with pytest.raises(ManifestError, match=r"got I01_01_05.png, None, None, None, expected a name"):
        _load("kadid10k", tmp_path)


def test_an_image_with_two_labels(tmp_path: Path) -> None:
    kadid(tmp_path)
    path = tmp_path / "dmos.csv"
    path.write_text(path.read_text().replace("I01_01_02.png", "I01_01_01.png"))
    with pytest.raises(ManifestError, match=r"1 image has two labels: images/I01_01_01.png"):
        _load("kadid10k", tmp_path)


def test_records_are_lazy() -> None:
    code = (
        "import sys; from causaliqa.builtin.hooks import causaliqa_datasets as hook; list(hook()); print(*sys.modules)"
    )
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert not {"torch", "scipy", "openpyxl", "PIL", "numpy"} & set(out.stdout.split())


def _published(data: Path, name: str) -> dict[str, tuple[str, float]]:
    with (data / "labels" / f"{name}.txt").open(encoding="utf-8") as file:
        return {
            row["dis_img_path"].lower().partition("/")[2]: (Path(row["ref_img_path"]).name.lower(), float(row["score"]))
            for row in csv.DictReader(file)
        }


def _write_tid(root: Path, labels: dict[str, tuple[str, float]]) -> None:
    (root / "mos_with_names.txt").write_text("".join(f"{v} {Path(k).name}\n" for k, (_, v) in labels.items()))


def _write_pipal(root: Path, labels: dict[str, tuple[str, float]]) -> None:
    (root / "Train_Label").mkdir()
    for key, (ref, value) in labels.items():
        with (root / "Train_Label" / ref.replace(".bmp", ".txt")).open("a", encoding="utf-8") as file:
            file.write(f"{Path(key).name},{value}\n")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "file", "tolerance"),
    [
        ("live", "LIVE", 1e-9),
        ("csiq", "CSIQ", 1e-5),
        ("tid2008", "TID2008", 0),
        ("tid2013", "TID2013", 0),
        ("kadid10k", "KADID-10k", 0),
        ("pipal", "PIPAL", 0),
    ],
)
def test_the_authors_label_files(data: Path, tmp_path: Path, name: str, file: str, tolerance: float) -> None:
    """Whole label files, without images: counts, names and labels are those of an independent list."""
    labels = _published(data, file)
    lab = data / "labels" / "iqa_lab_scores" / "IQA" / "Full_Reference" / "train_free" / "datasets"
    if name.startswith("tid"):
        _write_tid(tmp_path, labels)
    elif name == "pipal":
        _write_pipal(tmp_path, labels)
    else:
        sources = {"live": ("LIVE", "*.mat"), "csiq": ("CSIQ", "*.xlsx"), "kadid10k": ("KADID10K", "*.csv")}
        folder, pattern = sources[name]
        for path in (lab / folder).glob(pattern):
            shutil.copy(path, tmp_path)
    archive = ARCHIVES[name]
    entries = archive.read(Tree(tmp_path))
    assert _labels(archive, entries) == []
    assert _counts(archive, entries, None, None) == []
    read = {path.lower(): entry for entry in entries if not entry.pristine for path in entry.dist}
    assert set(labels) <= set(read)
    for path, (ref, value) in labels.items():
        assert read[path].label == pytest.approx(value, abs=tolerance)
        assert Path(read[path].ref[0]).name.lower() == ref
    if name == "live":
        assert (len(entries), sum(entry.pristine for entry in entries)) == (982, 203)
