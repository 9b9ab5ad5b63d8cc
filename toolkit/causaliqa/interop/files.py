"""Which files a metric of pyiqa loads, as far as its source says so; nothing of it is imported.

pyiqa's classes fetch weights where they are built. Their modules name the files, and sometimes several of which the
options choose one; backbones of torchvision, timm and CLIP come on top.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from causaliqa.api.data import NeededFile
from causaliqa.interop.hooks import default_configs
from causaliqa.utils.files import package_file

__all__ = ["PyiqaFiles", "hub_folder", "needed_files", "pyiqa_files"]

_FILE = re.compile(r"get_url_from_name\(\s*(?:name=)?['\"]([^'\"]+)['\"]")
_KEYED = re.compile(r"['\"]([^'\"]+)['\"]\s*:\s*get_url_from_name\(\s*(?:name=)?['\"]([^'\"]+)['\"]")
_TORCHVISION = re.compile(r"(?:torchvision\.models|models|tv\.models)\.(\w+)\(\s*(?:weights=(?!None)|pretrained=True)")
_TIMM = re.compile(r"timm\.create_model\(\s*['\"]([^'\"]+)['\"][^)]*pretrained=True")
_HIDDEN = re.compile(
    r"clip_model import|clip\.load|from_pretrained\(|load_state_dict_from_url|timm\.create_model|torch\.hub\.load"
)


@dataclass(frozen=True, kw_only=True)
class PyiqaFiles:
    """What the source of a metric names."""

    files: tuple[str, ...] = ()
    """Files of pyiqa's own weights; of several one is chosen by options that are not understood here."""
    backbones: tuple[str, ...] = ()
    """Networks of torchvision whose weights its module may load."""
    more: bool = False
    """It loads something else, whose name its source does not tell."""


def hub_folder() -> Path:
    """Return torch's folder for downloads, as torch itself finds it."""
    home = os.environ.get("TORCH_HOME")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home or f"{base}/torch").expanduser() / "hub"


@lru_cache(maxsize=1)
def _sources() -> dict[str, str]:
    """Return the text of every module of pyiqa's architectures."""
    package = package_file("pyiqa:__init__.py")
    files = sorted((package.parent / "archs").glob("*.py")) if package else []
    return {path.name: path.read_text(encoding="utf-8", errors="replace") for path in files}


def pyiqa_files(name: str) -> PyiqaFiles:
    """Return which files a metric of pyiqa loads.

    Example:
        >>> pyiqa_files("psnr")
        PyiqaFiles(files=(), backbones=(), more=False)
        >>> pyiqa_files("lpips").files
        ('LPIPS_v0.1_alex-df73285e.pth',)
    """
    options = default_configs()[name]["metric_opts"]
    defined = re.compile(rf"^class {re.escape(str(options['type']))}\b", re.MULTILINE)
    text = next((t for t in _sources().values() if defined.search(t)), None)
    if text is None:
        return PyiqaFiles(more=True)
    words = _words(name, *(str(value) for value in options.values()))
    keyed = dict(_KEYED.findall(text))
    chosen = {file for key, file in keyed.items() if _words(key) <= words} or set(_FILE.findall(text))
    backbones = dict.fromkeys([*_TORCHVISION.findall(text), *_TIMM.findall(text)])
    if {"alexnet", "vgg16"} <= set(backbones):
        # The module of LPIPS holds every network that it may stand on.
        wanted = {"alex": "alexnet", "vgg": "vgg16"}.get(str(options.get("net")))
        backbones = {wanted: None} if wanted else backbones
    return PyiqaFiles(
        files=tuple(sorted(chosen)), backbones=tuple(backbones), more=bool(_HIDDEN.search(text)) and not backbones
    )


def _words(*texts: str) -> set[str]:
    return {word for text in texts for word in re.split(r"[_\-+\s]", text.lower()) if word}


def needed_files(name: str) -> Iterator[NeededFile]:
    """Yield the files that a metric of pyiqa would load, and which of them exist locally.

    Example:
        >>> [file.state for file in needed_files("psnr")]
        ['none']
    """
    named, hub = pyiqa_files(name), hub_folder()
    one_of = f"one of {len(named.files)} that its module names" if len(named.files) > 1 else "pyiqa downloads it"
    for file in named.files:
        path = hub / "pyiqa" / file
        yield _in_hub(name, file, [path] if path.is_file() else [], one_of)
    for backbone in named.backbones:
        found = sorted((hub / "checkpoints").glob(f"{backbone}-*.pth"))
        yield _in_hub(name, f"{backbone} of torchvision", found, "torchvision or timm downloads it")
    if named.more:
        yield NeededFile(
            name=name, file="", state="unknown", source="pyiqa loads more, and its source does not say what"
        )
    if not (named.files or named.backbones or named.more):
        yield NeededFile(name=name, file="", state="none", source="nothing to download, as its source says")


def _in_hub(name: str, file: str, found: list[Path], source: str) -> NeededFile:
    size = found[0].stat().st_size if found else None
    return NeededFile(
        name=name,
        file=file,
        state="here" if found else "missing",
        size=size,
        source=f"{found[0]} (not verified)" if found else source,
    )
