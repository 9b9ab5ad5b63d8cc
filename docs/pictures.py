"""Make the pictures of the README and the front page: ``python docs/pictures.py [NAME ...]``.

Everything is made by the commands in :data:`COMMANDS` from photographs that pip packages ship; nothing is downloaded.
Pages are photographed by Chromium (packages ``chromium`` and ``chromium-driver`` of Debian) through selenium.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageOps

from causaliqa.cli import main
from causaliqa.io.photographs import SCENES, picture

FOLDER = Path(__file__).parent / "pictures"
COMMANDS = {
    "leaderboard": "causaliqa demo",
    "codecs": "causaliqa rd points.csv --metric psnr --metric calibrated_effnet_lite0 --anchor jpeg "
    "--rate-label 'bits per pixel' --out codecs.html",
    "effects": "causaliqa cem tiny_edsr_x4 astronaut.png --task sr --roi 72,104,32,32 --fine 20 --out map/",
    "card": "causaliqa card calibrated_effnet_lite0 --quick --out card.html",
}
"""What makes each picture, in an empty folder with ``astronaut.png`` and ``points.csv`` in it."""
CROPS = {
    "leaderboard": ("causaliqa-demo/leaderboard.html", ".panel", 1120),
    "codecs": ("codecs.html", "#table-bd-cells", 960),
    "card": ("card.html", ".card .doses", 960),
}
"""Page, the element of it at which the picture ends, and the width of the window in CSS pixels."""
WIDTH = 1200
"""Width of the pictures of pages in image pixels."""
WITHOUT_SECONDS = """
const heads = [...document.querySelectorAll(".ranks th")].map(head => head.textContent.trim());
const at = heads.findIndex(text => text.startsWith("s / pair"));
if (at >= 0) for (const row of document.querySelectorAll(".ranks tr")) row.cells[at].remove();
"""
"""Removes the column of a leaderboard that depends on the machine, so that the picture is the same every time."""
LARGEST = 100_000
"""Bytes above which a picture gets a palette."""
QUALITIES = {"jpeg": (10, 20, 35, 55, 75, 88), "webp": (1, 12, 35, 65, 82, 92)}


def write_inputs() -> None:
    """Write what the commands read: a crop of a photograph; points of two encoders on seven photographs."""
    picture("astronaut").crop((120, 0, 376, 256)).save("astronaut.png")
    lines = ["encoder,content,rate,dist,ref"]
    for name in SCENES:
        photo = picture(name)
        photo.thumbnail((384, 384))
        photo.save(f"{name}-ref.png")
        for encoder, qualities in QUALITIES.items():
            for quality in qualities:
                packed = Path(f"{name}-{quality}.{encoder}")
                photo.save(packed, encoder.upper(), quality=quality)
                rate = 8 * packed.stat().st_size / (photo.width * photo.height)
                lines.append(f"{encoder},{name},{rate:.4f},{packed},{name}-ref.png")
    Path("points.csv").write_text("\n".join(lines))


def figure() -> Image.Image:
    """Return the figure of the effect map with a margin."""
    return ImageOps.expand(Image.open("map/cem.png").convert("RGB"), 10, fill="white")


def screenshot(page: str, last: str, width: int) -> Image.Image:
    """Photograph a page from its top to the first element that a selector finds."""
    from io import BytesIO

    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    scale = WIDTH / width
    for flag in ("headless=new", "no-sandbox", "hide-scrollbars", f"force-device-scale-factor={scale}"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--window-size={width},3000")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        driver.get(Path(page).absolute().as_uri())
        driver.execute_script(WITHOUT_SECONDS)
        end = driver.execute_script("return document.querySelector(arguments[0]).getBoundingClientRect().bottom", last)
        shot = Image.open(BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    finally:
        driver.quit()
    return ImageOps.expand(shot.crop((0, 0, WIDTH, round(scale * (end + 3)))), (0, 0, 0, 20), fill="white")


def save(image: Image.Image, path: Path) -> None:
    """Write a PNG, with a palette where it would be too large."""
    image.save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path, image.size, f"{path.stat().st_size / 1000:.0f} kB")


def make(names: list[str]) -> None:
    """Run the commands in a folder of their own and store the pictures."""
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as place:
        os.chdir(place)
        write_inputs()
        for name in names:
            if code := main(shlex.split(COMMANDS[name])[1:]):
                raise SystemExit(code)
            save(screenshot(*CROPS[name]) if name in CROPS else figure(), FOLDER / f"{name}.png")
        os.chdir(FOLDER)


if __name__ == "__main__":
    make(sys.argv[1:] or list(COMMANDS))
