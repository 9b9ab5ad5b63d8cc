"""The layout is what docs/architecture.md says: rooms, floors, no private imports across rooms."""

import ast
import re
from pathlib import Path

import pytest

from conftest import ROOT

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

PACKAGE = ROOT / "toolkit" / "causaliqa"
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__")
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


def contract() -> list[set[str]]:
    """Floors of the import contract, the lowest first."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (found,) = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    assert "ignore_imports" not in found
    return [{room.strip() for room in floor.split("|")} for floor in reversed(found["layers"])]


def documented() -> list[set[str]]:
    """Floors of the table in docs/architecture.md, the lowest first."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    floors: dict[int, set[str]] = {}
    for number, room in re.findall(r"^\| (\d) \| `(\w+)/?` \|", text, re.MULTILINE):
        floors.setdefault(int(number), set()).add(room)
    return [floors[number] for number in sorted(floors)]


def test_twelve_rooms_and_four_files():
    files = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert files == {"__init__.py", "__init__.pyi", "__main__.py", "registry.yaml", "py.typed"}
    assert len(ROOMS) == 12


def test_the_documented_floors_are_those_of_the_contract():
    assert documented() == contract()
    assert set().union(*contract()) == {*ROOMS, "__main__"}
    assert len(contract()) <= 9


def test_every_room_says_what_it_is():
    for room in ROOMS:
        first = (ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text("utf-8"))) or "").splitlines()
        assert first and first[0].endswith("."), room


def imports(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Modules of this package that a module imports, with the names taken from them."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("causaliqa"):
            found.append((str(node.module), tuple(alias.name for alias in node.names)))
        if isinstance(node, ast.Import):
            found += [(alias.name, ()) for alias in node.names if alias.name.startswith("causaliqa")]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_private_name_crosses_a_room(path):
    room = path.relative_to(PACKAGE).parts[0]
    for module, names in imports(path):
        parts = module.split(".")
        if len(parts) > 1 and parts[1] == room:
            continue
        private = [name for name in (*parts[1:], *names) if name.startswith("_") and not name.startswith("__")]
        assert not private, f"{module} {names}"


def test_argparse_stays_in_the_command_line():
    users = {p.relative_to(PACKAGE).parts[0] for p in MODULES if re.search(r"^\s*import argparse", p.read_text(), re.M)}
    assert users == {"cli"}


def test_library_code_does_not_print():
    printing = [p for p in MODULES if p.relative_to(PACKAGE).parts[0] not in ("cli", "__main__.py") and _prints(p)]
    # The probes of the doctor are a process of its own, whose stdout is read.
    assert {p.name for p in printing} == {"doctor_probes.py"}


def _prints(path: Path) -> bool:
    calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
    return any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls)


def test_tests_mirror_the_rooms():
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("test_*.py"))}
    assert set(ROOMS) <= folders
    assert folders - set(ROOMS) <= {"package", "faults", "fuzz"}
