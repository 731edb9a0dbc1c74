from __future__ import annotations

import pytest

from dvl2_cli.tasks.reading.evidence import unsupported, value_of


@pytest.mark.parametrize("answer", ["", "None", "n/a", "Not found.", "There is no date here."])
def test_answers_that_say_there_is_none(answer: str) -> None:
    assert value_of(answer) is None


@pytest.mark.parametrize("answer", ["41.20", " 2026-01-02\n", "Nonesuch Ltd"])
def test_values_are_trimmed(answer: str) -> None:
    assert value_of(answer) == answer.strip()


def test_values_that_are_not_on_the_page_are_named() -> None:
    text = "Invoice 1042\nTotal: EUR 41.20\nJane Smith"
    fields = {
        "total": 41.2,
        "name": "jane  smith",
        "date": None,
        "paid": True,
        "items": [{"sku": "X-99871"}],
    }
    assert unsupported(fields, text) == [
        "field items[0].sku: 'X-99871' is not in the text that was read"
    ]


def test_a_number_is_a_whole_number_of_the_page() -> None:
    from dvl2_cli.tasks.reading.evidence import is_supported

    assert is_supported("1234.50", "Total: 1 234,50 EUR")
    assert is_supported("INV-12", "Invoice inv 12")
    assert not is_supported("10", "in 2010")
    assert not is_supported("234.50", "Total 1234.50")
    assert not is_supported("2", "Total 2.50")
