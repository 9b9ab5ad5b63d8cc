"""Progress bars on stderr."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["duration", "intervention_bar", "progress_bar"]


def duration(seconds: float) -> str:
    """Return a duration in the largest unit that gives a number of at least 1.

    >>> duration(0.04), duration(90), duration(7200), duration(200000)
    ('1 s', '1.5 min', '2 h', '2.3 days')
    """
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.2g} {unit}"
    return f"{max(1, round(seconds))} s"


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
