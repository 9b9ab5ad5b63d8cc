"""Small archives in the authors' layout, and ways to damage them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
from PIL import Image
from scipy.io import loadmat, savemat

SIZE = {
    "live": {"references": 2, "images": 20},
    "csiq": {"references": 2, "images": 60},
    "tid2008": {"references": 2, "images": 136},
    "tid2013": {"references": 2, "images": 240},
    "kadid10k": {"references": 2, "images": 250},
    "pipal": {"references": 2, "images": 14},
    "pipal_val": {"references": 2, "images": 14},
    "pipal_trainval": {"references": 4, "images": 28},
}
"""What the small archives hold: every type and level of two references."""


def image(path: Path, side: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side)).save(path)


def live(root: Path) -> None:
    refs, labels, stds, orgs = [], [], [], []
    for folder in ("jp2k", "jpeg", "wn", "gblur", "fastfading"):
        lines = []
        for number, (ref, strength) in enumerate(itertools.product(("bikes.bmp", "Sailing1.bmp"), (0.0, 0.5, 2.0)), 1):
            image(root / folder / f"img{number}.bmp")
            lines.append(f"{ref} img{number}.bmp {strength}")
            refs.append(ref)
            orgs.append(strength == 0)
            labels.append(45.0 * strength)
            stds.append(strength)
        (root / folder / "info.txt").write_text("\n".join(reversed(lines)) + "\n")
    for ref in set(refs):
        image(root / "refimgs" / ref.lower())
    names = np.empty((1, len(refs)), dtype=object)
    names[0] = refs
    savemat(root / "refnames_all.mat", {"refnames_all": names})
    values = {"dmos_new": [labels], "dmos_std": [stds], "orgs": np.array([orgs], np.uint8)}
    savemat(root / "dmos_realigned.mat", values)


def csiq(root: Path) -> None:
    folders = {
        "noise": ("awgn", "AWGN"),
        "jpeg": ("jpeg", "JPEG"),
        "jpeg 2000": ("jpeg2000", "jpeg2000"),
        "fnoise": ("fnoise", "fnoise"),
        "blur": ("blur", "BLUR"),
        "contrast": ("contrast", "contrast"),
    }
    book = openpyxl.Workbook()
    book.active.title = "z_crit"
    sheet = book.create_sheet("all_by_image")
    for _ in range(3):
        sheet.append([])
    sheet.append([None, None, None, "image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"])
    for ref in (1600, "boston"):
        image(root / "src_imgs" / f"{ref}.png")
        for number, (kind, (folder, name)) in enumerate(folders.items(), 1):
            for level in range(1, 6):
                image(root / "dst_imgs" / folder / f"{ref}.{name}.{level}.png")
                sheet.append([None, None, None, ref, number, kind, level, 0.1 + 0.01 * level, 0.18 * level])
    book.save(root / "csiq.DMOS.xlsx")


def tid(types: int, levels: int, references: int = 2) -> Callable[[Path], None]:
    def build(root: Path) -> None:
        lines, stds = [], []
        for ref in [f"I{number:02d}" for number in (*range(1, references), 25)]:
            # As distributed: capitals in the label file are small letters on disk, and the other way round.
            image(root / "reference_images" / ("i25.bmp" if ref == "I25" else f"{ref}.BMP"))
            for kind, level in itertools.product(range(1, types + 1), range(1, levels + 1)):
                name = f"{ref}_{kind:02d}_{level}.bmp"
                image(root / "distorted_images" / (name.lower() if level == 1 else name))
                lines.append(f"{7.5 - 1.4 * level + 0.01 * kind:.5f} {name}")
                stds.append(f"{0.1 + 0.01 * level:.5f}")
        (root / "mos_with_names.txt").write_text("\n".join(lines) + "\n")
        (root / "mos_std.txt").write_text("\n".join(stds) + "\n")

    return build


def kadid(root: Path) -> None:
    lines = ["dist_img,ref_img,dmos,var"]
    for ref in ("I01", "I81"):
        image(root / "images" / f"{ref}.png")
        for kind, level in itertools.product(range(1, 26), range(1, 6)):
            name = f"{ref}_{kind:02d}_{level:02d}.png"
            image(root / "images" / name)
            lines.append(f"{name},{ref}.png,{5.3 - 0.8 * level:.2f},{0.1 * level:.3f}")
    (root / "dmos.csv").write_text("\n".join(lines) + "\n")


def pipal(split: str, folders: tuple[str, ...]) -> Callable[[Path], None]:
    def build(root: Path) -> None:
        (root / f"{split}_Label").mkdir(parents=True)
        for ref in ("A0001", "A0248"):
            image(root / f"{split}_Ref" / f"{ref}.bmp")
            lines = []
            for number in range(7):
                name = f"{ref}_{number:02d}_{number:02d}.bmp"
                image(root / folders[number % len(folders)] / name)
                lines.append(f"{name},{1000 + 100 * number:.4f}")
            (root / f"{split}_Label" / f"{ref}.txt").write_text("\n".join(lines) + "\n")

    return build


BUILD = {
    "live": live,
    "csiq": csiq,
    "tid2008": tid(17, 4),
    "tid2013": tid(24, 5),
    "kadid10k": kadid,
    "pipal": pipal("Train", ("Distortion_1", "Distortion_2", "Distortion_3", "Distortion_4")),
    "pipal_val": pipal("Val", ("Val_Dist",)),
}
BUILD["pipal_trainval"] = lambda root: (BUILD["pipal"](root), BUILD["pipal_val"](root))


LABEL_FILE = {
    "live": "dmos_realigned.mat",
    "csiq": "csiq.DMOS.xlsx",
    "tid2008": "mos_with_names.txt",
    "tid2013": "mos_with_names.txt",
    "kadid10k": "dmos.csv",
    "pipal": "Train_Label/A0001.txt",
    "pipal_val": "Val_Label/A0001.txt",
    "pipal_trainval": "Val_Label/A0248.txt",
}


def swap(name: str, root: Path) -> None:
    """Exchange the label with the column beside it, as a hurried edit would."""
    path = root / LABEL_FILE[name]
    if name == "live":
        old = loadmat(path)
        savemat(path, {"dmos_new": old["dmos_std"], "dmos_std": old["dmos_new"], "orgs": old["orgs"]})
    elif name == "csiq":
        book = openpyxl.load_workbook(path)
        for line in book["all_by_image"].iter_rows(min_row=5):
            line[7].value, line[8].value = line[8].value, line[7].value
        book.save(path)
    elif name == "kadid10k":
        lines = [line.split(",") for line in path.read_text().split()]
        path.write_text("\n".join(",".join([a, b, d, c]) for a, b, c, d in lines[1:]) + "\n")
        path.write_text("dist_img,ref_img,dmos,var\n" + path.read_text())
    else:
        mark = "," if "pipal" in name else " "
        lines = [line.split(mark) for line in path.read_text().splitlines()]
        path.write_text("\n".join(mark.join(reversed(line)) for line in lines) + "\n")
