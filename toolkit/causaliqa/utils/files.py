"""Files: written completely or not at all, checked before the work, and found inside installed packages."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from causaliqa.api.errors import InputError, OutputError

__all__ = ["atomic", "check_file", "check_folder", "nearby", "package_file", "unwritten", "write_text"]


def unwritten(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """Return the error for a failed write: the reason, and that the previous file is unchanged."""
    return OutputError(
        f"{os.fspath(path)} cannot be written: {error.strerror or error}; "
        "what was there before is as it was; make room, or choose another place"
    )


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file in the folder of ``path`` that replaces ``path`` at the end, or is deleted on failure.

    Readers see the old file or the new one, never a part. Missing folders are created. A device or a pipe is written
    directly.

    Raises:
        OutputError: the file cannot be written; the previous one is unchanged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic(Path(folder) / "table.csv") as part:
        ...         _ = part.write_text("a,b")
        ...     [file.name for file in Path(folder).iterdir()]
        ['table.csv']
    """
    wanted = Path(path)
    part: Path | None = None
    try:
        final = wanted.resolve()  # keeps a symbolic link
        if final.exists() and not final.is_file():
            if final.is_dir():
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
            yield final
            return
        if final.parent.is_file():
            raise NotADirectoryError(errno.ENOTDIR, f"{final.parent} is a file")
        final.parent.mkdir(parents=True, exist_ok=True)
        part = _new_beside(final)
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        if final.exists():
            part.chmod(final.stat().st_mode & 0o7777)
        part.replace(final)
    except OSError as error:
        raise unwritten(wanted, error) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _new_beside(path: Path) -> Path:
    """Create an empty file in the same folder with the same suffix, which decides the format."""
    part = path.with_name(f".{path.stem[:100]}.{secrets.token_hex(4)}{path.suffix}")
    part.touch(exist_ok=False)
    return part


def check_file(text: str | os.PathLike[str]) -> Path:
    """Return the path of a file to be written; fail before the work if it cannot be written. A type for argparse.

    Raises:
        InputError: it is a folder, or its folder cannot be written to.
    """
    path = Path(text)
    if path.is_dir():
        raise InputError(f"{path} cannot be written: got a folder, expected the name of a file; add one")
    if path.exists() and not path.is_file():
        return path
    _check(path, path.absolute().parent)
    return path


def check_folder(text: str | os.PathLike[str]) -> Path:
    """Return the path of a folder to write to; fail before the work if it cannot be written. A type for argparse.

    Raises:
        InputError: it is a file, or cannot be written to.
    """
    path = Path(text)
    _check(path, path.absolute())
    return path


def _check(path: Path, folder: Path) -> None:
    """Create a file in the first parent that exists: permissions do not show read-only disks."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"{path} cannot be written: {folder} is a file, expected a folder; choose another place")
    try:
        _new_beside(folder / "causaliqa").unlink()
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}, expected a folder that can be written to; "
            "choose another place"
        ) from error


def nearby(path: Path) -> str:
    """Return where a path that does not exist was looked for, and the file of that name that is in this folder."""
    if path.is_absolute():
        return ""
    here = Path(path.name)
    hint = f", where there is {here}" if here != path and here.exists() else ""
    return f"; looked from {Path.cwd()}{hint}"


def write_text(text: str, path: str | os.PathLike[str]) -> Path:
    """Write a text file and a line break, whole or not at all; return its path.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic(path) as part:
        # Bytes of a file name that are not text are shown escaped.
        part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    return Path(path)


def package_file(where: str) -> Path | None:
    """Return a file inside an installed package without importing the package; None if there is no such file.

    Args:
        where: ``package:path/inside/it``. A dotted package name is refused, because its parent would be imported.

    Example:
        >>> path = package_file("causaliqa:py.typed")
        >>> path.name if path else None, package_file("causaliqa:nothing"), package_file("nowhere:file")
        ('py.typed', None, None)
    """
    package, _, inside = where.partition(":")
    if not package.isidentifier() or ".." in Path(inside).parts or (spec := find_spec(package)) is None:
        return None
    folders = spec.submodule_search_locations or ()
    return next((path for folder in folders if (path := Path(folder) / inside).is_file()), None)
