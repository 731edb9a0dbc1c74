"""Columns are read one after the other, rows of tables and labels with values across."""

from __future__ import annotations

from dvl2_cli.tasks.reading.lines.line import LineBox
from dvl2_cli.tasks.reading.lines.order import in_reading_order


def piece(left: int, top: int, width: int, height: int = 12) -> LineBox:
    return LineBox(left, top, left + width, top + height, height * 0.8)


def read(pieces: list[LineBox]) -> list[list[tuple[int, int]]]:
    """Left and top of the pieces of each row, in order."""
    return [
        [(item.left, item.top) for item in row]
        for block in in_reading_order(pieces)
        for row in block.rows
    ]


def test_columns_of_prose() -> None:
    heading = piece(20, 10, 500, 30)
    columns = [piece(x, y, 180) for x in (20, 230, 440) for y in range(60, 200, 18)]
    foot = piece(20, 300, 300)
    expected = [[(item.left, item.top)] for item in [heading, *columns, foot]]
    assert read([*columns[::-1], foot, heading]) == expected


def test_rows_of_a_table() -> None:
    cells = [piece(x, y, 60) for y in range(20, 140, 20) for x in (20, 200, 320)]
    assert read(cells) == [[(x, y) for x in (20, 200, 320)] for y in range(20, 140, 20)]


def test_items_with_their_prices() -> None:
    items = [piece(20, y, 90 + y) for y in range(20, 120, 16)]
    prices = [piece(330, y, 30) for y in range(20, 120, 16)]
    assert read(items + prices) == [[(20, y), (330, y)] for y in range(20, 120, 16)]


def test_columns_whose_lines_stand_at_other_heights() -> None:
    article = [piece(20, y, 300) for y in range(20, 160, 18)]
    aside = [piece(400, y, 90, 10) for y in range(25, 90, 15)]
    assert read(article + aside) == [[(item.left, item.top)] for item in [*article, *aside]]


def test_addresses_side_by_side() -> None:
    one = [piece(20, y, w) for y, w in ((20, 100), (36, 80), (52, 120))]
    other = [piece(300, y, w) for y, w in ((20, 90), (36, 110), (52, 70))]
    assert read(one + other) == [[(item.left, item.top)] for item in [*one, *other]]


def test_nothing_has_no_blocks() -> None:
    assert in_reading_order([]) == []


def test_totals_are_read_across_and_a_head_on_the_right_first() -> None:
    head = [piece(300, 10, 120, 20), piece(340, 40, 80)]
    labels = [piece(20, y, w) for y, w in ((80, 60), (96, 50), (112, 80))]
    values = [piece(420 - w, y, w) for y, w in ((80, 90), (96, 70), (112, 90))]
    foot = piece(20, 134, 160)
    expected = [[(300, 10)], [(340, 40)]]
    expected += [
        [(one.left, one.top), (other.left, other.top)]
        for one, other in zip(labels, values, strict=True)
    ]
    assert read([*labels, *values, foot, *head]) == [*expected, [(20, 134)]]


def test_a_table_below_two_blocks_is_no_part_of_their_columns() -> None:
    address = [piece(20, y, w) for y, w in ((20, 60), (34, 90), (48, 110), (62, 80))]
    facts = [[piece(400, y, 60), piece(480, y, w)] for y, w in ((24, 70), (42, 90), (60, 80))]
    table = [[piece(x, y, 50) for x in (20, 380, 450, 520)] for y in (110, 130, 150)]
    rows = [*([item] for item in address), *facts, *table]
    found = read([item for row in rows for item in row])
    assert found == [[(item.left, item.top) for item in row] for row in rows]


def test_labels_of_a_form_are_read_with_their_values() -> None:
    labels = [piece(20, y, w) for y, w in ((20, 90), (48, 70), (76, 110), (104, 60))]
    values = [piece(300, y, w) for y, w in ((20, 60), (48, 80), (76, 100), (104, 70))]
    assert read(labels + values) == [[(20, y), (300, y)] for y in (20, 48, 76, 104)]
