"""Text from data stays text, wherever it is written."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causaliqa.report._escape import csv_cell, csv_text, latex, markdown, one_line


@pytest.mark.parametrize(
    "text", ["=1+1", "+x", "-x", "@SUM(A1)", "\t=1", "\r=1", "＝1", "'=1", "=HYPERLINK(1)", "-1+cmd"]
)
def test_a_formula_is_defused(text):
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["psnr", "", "it's", "-1.5", "+2e-3", "-0.1 2.5", "-inf", "a=b", "'quoted'"])
def test_other_text_and_numbers_stay(text):
    assert csv_cell(text) == text


@given(st.text(alphabet=st.sampled_from("'=+-@ a1.\t\n\x00"), max_size=6))
def test_cells_can_be_read_back(text):
    assert csv_text(csv_cell(text)) == text
    assert csv_cell(text).lstrip("'") == text.lstrip("'")


@given(st.text())
def test_one_line_is_one_line(text):
    assert len(one_line(text).splitlines()) <= 1
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in one_line(text))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a_b", r"a\_b"),
        ("50 % & $x$ #1", r"50 \% \& \$x\$ \#1"),
        ("{}", r"\{\}"),
        ("~^", r"\textasciitilde{}\textasciicircum{}"),
        ("\\alpha", r"\textbackslash{}alpha"),
        ("a\nb", "a b"),
    ],
)
def test_latex(text, written):
    assert latex(text) == written


def test_markdown_keeps_the_cell_together(evil):
    written = markdown(f"{evil}\n*x* `y`")
    assert "<" not in written
    assert "\n" not in written
    assert all(written[k - 1] == "\\" for k, c in enumerate(written) if c in "|*`")


def test_csv_stays_csv():
    text = io.StringIO()
    csv.writer(text).writerow([csv_cell('=a,"b"'), csv_cell("c")])
    assert next(csv.reader(io.StringIO(text.getvalue()))) == ['\'=a,"b"', "c"]
