"""The research data, where they are."""

import os
from pathlib import Path

import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "data: needs the shared research data (CAUSALIQA_TEST_DATA)")


@pytest.fixture(scope="session")
def data():
    folder = Path(os.environ.get("CAUSALIQA_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
    if not (folder / "INDEX.md").is_file():
        pytest.skip("research data not found; CAUSALIQA_TEST_DATA names their folder")
    return folder
