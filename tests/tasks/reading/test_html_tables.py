"""Tables that a model writes as HTML keep their cells over several rows and columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvl2_cli.tasks.reading.markdown import blocks_of, tables_of, to_html, to_text
from tests.commands.conftest import Cli, cli, picture
from tests.fakes import FakeEngine

__all__ = ["cli"]
SOURCE = (
    '# Rates\n\n<table><tr><th rowspan="2">Year</th><th colspan="2">Water &amp; gas</th></tr>'
    "<tr><td>May</td><td>June</td></tr><tr><td>2031<td onclick='x()'>4<br>5</td><td>"
    "<script>6</script></td></tr></table>\n\nPlease pay."
)


def test_cells_lie_where_browsers_put_them() -> None:
    (table,) = tables_of(SOURCE)
    assert table.rows == (
        ("Year", "Water & gas", ""),
        ("", "May", "June"),
        ("2031", "4 5", "6"),
    )
    spans = [(cell.row, cell.column, cell.row_span, cell.column_span) for cell in table.cells]
    assert spans[:4] == [(0, 0, 2, 1), (0, 1, 1, 2), (1, 1, 1, 1), (1, 2, 1, 1)]
    assert [cell.is_head for cell in table.cells[:3]] == [True, True, False]


def test_html_has_the_spans_and_nothing_else_of_the_model() -> None:
    shown = to_html(SOURCE)
    assert '<th rowspan="2">Year</th><th colspan="2">Water &amp; gas</th>' in shown
    assert "<script>" not in shown
    assert "onclick" not in shown
    assert shown.startswith("<h1>Rates</h1>")


def test_text_and_blocks_are_in_reading_order() -> None:
    assert [block.type for block in blocks_of(SOURCE)] == ["heading", "table", "paragraph"]
    assert to_text(SOURCE).splitlines()[:2] == ["Rates", "Year\tWater & gas\t"]


@pytest.mark.parametrize(
    "source",
    [
        "```\n<table><tr><td>1</td></tr></table>\n```",
        "<table></table>",
        "<table><tr><td>open",
        "<table>" + '<tr><td colspan="100" rowspan="100">x</td></tr>' * 300 + "</table>",
    ],
)
def test_what_is_no_table_stays_text(source: str) -> None:
    assert tables_of(source) == ()
    assert "<td" not in to_html(source)


def test_spans_are_within_the_table() -> None:
    (table,) = tables_of('<table><tr><td rowspan="9" colspan="-3">x</td></tr></table>')
    assert (table.cells[0].row_span, table.cells[0].column_span) == (1, 1)


def test_markdown_tables_have_cells_too() -> None:
    (table,) = tables_of("| a | b |\n|---|---|\n| 1 | 2 |")
    assert [(cell.row, cell.column, cell.text) for cell in table.cells] == [
        (0, 0, "a"), (0, 1, "b"), (1, 0, "1"), (1, 1, "2"),
    ]  # fmt: skip


def test_csv_has_the_text_of_a_wide_cell_once(cli: Cli, tmp_path: Path) -> None:
    page = picture(tmp_path / "page.png")
    done = cli("ocr", page, "-f", "csv", engine=FakeEngine(SOURCE))
    assert done.out == "Year,Water & gas,\n,May,June\n2031,4 5,6\n"
