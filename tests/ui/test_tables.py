"""Tables that can be read at any width."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dvl2_cli.ui.tables import print_facts, print_table

HEADINGS = ("model", "size", "folder")
ROWS = [
    ("nano", "30.9 MB", "/usr/lib/python3/dist-packages/dvl2_nano"),
    ("deepseek-ai/deepseek-vl2-tiny", "2.7 GB", "/home/me/.local/share/dvl2/models/tiny"),
]


def printed(width: int, rows: Sequence[tuple[str, ...]] = ROWS) -> str:
    stream = io.StringIO()
    print_table(Console(file=stream, width=width), HEADINGS, rows, right=(1,))
    return stream.getvalue()


@pytest.mark.parametrize("width", [10, 20, 30, 40, 80, 200])
def test_every_cell_can_be_read(width: int) -> None:
    shown = printed(width)
    for row in ROWS:
        for cell in row:
            assert cell in shown


def test_a_wide_terminal_has_columns_and_a_narrow_one_facts() -> None:
    assert printed(200).splitlines()[1].split() == list(HEADINGS)
    assert "model: nano\nsize: 30.9 MB\nfolder: /usr" in printed(40)


@given(
    st.lists(st.tuples(*[st.text("abc /-\u00e9\u65e5", max_size=30)] * 3), min_size=1, max_size=4),
    st.integers(5, 120),
)
def test_any_text_at_any_width(rows: list[tuple[str, ...]], width: int) -> None:
    shown = printed(width, rows)
    for row in rows:
        for cell in row:
            assert cell.rstrip() in shown


@pytest.mark.parametrize("width", [10, 30, 100])
def test_facts_keep_their_values_whole(width: int) -> None:
    stream = io.StringIO()
    facts = [("folder", "/a/very/long/path/to/somewhere/else"), ("quantisation", "int4")]
    print_facts(Console(file=stream, width=width), facts)
    assert all(value in stream.getvalue() for _, value in facts)
