"""Weights files: search, download, check and load.

Search order: the path given, the folder ``CAUSALIQA_WEIGHTS``, the package that ships the file, the cache; then the
file is downloaded, unless ``CAUSALIQA_OFFLINE`` is set.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import logging
import os
import pickle
import re
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causaliqa.api.errors import InputError, WeightsError, WeightsInputError
from causaliqa.api.specs import WeightsEntry
from causaliqa.utils.caches import cache_root, cache_roots, writable_root
from causaliqa.utils.environment import Environment
from causaliqa.utils.files import package_file
from causaliqa.utils.locks import has_locks
from causaliqa.utils.offline import is_offline
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["WeightsEntry", "cache_folder", "fetch", "find", "load_into", "load_state", "resolve", "sha256"]

_TIMEOUT = 20.0
"""Seconds without data after which a download attempt fails."""

_ATTEMPTS = 4
"""Attempts for a download that was interrupted; one that never begins is tried once."""

_PAUSE = 0.5
"""Seconds before the second attempt; doubled before each further one."""

_FULL = 64
"""Hexadecimal digits of a complete SHA-256."""


def cache_folder() -> Path:
    """Return the folder for downloaded weights: ``$XDG_CACHE_HOME/causaliqa/weights`` or below ``~/.cache``."""
    return cache_root() / "weights"


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _noted(path: Path) -> Path:
    """Return the file with the checksum of the first download, used where the entry gives only a prefix or none."""
    return path.with_name(path.name + ".sha256")


def _check(path: Path, entry: WeightsEntry) -> Path:
    noted = _noted(path).read_text(encoding="utf-8").strip() if _noted(path).is_file() else ""
    expected = noted if noted.startswith(entry.sha256) else entry.sha256
    if expected and not (got := sha256(path)).startswith(expected):
        raise WeightsError(
            f"weights {path} are damaged or another file: got {path.stat().st_size} bytes with sha256 {got[:16]}..., "
            f"expected {expected[:16]}...; delete the file{' and its .sha256' if noted else ''}, or pass the one you "
            "mean with weights=PATH"
        )
    return path


def _name(entry: WeightsEntry) -> str:
    """Return the file's name, which must not be a path: registry files may come from others."""
    if not entry.file or Path(entry.file).name != entry.file or entry.file.startswith("."):
        raise WeightsError(f"weights: got the file name {entry.file!r}, expected one without folders")
    return entry.file


def find(entry: WeightsEntry) -> Path | None:
    """Return the local copy of a file with verified checksum, or None.

    Raises:
        WeightsError: a copy exists but is damaged.
    """
    name = _name(entry)
    folder = Environment.current().weights
    if folder and (path := folder / name).is_file():
        return _check(path, entry)
    if path_in_package := package_file(entry.package):
        return _check(path_in_package, entry)
    for root in cache_roots():
        with contextlib.suppress(OSError):  # the home of another user
            if (path := root / "weights" / name).is_file():
                return _check(path, entry)
    return None


def _wanted(entry: WeightsEntry, cause: str) -> WeightsError:
    package = f"package {entry.package.partition(':')[0]}" if entry.package else ""
    source = entry.url or package or entry.source or "nowhere known"
    return WeightsError(
        f"weights file {entry.file} was not found ({cause}). It comes from {source}. "
        f"Put it into {cache_folder()} or a folder named by CAUSALIQA_WEIGHTS, or pass weights=PATH"
    )


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield a temporary file in the folder of ``path``; it is deleted afterwards unless it was moved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(root: Path, name: str) -> Iterator[None]:
    """Wait until no other process downloads the same file; the lock ends with the process that holds it."""
    from filelock import FileLock, Timeout

    # Not in the folder of the weights itself.
    folder = root / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    if not has_locks(folder, "flock"):
        # Waiting would never end; several downloads at a time are wasteful, but each is renamed when it is complete.
        yield
        return
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=1)
    except Timeout:
        logging.getLogger(__name__).warning("waiting for another process that downloads %s", name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def fetch(entry: WeightsEntry) -> Path:
    """Download a file into the cache: to a temporary file, size and checksum verified, then renamed.

    An interrupted download is resumed; of several processes one downloads and the others wait.

    Raises:
        WeightsError: there is no URL, no network, or the checksum differs.
    """
    if not entry.url:
        raise _wanted(entry, "it has no address")
    if is_offline():
        raise _wanted(entry, "CAUSALIQA_OFFLINE is set")
    root = writable_root()
    if root is None:
        raise _wanted(entry, f"{cache_folder()} cannot be written to; set XDG_CACHE_HOME to a folder that can")
    path = root / "weights" / _name(entry)
    try:
        with _alone(root, path.name), _beside(path) as part:
            if path.is_file():
                return _check(path, entry)
            if cause := _download(entry.url, part):
                raise _wanted(entry, cause)
            _check(part, entry)
            if len(entry.sha256) < _FULL:
                # Without a complete checksum, the file must stay as it was downloaded first.
                _noted(path).write_text(sha256(part) + "\n", encoding="utf-8")
            part.replace(path)
    except OSError as error:
        raise _wanted(entry, f"download failed: {error}") from error
    return path


def _download(url: str, part: Path) -> str:
    """Download a URL into a file; return why it is incomplete, an empty string if it is complete.

    Raises:
        OSError: no data arrived, so an immediate retry is pointless.
    """
    validator, cause = "", ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE * 2 ** (attempt - 1))
        there = part.stat().st_size if validator else 0
        headers = {"Range": f"bytes={there}-", "If-Range": validator} if there else {}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as answer:
                goes_on = there > 0 and answer.status == http.client.PARTIAL_CONTENT
                expected = answer.headers.get("Content-Length")
                validator = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
                with part.open("ab" if goes_on else "wb") as file:
                    shutil.copyfileobj(answer, file)
        except urllib.error.HTTPError as error:
            if error.code < http.client.INTERNAL_SERVER_ERROR and error.code != http.client.TOO_MANY_REQUESTS:
                raise
            cause = f"download failed: {error}"
            continue
        except (OSError, http.client.HTTPException) as error:
            if not part.stat().st_size:
                raise OSError(str(error) or type(error).__name__) from error
            cause = f"the download broke off after {part.stat().st_size} bytes: {error}"
            continue
        whole = int(expected) + (there if goes_on else 0) if expected and expected.isdecimal() else None
        if whole is None or part.stat().st_size == whole:
            return ""
        cause = f"the download broke off after {part.stat().st_size} of {whole} bytes"
    return cause


def resolve(entry: WeightsEntry | None, given: str | os.PathLike[str] | None) -> Path | None:
    """Return the file to load: the one given, a local copy, or a download; None without entry and path.

    Raises:
        InputError: the given path is no file.
        WeightsError: the file is neither found nor downloaded.
    """
    if given is not None:
        path = Path(given).expanduser()
        if not path.is_file():
            raise InputError(f"weights: got {str(given)!r}, which is no file; expected a .pth or .safetensors file")
        return path
    if entry is None:
        return None
    return find(entry) or fetch(entry)


def _reason(error: Exception) -> str:
    """Return why torch cannot load a file as tensors; torch's own message advises to execute the file."""
    if isinstance(error, pickle.UnpicklingError):
        called = re.search(r"GLOBAL ([\w.]+)", str(error))
        return f"it would call {called[1]}, nothing was executed" if called else "it is no torch checkpoint"
    return brief(error, 200, kind=False)


def _refused(path: Path, text: str) -> WeightsError:
    """Return the error for a file that is refused: bad input, unless it is one of the cache, which nobody named."""
    return (WeightsError if path.is_relative_to(cache_folder()) else WeightsInputError)(text)


def load_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Load a state dict from ``.safetensors``, or from a ``.pth`` that holds nothing but tensors.

    Raises:
        WeightsInputError: the file is no state dict; nothing in it was executed.
    """
    import torch

    path = Path(path)
    try:
        if tarfile.is_tarfile(path):
            # torch before 2.6 executes code in these even with weights_only=True (CVE-2025-32434).
            raise ValueError("an archive in torch's oldest format, which is not safe to load")
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise _refused(
            path, f"weights {path} cannot be loaded: {_reason(error)}; expected a state dict of tensors"
        ) from error
    for key in ("params_ema", "params", "state_dict"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
            break
    if not isinstance(state, Mapping) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise _refused(path, f"weights {path} hold {type(state).__name__}, expected a state dict of tensors")
    return {str(k).removeprefix("module."): v for k, v in state.items()}


def load_into(module: nn.Module, path: str | os.PathLike[str], *, prefix: str = "", strict: bool = False) -> None:
    """Load the part of a state dict below ``prefix`` into a module; every tensor of the module must be there.

    Args:
        module: module that receives the weights.
        path: a ``.pth`` or ``.safetensors`` file.
        prefix: prefix that is removed from the keys; keys without it are ignored.
        strict: refuse keys that the module does not have.

    Raises:
        WeightsInputError: keys are missing, shapes differ, or (``strict``) keys are unexpected.
    """
    state = {k.removeprefix(prefix): v for k, v in load_state(path).items() if k.startswith(prefix)}
    own = module.state_dict()
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    wrong = [k for k in own if k in state and state[k].shape != own[k].shape]
    unexpected = [k for k in state if k not in own] if strict else []
    if missing or wrong or unexpected:
        parts = [
            f"{what}: {', '.join(keys[:4])}{f' and {len(keys) - 4} more' if len(keys) > 4 else ''}"
            for what, keys in (("missing", missing), ("of another shape", wrong), ("unexpected", unexpected))
            if keys
        ]
        raise _refused(Path(path), f"weights {path} do not fit {type(module).__name__}: {'; '.join(parts)}")
    try:
        module.load_state_dict({k: state[k] for k in own if k in state}, strict=False)
    except RuntimeError as error:
        reason = brief(error, 200, kind=False)
        raise _refused(Path(path), f"weights {path} do not fit {type(module).__name__}: {reason}") from error
