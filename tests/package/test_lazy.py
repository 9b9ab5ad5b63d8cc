"""Nothing heavy is imported before it is needed."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "pyiqa", "pandas", "numba", "timm", "matplotlib")
NUMBERS = ("numpy", "scipy", "asyncio")
"""Not needed either where help is all that is asked for; together they take most of a second."""


def loaded(code: str, modules: tuple[str, ...] = HEAVY) -> set[str]:
    check = f"{code}\nimport sys\nprint('LOADED', *[m for m in {modules!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return set(done.stdout.strip().splitlines()[-1].split()[1:])


def main(*argv: str) -> str:
    return (
        f"import contextlib\nfrom causaliqa.cli import main\nwith contextlib.suppress(SystemExit): main({list(argv)!r})"
    )


@pytest.mark.parametrize(
    "code",
    [
        "import causaliqa",
        "import causaliqa; causaliqa.MetricSpec; causaliqa.hookimpl",
        main("--help"),
        main("--version"),
        main("score", "--help"),
        main("list"),
        main("list", "metrics"),
        main("list", "presets"),
        main("leaderboard", "--help"),
        main("--print-completion", "bash"),
        main("list", "backbones", "--json"),
        main("plugins"),
        main("weights", "list"),
        main("data", "list"),
        main("score", "causal_vg", __file__, __file__),
    ],
)
def test_light(code):
    assert loaded(code) == set()


@pytest.mark.parametrize(
    "command",
    [(), ("score",), ("compare",), ("rd",), ("restore",), ("video",), ("card",), ("leaderboard",), ("cem-bench",)],
)
def test_help_computes_nothing(command):
    assert loaded(main(*command, "--help"), (*HEAVY, *NUMBERS)) == set()


def test_what_ranks_is_not_loaded_before_there_are_scores():
    used = "causaliqa.evaluation.job, causaliqa.evaluation.side_table, causaliqa.report.rescue, causaliqa.report.table"
    assert loaded(f"import {used}", ("torch", "pandas", "scipy", "numba")) == set()


def test_the_check_can_fail():
    assert "pandas" in loaded("import pandas")
    assert "torch" in loaded("import causaliqa.evaluation.scoring; import causaliqa.functional.image")


def test_public_names_resolve():
    import causaliqa

    assert all(getattr(causaliqa, name) is not None for name in causaliqa.__all__)
    assert {"create_metric", "leaderboard", "score"} <= set(causaliqa.__all__) <= set(dir(causaliqa))
    with pytest.raises(AttributeError, match="nonsense"):
        causaliqa.nonsense  # noqa: B018
