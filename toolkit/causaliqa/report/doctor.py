"""What is installed, what of it is broken, and which weights are here."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from causaliqa.api.data import NeededFile
from causaliqa.api.errors import CausaliqaError
from causaliqa.catalog.create import default_catalog
from causaliqa.catalog.needed_weights import all_weights, unlisted
from causaliqa.report.doctor_checks import Check, anonymous, packages, plugins, probed, system

if TYPE_CHECKING:
    from causaliqa.catalog.catalog import Catalog

__all__ = ["Diagnosis", "diagnose", "doctor"]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What was found."""

    system: dict[str, str]
    """Machine, Python and the variables of the environment that matter."""
    packages: tuple[Check, ...]
    """Packages that causaliqa needs."""
    tried: tuple[Check, ...]
    """What was really called, in processes of its own."""
    plugins: tuple[Check, ...]
    """Plugins, loaded."""
    registry: tuple[Check, ...]
    """Files of registry.yaml, and what they promise and cannot keep."""
    weights: tuple[NeededFile, ...]
    """Weights files that registry.yaml and plugins know."""
    command: tuple[str, ...] = ()
    """Command line whose downloads were asked for."""
    needs: tuple[NeededFile, ...] | None = None
    """Files that this command would load."""

    @property
    def broken(self) -> int:
        """Number of broken things."""
        checks = (*self.packages, *self.tried, *self.plugins, *self.registry)
        files = (*self.weights, *(self.needs or ()))
        return sum(check.state == "broken" for check in checks) + sum(file.state == "damaged" for file in files)

    def document(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        found = asdict(self)
        return {"schema": 1, **found, "command": list(self.command)}

    def __str__(self) -> str:
        return _report(self.document(), self.broken)

    def __repr__(self) -> str:
        return f"Diagnosis: {self.broken or 'nothing'} broken"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(anonymous(str(self)))}</pre>"


def doctor() -> Diagnosis:
    """Check the installation: packages, what works when it is called, plugins, registry.yaml, weights.

    Takes some ten seconds: torch, pyiqa and others are tried in processes of their own.

    Returns:
        What was found; ``print`` it, or look at :attr:`Diagnosis.broken`.

    Raises:
        RegistryError: registry.yaml cannot be read.
    """
    return diagnose(default_catalog())


def diagnose(
    catalog: Catalog | CausaliqaError, *, command: Sequence[str] = (), needs: Sequence[NeededFile] | None = None
) -> Diagnosis:
    """Check the installation as :func:`doctor` does.

    Args:
        catalog: where names are looked up, or the error that says why there is none.
        command: command line that ``needs`` belongs to.
        needs: files that it would load.
    """
    plugin_checks: tuple[Check, ...] = ()
    registry: tuple[Check, ...] = ()
    weights: tuple[NeededFile, ...] = ()
    if isinstance(catalog, CausaliqaError):
        registry = (Check(name="registry.yaml", state="broken", told=str(catalog)),)
    else:
        plugin_checks = tuple(plugins(catalog.host))
        try:
            registry = tuple(_registry(catalog))
            weights = tuple(all_weights(catalog))
        except CausaliqaError as error:  # --strict-plugins
            registry = (Check(name="entries", state="broken", told=str(error)),)
    return Diagnosis(
        system=system(),
        packages=tuple(packages()),
        tried=tuple(probed()),
        plugins=plugin_checks,
        registry=registry,
        weights=weights,
        command=tuple(command),
        needs=None if needs is None else tuple(needs),
    )


def _registry(catalog: Catalog) -> Iterator[Check]:
    for file in catalog.registry.files:
        yield Check(name=str(file), state="ok", told="read")
    for problem in unlisted(catalog):
        yield Check(name="entries", state="broken", told=problem)


_SIGNS = {"ok": "ok", "missing": "--", "broken": "BROKEN"}


def _report(document: dict[str, Any], broken: int) -> str:
    lines = ["causaliqa doctor", ""]
    lines += [f"{name:14} {told}" for name, told in document["system"].items()]
    for part in ("packages", "tried", "plugins", "registry"):
        lines += ["", part]
        lines += [f"  {_SIGNS[c['state']]:7} {c['name']:28} {c['told']}" for c in document[part]] or ["  none"]
    lines += ["", "weights", *_files(document["weights"])]
    if document["needs"] is not None:
        lines += ["", f"what `causaliqa {' '.join(document['command'])}` would load", *_files(document["needs"])]
        missing = {n["file"]: n["size"] for n in document["needs"] if n["state"] == "missing"}
        size = f", {_size(sum(missing.values()))}" if all(missing.values()) and missing else ""
        lines.append(f"  to be downloaded: {len(missing)} files{size}")
    things = f"{broken} broken {'thing' if broken == 1 else 'things'}, see above" if broken else "nothing is broken"
    return "\n".join([*lines, "", things])


def _files(needs: list[dict[str, Any]]) -> list[str]:
    lines = []
    for need in needs:
        size = _size(need["size"]) if need["file"] else ""
        lines.append(f"  {need['state']:8} {need['name']:28} {need['file'] or '-':45} {size:>10}  {need['source']}")
    return lines or ["  none"]


def _size(count: int | None) -> str:
    return f"{count / 2**20:.1f} MiB" if count else "unknown"
