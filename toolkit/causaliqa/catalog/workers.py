"""Work as it is sent to another process: names and options instead of objects, built once in the worker."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from causaliqa.api.errors import InputError, PluginError
from causaliqa.api.specs import MetricSpec
from causaliqa.catalog.build import fixed_weights
from causaliqa.catalog.catalog import Backbones, Catalog
from causaliqa.catalog.create import use_catalog
from causaliqa.catalog.host import PluginHost
from causaliqa.catalog.registry import load_registry
from causaliqa.catalog.request import parse_request
from causaliqa.utils.offline import builder_output

if TYPE_CHECKING:
    from causaliqa.catalog.built_metric import BuiltMetric

__all__ = ["WorkerContext", "build_metric", "missing_on_worker", "process_cache"]

_ONE_AT_A_TIME = threading.RLock()
"""Metrics and networks keep state, and a process has one working directory; a Dask worker may have several threads."""


def build_metric(
    catalog: Catalog, request: str, device: str, seed: int, backbones: Backbones | None = None
) -> BuiltMetric:
    """Build a metric from ``NAME[:key=value,...]``; ``seed`` reaches metrics that take one and were given none.

    ``backbones`` are those of other metrics of the same run, which it may share; the caller keeps them for the next.
    """
    name, options = parse_request(request)
    if catalog.get(MetricSpec, name).spec.seeded:
        options.setdefault("seed", seed)
    try:
        # torch.hub announces downloads on stdout, which is for the result.
        with contextlib.redirect_stdout(builder_output()), fixed_weights():
            return catalog.create_metric(name, device=device, backbones=backbones, **options)
    except PluginError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        raise PluginError(
            f"{error}; it fetches its weights itself: `causaliqa doctor score {name} IMG REF` names the files"
        ) from error


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """What a worker needs to resolve names and relative paths as the sending process does."""

    folder: str
    """Working directory; every worker must see it under the same path."""
    registry: str | None = None
    """The user's registry.yaml."""
    disabled: tuple[str, ...] = ()
    """Plugins that are not loaded."""
    strict_plugins: bool = False
    """A plugin that fails is an error."""
    run: str = field(default_factory=lambda: uuid4().hex)
    """Identifies the run: objects cached by a worker are not reused in the next run, since files may have changed."""

    @classmethod
    def of(cls, catalog: Catalog) -> WorkerContext:
        """Return the context that makes a worker resolve names as a catalogue does here, in this folder."""
        _, *own = catalog.registry.files
        return cls(
            folder=str(Path.cwd()),
            registry=str(own[-1].resolve()) if own else None,
            disabled=catalog.host.disabled,
            strict_plugins=catalog.host.strict,
        )

    @contextlib.contextmanager
    def entered(self) -> Iterator[Catalog]:
        """Change to the folder and use its catalogue; one unit of work at a time.

        Raises:
            InputError: this process does not see the folder.
        """
        with _ONE_AT_A_TIME:
            before = Path.cwd()
            try:
                os.chdir(self.folder)
            except OSError as error:
                raise missing_on_worker(self.folder) from error
            try:
                yield use_catalog(_catalog(self))
            finally:
                os.chdir(before)


def missing_on_worker(path: object) -> InputError:
    """Return the error of a worker on which a file or folder does not exist."""
    return InputError(
        f"the worker on {platform.node()} does not see {path}; expected the same files under the same paths for every "
        "worker, so use a folder that all machines share"
    )


@lru_cache(maxsize=1)
def _catalog(context: WorkerContext) -> Catalog:

    return Catalog(
        PluginHost(disabled=context.disabled, strict=context.strict_plugins), load_registry(context.registry)
    )


@lru_cache(maxsize=1)
def process_cache(recipe: Hashable) -> dict[str, Any]:
    """Return the cache of objects that this process has built from a recipe; only the latest recipe is kept."""
    return {}
