"""The plugin host: finds plugins, loads each in isolation, and decides who owns a name.

Discovery reads metadata only. Blocking happens before anything is imported. A plugin is taken whole or not at all, and
a failure costs one line on stderr. Names never resolve by order: a built-in name cannot be taken, and a name that two
plugins claim is ambiguous.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar

import pluggy

from causaliqa.api import hookspecs
from causaliqa.api.errors import AmbiguousNameError, PluginError
from causaliqa.api.specs import Spec
from causaliqa.catalog.discovery import EntryPoint, discover, normalised
from causaliqa.catalog.plugin_records import register
from causaliqa.utils.text import brief

__all__ = ["BUILTINS", "PluginHost", "PluginStatus", "Registration"]

BUILTINS = ("causaliqa.builtin.hooks", "causaliqa.interop.hooks")
"""Modules of this package that register through the hooks, before any plugin."""

SpecT = TypeVar("SpecT", bound=Spec)

logger = logging.getLogger(__name__)

State = Literal["found", "ok", "blocked", "failed", "conflict"]


@dataclass(frozen=True, kw_only=True)
class PluginStatus:
    """What became of a plugin."""

    canonical: str
    """``distribution:entry``."""
    version: str
    """Distribution version."""
    state: State
    """``found`` (not loaded), ``ok``, ``blocked``, ``failed`` or ``conflict`` (some of its names were refused)."""
    error: str = ""
    """One line: why."""
    trace: str = ""
    """Full traceback of a failure."""
    names: tuple[str, ...] = ()
    """Names that it provides, as ``kind/name``."""


@dataclass(frozen=True, kw_only=True)
class Registration(Generic[SpecT]):
    """A record and who provides it."""

    spec: SpecT
    """The record."""
    provider: str
    """Distribution and version, or ``causaliqa``."""
    builtin: bool = False
    """True for what comes with causaliqa, pyiqa's metrics included."""


@dataclass
class _Claims:
    """All claimants of one name."""

    registrations: list[Registration[Any]] = field(default_factory=list)


_ClaimsByKind = dict[type[Spec], dict[str, _Claims]]
"""Claims by kind of record and name."""


def _claimed(kind: type[Spec], name: str, claimants: Iterable[Registration[Any]]) -> str:
    owners = " and ".join(claimant.provider for claimant in claimants)
    return f"{kind.noun} {name!r} is claimed by {owners}; disable one of them with CAUSALIQA_DISABLE_PLUGINS=NAME"


class PluginHost:
    """Loads built-ins and plugins once and keeps what they provide.

    Args:
        entry_points: how to find plugins; tests pass their own.
        disabled: distribution names, entry-point names or ``dist:entry`` that must not be imported; ``*`` for all.
        strict: a plugin that fails is an error.
        report: where the line about a failure goes; by default it is logged.

    Example:
        >>> from causaliqa.api.specs import MetricSpec
        >>> host = PluginHost(entry_points=lambda: [])
        >>> "causal" in host.registrations(MetricSpec)
        True
    """

    def __init__(
        self,
        *,
        entry_points: Callable[[], list[EntryPoint]] = discover,
        disabled: Iterable[str] = (),
        strict: bool = False,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self._entry_points = entry_points
        self._disabled = {normalised(name.strip()) for name in disabled if name.strip()}
        self._strict = strict
        self._report = report or logger.warning
        self._claims: _ClaimsByKind | None = None
        self._statuses: list[PluginStatus] = []

    @property
    def disabled(self) -> tuple[str, ...]:
        """Plugins that are not imported, normalised and sorted."""
        return tuple(sorted(self._disabled))

    @property
    def strict(self) -> bool:
        """Whether a plugin that fails is an error."""
        return self._strict

    # -- what callers ask ---------------------------------------------------------------------------------------------

    def statuses(self, *, check: bool = False) -> list[PluginStatus]:
        """Return the state of every plugin; ``check`` loads them, otherwise metadata alone is read.

        Raises:
            PluginError: ``check`` under ``strict`` found a failure, or metadata are malformed.
        """
        if check:
            self._load()
        if self._claims is not None:
            return list(self._statuses)
        return [
            PluginStatus(
                canonical=entry.canonical,
                version=entry.version,
                state="blocked" if self._is_blocked(entry) else "found",
            )
            for entry in self._entry_points()
        ]

    def registrations(self, kind: type[SpecT]) -> Mapping[str, Registration[SpecT]]:
        """Return every usable record of a kind by name; ambiguous names are left out."""
        claims = self._load()[kind]
        return {name: c.registrations[0] for name, c in claims.items() if len(c.registrations) == 1}

    def ambiguous(self, kind: type[SpecT]) -> Mapping[str, list[Registration[SpecT]]]:
        """Return the names that several plugins claim, with their claimants."""
        return {name: c.registrations for name, c in self._load()[kind].items() if len(c.registrations) > 1}

    def check_ambiguous(self, kind: type[Spec], name: str) -> None:
        """Refuse a name that several plugins claim.

        Raises:
            AmbiguousNameError: naming the claimants.
        """
        claims = self._load()[kind].get(name)
        if claims is not None and len(claims.registrations) > 1:
            raise AmbiguousNameError(_claimed(kind, name, claims.registrations))

    def failed(self) -> list[PluginStatus]:
        """Return the plugins that failed to load."""
        self._load()
        return [status for status in self._statuses if status.state == "failed"]

    # -- loading ------------------------------------------------------------------------------------------------------

    def _load(self) -> _ClaimsByKind:
        if self._claims is not None:
            return self._claims
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        claims: _ClaimsByKind = {spec: {} for spec in hookspecs.HOOKS.values()}
        for module in BUILTINS:
            for spec in register(manager, module, _importer(module)):
                # Only pyiqa's table may hold a name of ours; ours wins, and `pyiqa:NAME` reaches theirs.
                own = Registration(spec=spec, provider=_provider(module), builtin=True)
                claims[_kind_of(spec)].setdefault(spec.name, _Claims([own]))
        statuses = [self._load_plugin(manager, entry, claims) for entry in self._sorted_entries()]
        self._claims, self._statuses = claims, self._with_conflicts(statuses, claims)
        return claims

    def _with_conflicts(self, statuses: list[PluginStatus], claims: _ClaimsByKind) -> list[PluginStatus]:
        """Report names that several plugins claim, and set the state of these plugins to ``conflict``."""
        for kind, names in claims.items():
            for name, claim in names.items():
                if len(claim.registrations) > 1:
                    line = _claimed(kind, name, claim.registrations)
                    if self._strict:
                        raise PluginError(line)
                    self._report(line)
                    statuses = [
                        replace(s, state="conflict", error=s.error or line) if f"{kind.kind}/{name}" in s.names else s
                        for s in statuses
                    ]
        return statuses

    def _sorted_entries(self) -> list[EntryPoint]:
        try:
            entries = self._entry_points()
        except PluginError as error:
            if self._strict:
                raise
            self._report(str(error))
            return []
        known = {normalised(part) for e in entries for part in (e.distribution, e.name, e.canonical)}
        for unknown in sorted(self._disabled - known - {"*"}):
            self._report(f"no plugin is called {unknown!r}, so it cannot be disabled")
        return entries

    def _is_blocked(self, entry: EntryPoint) -> bool:
        names = (entry.distribution, entry.name, entry.canonical)
        return "*" in self._disabled or any(normalised(name) in self._disabled for name in names)

    def _load_plugin(self, manager: pluggy.PluginManager, entry: EntryPoint, claims: _ClaimsByKind) -> PluginStatus:
        if self._is_blocked(entry):
            return PluginStatus(canonical=entry.canonical, version=entry.version, state="blocked")
        try:
            specs = register(manager, entry.canonical, entry.load)
        except (Exception, SystemExit) as error:
            line = (
                f"plugin '{entry.provider}' failed to load ({brief(error)}); its names are unavailable. "
                f"Fix it or set CAUSALIQA_DISABLE_PLUGINS={entry.distribution}"
            )
            if self._strict:
                raise PluginError(line) from error
            self._report(line)
            return PluginStatus(
                canonical=entry.canonical,
                version=entry.version,
                state="failed",
                error=brief(error),
                trace="".join(traceback.format_exception(error)),
            )
        return self._claim(entry, specs, claims)

    def _claim(self, entry: EntryPoint, specs: list[Spec], claims: _ClaimsByKind) -> PluginStatus:
        refused, given = [], []
        for spec in specs:
            slot = claims[_kind_of(spec)].setdefault(spec.name, _Claims())
            if slot.registrations and slot.registrations[0].builtin:
                refused.append(spec.name)
            else:
                slot.registrations.append(Registration(spec=spec, provider=entry.provider))
                given.append(f"{spec.kind}/{spec.name}")
        error = ""
        if refused:
            error = f"built-in names cannot be taken: {', '.join(refused)}"
            line = f"plugin '{entry.provider}': {error}; the built-ins stay. Rename them in the plugin"
            if self._strict:
                raise PluginError(line)
            self._report(line)
        return PluginStatus(
            canonical=entry.canonical,
            version=entry.version,
            state="conflict" if refused else "ok",
            error=error,
            names=tuple(given),
        )


def _importer(module: str) -> Callable[[], Any]:
    def load() -> Any:
        from importlib import import_module

        return import_module(module)

    return load


def _kind_of(spec: Spec) -> type[Spec]:
    """Return the kind that a record belongs to; its own class may be a subclass of it."""
    return hookspecs.KINDS[spec.kind]


def _provider(module: str) -> str:
    return "pyiqa" if module == "causaliqa.interop.hooks" else "causaliqa"
