"""Environment variables: switches, lists and paths."""

from pathlib import Path

import pytest

from causaliqa.utils.environment import Environment, is_set


@pytest.mark.parametrize(("value", "expected"), [("", False), ("0", False), ("1", True), ("no", True), ("false", True)])
def test_a_switch_is_on_unless_empty_or_0(monkeypatch, value, expected):
    monkeypatch.setenv("CAUSALIQA_OFFLINE", value)
    assert is_set("CAUSALIQA_OFFLINE") == Environment.current().offline == expected


def test_without_variables_everything_has_its_default(monkeypatch):
    for name in ("DISABLE_PLUGINS", "STRICT_PLUGINS", "REGISTRY", "OFFLINE", "WEIGHTS", "MAX_PIXELS"):
        monkeypatch.delenv(f"CAUSALIQA_{name}", raising=False)
    assert Environment.current() == Environment()


def test_lists_and_paths(monkeypatch):
    monkeypatch.setenv("CAUSALIQA_DISABLE_PLUGINS", "a, b,,")
    monkeypatch.setenv("CAUSALIQA_WEIGHTS", "/w")
    monkeypatch.setenv("CAUSALIQA_MAX_PIXELS", " 10 ")
    now = Environment.current()
    assert (now.disabled_plugins, now.weights, now.max_pixels) == (("a", "b"), Path("/w"), "10")
