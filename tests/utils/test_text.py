"""Text from data stays text, wherever it is written."""

import csv
import io
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from matplotlib import cbook
from matplotlib.figure import Figure

from causaliqa.report.merge import read_rows
from causaliqa.report.table import rows_csv
from causaliqa.utils.text import (
    csv_cell,
    csv_text,
    figure_text,
    latex,
    markdown,
    number,
    one_line,
    text_table,
    whole_number,
)


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


@pytest.mark.parametrize("text", ["\u202egnp.exe", "\u2066a\u2069", "\udcff.png", "\x1b]0;title\x07", "a\r\nb"])
def test_one_line_turns_nothing_round_and_can_be_written(text):
    written = one_line(text)
    assert written.encode("utf-8")
    assert written.isprintable()


@pytest.mark.parametrize("text", ["$x_1$", "a$b", "$\\nonsense$", "5 % & #1", "\\", "$$", "a\nb", ""])
def test_figures_draw_text_as_it_is(text):
    figure = Figure()
    drawn = figure.suptitle(figure_text(text))
    figure.savefig(io.BytesIO(), format="png")
    assert not cbook.is_math_text(drawn.get_text())


TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from("'=+-@\t\r\n\"\\,;<&$ \u0301é\x1b\u2028"), st.characters(exclude_categories=["Cs"])
    ),
    max_size=8,
)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS), min_size=1, max_size=3))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example([("\r", "a\rb", "a\r\nb", "\n", "=cmd()")])
@example([("NA", "nan", "007", "True", "'-1")])
def test_rows_come_back_as_they_were(tmp_path, cells):
    columns = ["metric", "ref", "dist", "type", "error"]
    frame = pd.DataFrame(cells, columns=columns).assign(
        dataset="d", label=1.5, score=[float(k) for k in range(len(cells))], label_lower_better=False, lower_better=True
    )
    (tmp_path / "rows.csv").write_text(rows_csv(frame) + "\n", encoding="utf-8", newline="")
    assert read_rows(tmp_path / "rows.csv").rows[columns].values.tolist() == [list(line) for line in cells]


def test_csv_stays_csv():
    text = io.StringIO()
    csv.writer(text).writerow([csv_cell('=a,"b"'), csv_cell("c")])
    assert next(csv.reader(io.StringIO(text.getvalue()))) == ['\'=a,"b"', "c"]


@pytest.mark.parametrize("style", ["simple", "github", "html", "latex_raw", "plain"])
@pytest.mark.parametrize("text", ["1.10", "007", "1e5", "0x10", "1_000", "nan", "inf", "+5", "1234567890123456789.10"])
def test_a_table_prints_text_as_it_is(style, text):
    made = text_table([{"plugin": text, "version": 3}, {"plugin": "b", "version": 12}], style=style)
    assert text in made and " 12" in made.replace(">", " ")


def test_every_table_of_the_package_is_made_by_the_helper():
    import causaliqa

    files = Path(causaliqa.__file__).parent.rglob("*.py")
    assert [f.name for f in files if re.search(r"^\s*(from|import) tabulate", f.read_text(), re.M)] == ["text.py"]


def test_a_cell_cannot_break_a_table():
    made = text_table([{"a": "x\ny\x1b[31m"}, {"a": None}])
    assert len(made.split("\n")) == 4 and "\x1b" not in made


@pytest.mark.parametrize(
    "text", ["1_000", "１２", "0x10", "infinity", "", " ", "1e", "1\u00a0", "1.2.3", "--1", "1\n2"]
)
def test_what_is_no_number(text):
    with pytest.raises(ValueError, match="no number"):
        number(text)


@given(st.floats())
def test_numbers_come_back(value):
    assert number(repr(value)) == value or value != value


@pytest.mark.parametrize("text", ["1_0", "１", "1.0", "", "0x1", "9" * 30])
def test_what_is_no_whole_number(text):
    with pytest.raises(ValueError, match="no whole number"):
        whole_number(text)
