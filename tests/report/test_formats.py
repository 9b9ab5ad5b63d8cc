"""The format of a table by the suffix of its file."""

import pytest

from causaliqa.api.errors import InputError
from causaliqa.report.formats import FORMATS, format_of

SUFFIXES = {".html": "html", ".tex": "latex", ".csv": "csv", ".json": "json", ".md": "github", ".txt": "plain"}


@pytest.mark.parametrize(("suffix", "form"), SUFFIXES.items())
def test_the_suffix_says_the_format(suffix, form):
    assert format_of(f"a/b{suffix}") == format_of(f"a/b{suffix.upper()}") == form
    assert format_of(f"b{suffix}", form) == form


@pytest.mark.parametrize("suffix", [".html", ".tex", ".csv", ".json", ".md"])
@pytest.mark.parametrize("form", FORMATS)
def test_a_contradiction_is_refused(suffix, form):
    if SUFFIXES[suffix] != form:
        with pytest.raises(InputError, match=f"got --format {form}"):
            format_of(f"x{suffix}", form)


@pytest.mark.parametrize("form", ["latex", "github", "csv"])
def test_text_may_be_in_a_text_file_but_a_page_may_not(form):
    assert format_of("x.txt", form) == form
    with pytest.raises(InputError, match="html"):
        format_of("x.txt", "html")


@pytest.mark.parametrize("out", [None, "/dev/stdout", "board"])
def test_without_a_suffix_it_is_plain(out):
    assert format_of(out) == "plain"
    assert format_of(out, "csv") == "csv"


def test_an_unknown_suffix_needs_a_format():
    with pytest.raises(InputError, match=r"the suffix names no format; expected one of \.txt"):
        format_of("board.xyz")
    assert format_of("board.xyz", "json") == "json"
