"""Progress bars on stderr."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["intervention_bar", "progress_bar"]


def progress_bar(total: int, what: str, unit: str = "score", *, shown: bool = True) -> Any:
    """Return a progress bar on stderr; with ``shown=False`` it is not displayed."""
    from tqdm import tqdm

    return tqdm(total=total, desc=what, unit=unit, dynamic_ncols=True, disable=not shown)


@contextlib.contextmanager
def intervention_bar(*, shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on stderr whose total can change; yields a function of done and total."""
    from tqdm import tqdm

    with tqdm(desc="interventions", unit="run", dynamic_ncols=True, delay=0.5, disable=not shown) as bar:

        def show(done: int, known: int) -> None:
            bar.total = known
            bar.update(done - bar.n)

        yield show
