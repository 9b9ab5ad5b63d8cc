"""Options that are made from the fields of a dataclass."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields

import pytest

from causaliqa.cli._dataclass_options import add_options, values
from causaliqa.effects.settings import CemSettings


@dataclass(frozen=True, kw_only=True)
class Example:
    """Facts."""

    side: int = 8
    """Side in pixels, 50 % of it."""
    rate: float | None = None
    """Wanted rate; T in Hz."""
    prune: bool = True
    """Prune patches."""
    again: bool = False
    """Start again."""
    name: str = ""
    """NAME[:key=value,...]"""


def parsed(kind, *argv):
    parser = argparse.ArgumentParser()
    add_options(parser, kind, only=[field.name for field in fields(kind)])
    return values(parser.parse_args(argv), kind), parser.format_help()


def test_defaults_are_those_of_the_dataclass():
    for kind in (Example, CemSettings):
        found, _ = parsed(kind)
        assert kind(**found) == kind()


def test_every_option_reaches_its_field():
    found, _ = parsed(Example, "--side", "3", "--rate", "0.5", "--no-prune", "--again", "--name", "x")
    assert Example(**found) == Example(side=3, rate=0.5, prune=False, again=True, name="x")


def test_help_is_the_docstring_with_the_default():
    text = " ".join(parsed(Example)[1].split())
    for line in ("--side N side in pixels, 50 % of it (default: 8)", "wanted rate; T in Hz", "do not prune patches"):
        assert line in text


@pytest.mark.parametrize(("text", "value"), [("auto", "auto"), ("4", 4)])
def test_a_number_or_a_word(text, value):
    assert parsed(CemSettings, "--batch-size", text)[0]["batch_size"] == value


def test_another_word_is_refused(capsys):
    with pytest.raises(SystemExit):
        parsed(CemSettings, "--batch-size", "many")
    assert "--batch-size: got 'many', expected auto or a whole number" in capsys.readouterr().err
