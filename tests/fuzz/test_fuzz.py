"""Whatever is read gives a result or one of our errors: never another exception, never a hang."""

import pytest
import seeds
from hypothesis import HealthCheck, given, settings
from parsers import PARSERS
from spoiling import attempt

CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def fuzz(parser, folder, inputs):
    if parser.needs:
        pytest.importorskip(parser.needs)
    seen = []

    @settings(max_examples=inputs, suppress_health_check=CHECKS, deadline=None, database=None)
    @given(parser.data)
    def feed(data):
        seen.append(attempt(parser, data, folder))

    feed()
    # Of a few inputs a reader that repairs may repair all.
    assert any(seen) or inputs < 100, "nothing was refused: the inputs are too tame"


@pytest.mark.parametrize("parser", PARSERS, ids=lambda p: p.name)
def test_a_few_inputs(parser, tmp_path):
    fuzz(parser, tmp_path, 25)


@pytest.mark.slow
@pytest.mark.parametrize("parser", PARSERS, ids=lambda p: p.name)
def test_more_inputs(parser, tmp_path):
    fuzz(parser, tmp_path, 600)


FOUND = [
    # YAML's constructors raise what they like.
    *(("option", f"psnr:a={value}") for value in ("2001-99-99", "0x_", "!!bool x", "!!timestamp x", "=", "[" * 2000)),
    *(("option", f"psnr:a={value}") for value in ("9" * 5000, "{[a]: 1}", "!!int x", "&a [*a]")),
    *(
        ("registry", value)
        for value in (b"presets: 2001-99-99", b"presets: !!bool x", b"&a [*a]", b"[" * 5000, b"a: \xff")
    ),
    # The header is read outside of the loop; names may be longer than a file system takes, or hold a zero byte.
    ("manifest", b"ref,dist,mos," + b"x" * 200_000),
    ("manifest", b"ref,dist,mos\n" + b"x" * 5000 + b",a.png,1\n"),
    ("manifest", b"ref,dist,mos\na.png,a\0.png,1\n"),
    ("scores", b"dist,m\na\0.png,1\n" + b"x" * 200_000),
    # zipfile's own error is no OSError.
    ("library", b"PK\x03\x04nonsense"),
    ("library", b""),
    ("effect map", (b"PK\x03\x04nonsense", b"{}")),
    ("effect map", (b"", b"[" * 100_000)),
]


@pytest.mark.parametrize(("name", "data"), FOUND, ids=lambda value: repr(value)[:40])
def test_what_was_found_is_refused(name, data, tmp_path):
    (parser,) = (p for p in PARSERS if p.name == name)
    assert attempt(parser, data, tmp_path)


def test_a_map_without_effects_where_interventions_were_made_is_summed_up(tmp_path):
    (parser,) = (p for p in PARSERS if p.name == "effect map")
    assert attempt(parser, seeds.effect_map(), tmp_path) == ""
