"""Real distributions in a folder of their own, and fresh processes that see them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import causaliqa

TOOLKIT = Path(causaliqa.__file__).parents[1]


@dataclass(frozen=True)
class Installed:
    """Distributions that pip put into one folder, above the environment of the tests."""

    folder: Path

    def install(self, source: Path) -> None:
        """Let pip build and install a package; its dependencies are those of the tests."""
        where = ["--target", str(self.folder), "--upgrade"]
        flags = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--no-index"]
        done = self._run([sys.executable, "-m", "pip", "install", *flags, *where, str(source)])
        assert done.returncode == 0, done.stderr

    def distribution(self, name: str, modules: dict[str, str], *, entry: str, extra: str = "") -> None:
        """Write the source of a distribution and install it; ``entry`` is a line of its entry points."""
        source = self.folder.parent / f"source-{name}"
        source.mkdir()
        for module, text in modules.items():
            (source / f"{module}.py").write_text(text)
        listed = ", ".join(f'"{module}"' for module in modules)
        key, _, value = entry.partition("=")
        (source / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
            f'[project]\nname = "{name}"\nversion = "0.3"\n{extra}\n'
            f'[project.entry-points."causaliqa.plugins"]\n{key.strip()} = "{value.strip()}"\n'
            f"[tool.setuptools]\npy-modules = [{listed}]\n"
        )
        self.install(source)

    def python(self, *argv: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python in a fresh process that sees the distributions."""
        return self._run([sys.executable, *map(str, argv)], **environment)

    def command(self, *argv: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``causaliqa`` in a fresh process that sees the distributions."""
        return self.python("-m", "causaliqa", *argv, **environment)

    def _run(self, line: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.folder), str(TOOLKIT)])
        env = {**os.environ, "PYTHONPATH": path, **environment}
        return subprocess.run(line, capture_output=True, text=True, check=False, env=env, cwd=self.folder.parent)
