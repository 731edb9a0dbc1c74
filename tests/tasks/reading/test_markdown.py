from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dvl2_cli.tasks.reading.markdown import blocks_of, tables_of, to_html, to_text

PAGE = """# Invoice 1042

Pay by **Friday**.

| Item | Qty |
|---|---|
| Bolt & nut | 4 |

- one
- two

$$x^2$$
"""


def test_blocks_keep_their_order_and_kind() -> None:
    kinds = [block.type for block in blocks_of(PAGE)]
    assert kinds == ["heading", "paragraph", "table", "list", "formula"]


def test_tables_become_rows_and_html() -> None:
    (table,) = tables_of(PAGE)
    assert table.rows == (("Item", "Qty"), ("Bolt & nut", "4"))
    assert table.html == (
        "<table><tr><th>Item</th><th>Qty</th></tr>"
        "<tr><td>Bolt &amp; nut</td><td>4</td></tr></table>"
    )


def test_text_has_the_words_without_the_marks() -> None:
    assert to_text(PAGE).splitlines() == [
        "Invoice 1042", "Pay by Friday.", "Item\tQty", "Bolt & nut\t4", "one", "two", "$$x^2$$",
    ]  # fmt: skip


def test_markup_of_the_model_is_escaped() -> None:
    page = to_html("<script>alert(1)</script>\n\n[x](javascript:alert(1)) <b onclick=x>")
    assert "<script" not in page
    assert "<b " not in page
    assert 'href="javascript' not in page


@given(st.text(alphabet=st.sampled_from("#|-*`_[]()<>$\\\n ab1"), max_size=120))
def test_any_text_can_be_taken_apart(text: str) -> None:
    blocks_of(text)
    to_text(text)
    tables_of(text)
    to_html(text)
