"""What flows between the rooms."""

from pathlib import Path

import pytest

from causaliqa.api.data import ROI, canonical_options
from causaliqa.api.errors import InputError


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,0,8,8"])
def test_a_region_that_is_not_four_whole_numbers_is_refused(text):
    with pytest.raises(InputError, match="expected four whole numbers"):
        ROI.parse(text)


def test_a_region_is_read_as_it_is_written():
    assert str(ROI.parse(" 1,2, 3,4")) == "1,2,3,4"


def test_options_are_the_same_in_any_order():
    assert (
        canonical_options({"a": 1, "b": Path("x")}) == canonical_options({"b": Path("x"), "a": 1}) == '{"a":1,"b":"x"}'
    )
