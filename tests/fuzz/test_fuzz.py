"""Whatever is read gives a result or one of our errors: never another exception, never a hang."""

import pytest
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
    assert any(seen), "nothing was refused: the inputs are too tame"


@pytest.mark.parametrize("parser", PARSERS, ids=lambda p: p.name)
def test_a_few_inputs(parser, tmp_path):
    fuzz(parser, tmp_path, 25)


@pytest.mark.slow
@pytest.mark.parametrize("parser", PARSERS, ids=lambda p: p.name)
def test_more_inputs(parser, tmp_path):
    fuzz(parser, tmp_path, 600)
