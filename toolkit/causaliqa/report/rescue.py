"""Scores are kept if what follows their computation fails."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from causaliqa.api.errors import CausaliqaError
from causaliqa.report.table import rows_csv
from causaliqa.utils.caches import temporary_root
from causaliqa.utils.files import write_text
from causaliqa.utils.text import brief

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["rescued"]


@contextmanager
def rescued(rows: pd.DataFrame, *, store: Path | None, file: Path | None = None) -> Iterator[None]:
    """Keep finished scores if what follows fails: in the store, else in a csv file as ``--rows`` writes it.

    Args:
        rows: the scores.
        store: the store that holds them, if there is one.
        file: where they are written to; by default, and where that fails, the current or the temporary folder.

    Raises:
        CausaliqaError: what follows failed; the message says where the scores are.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception as error:
        why = str(error) if isinstance(error, CausaliqaError) else f"the scores are computed, but {brief(error)}"
        if store is not None:
            raise CausaliqaError(f"{why}; every score is kept in {store}, run the same command again") from error
        name = f"causaliqa-rows-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.csv"
        for path in filter(None, (file, Path(name), temporary_root() / name)):
            with suppress(Exception):
                write_text(rows_csv(rows), path)
                again = f"`causaliqa report {path} --out page.html` makes the tables of them"
                break
        else:
            raise CausaliqaError(f"{why}; the scores could not be written anywhere") from error
        raise CausaliqaError(f"{why}; the scores are kept in {path}: {again}") from error
