"""What a grid of causal effect maps will cost, measured before it begins."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from causaliqa.api.errors import CausaliqaError, InputError
from causaliqa.catalog.create import default_catalog
from causaliqa.effects.bench import BenchRun, checked_cells
from causaliqa.effects.bench_file import BenchNetwork
from causaliqa.effects.bench_limit import cost_limit
from causaliqa.effects.causal_effect_map import Forecast
from causaliqa.effects.job import forecast_maps
from causaliqa.utils.progress import duration

__all__ = ["BenchForecast", "check_limit", "forecast_bench"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BenchForecast:
    """What the maps of one network will cost, measured on its first map that is not there yet."""

    network: BenchNetwork
    """The network."""
    maps: int
    """Maps that are not there yet."""
    first: Forecast | None = None
    """Cost of the first of them; None if all are there, or if it is not known."""
    error: str = ""
    """Why it is not known."""

    @property
    def least(self) -> int:
        """Inferences if no patch is sensitive."""
        return self.maps * self.first.least if self.first else 0

    @property
    def most(self) -> int:
        """Inferences if all patches are sensitive."""
        return self.maps * self.first.most if self.first else 0

    @property
    def seconds_each(self) -> float:
        """Seconds per inference."""
        return self.first.seconds_each if self.first else 0.0

    def __str__(self) -> str:
        if self.error:
            return f"{self.network.label}: {self.maps} maps, cost unknown: {self.error}"
        if self.first is None:
            return f"{self.network.label}: all maps are there"
        low, high = (duration(n * self.seconds_each) for n in (self.least, self.most))
        return (
            f"{self.network.label}: {self.maps} maps, {self.least} to {self.most} inferences of "
            f"{1000 * self.seconds_each:.3g} ms, {low} to {high}"
        )


def forecast_bench(run: BenchRun) -> list[BenchForecast]:
    """Measure what the maps that are not there yet will cost: every network makes a few interventions on one image.

    Raises:
        InputError: a name is unknown, or an image does not exist.
    """
    cells = checked_cells(run, default_catalog())
    found = []
    for network in run.networks:
        left = [cell for cell in cells if cell.network is network and not cell.done]
        first, said = None, ""
        if left:
            one = replace(left[0].run, images=(left[0].unit.image,), regions=(left[0].unit.roi,))
            try:
                _, first = next(forecast_maps(one))
            except CausaliqaError as error:
                said = str(error)
        found.append(BenchForecast(network=network, maps=len(left), first=first, error=said))
    return found


def check_limit(run: BenchRun, forecasts: Sequence[BenchForecast]) -> None:
    """Refuse a grid that costs more than its limit even if no patch is sensitive; warn of one that may.

    Raises:
        InputError: it does.
    """
    limit, kind = cost_limit(run.limit)
    workers = run.jobs if kind == "seconds" else 1
    low, high = (
        sum(getattr(f, end) * (f.seconds_each if kind == "seconds" else 1) for f in forecasts) / workers
        for end in ("least", "most")
    )
    said = [duration(cost) if kind == "seconds" else f"{cost:.0f} inferences" for cost in (low, high)]
    if low > limit:
        raise InputError(
            f"limit {run.limit}: the grid takes {said[0]} to {said[1]}; raise it, take fewer images or networks, or "
            "--strategy adaptive with a --budget a map"
        )
    if high > limit:
        _LOG.warning("the grid may take up to %s, more than %s", said[1], run.limit)
    else:
        _LOG.info("the grid takes %s to %s", *said)
