"""Values are found beside their labels, and are what their fields ask for."""

from __future__ import annotations

import pytest

from dvl2_cli.tasks.reading.evidence import is_supported
from dvl2_cli.tasks.reading.fields import is_of_kind, kind_of, look_up
from dvl2_cli.tasks.reading.months import with_months

INVOICE = """INVOICE
Ferro Supply GmbH
Ulmenweg 8, 70184 Stuttgart
Invoice no. FS-20931
Date 2026-03-18
Due date 2026-04-17
Description Qty Price Amount
Steel bracket 40 mm 12 4.50 54.00
Subtotal 116.40
VAT 19 % 22.12
Total EUR 138.52
Please pay within 30 days."""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", "FS-20931"),
        ("invoice number", "FS-20931"),
        ("date", "2026-03-18"),
        ("total", "EUR 138.52"),
        ("subtotal", "116.40"),
        ("vat", "22.12"),
        ("discount", None),
        ("company", None),
    ],
)
def test_values_beside_their_labels(name: str, value: str | None) -> None:
    assert look_up(name, INVOICE) == value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("number", "Invoice # 2034/41819", "2034/41819"),
        ("number", "Invoice Number Issued\nA-771 12 March 2026", "A-771"),
        ("date", "Invoice Number Issued\nA-771 12 March 2026", "12 March 2026"),
        ("date", "Date of issue: June 24, 2027\nDue: July 12, 2027", "June 24, 2027"),
        ("total", "Net total 80.00\nTotal 1,852.14 USD", "1,852.14 USD"),
        ("total", "Total items 4\nAmount due £1 204,50", "£1 204,50"),
        ("number", "Phone no. 555-0147\nReceipt no: 88", "88"),
        ("number", "Invoice P-4711\nPos. Text Number Single Sum\n1 Soup 2 7.20 14.40", "P-4711"),
        ("date", "Invoice 12\nDate Becember 13, 2021", "December 13, 2021"),
        ("date", "Herrn Ode\n3 May 2026\nDear Mr Ode", "3 May 2026"),
        ("total", "Item Quantity Total\nSoup 2 £14.40\nGross amount £17.14", "£17.14"),
        ("total", "Rechnungsbetrag 52,20 €", "52,20 €"),
    ],
)
def test_labels_as_documents_have_them(name: str, text: str, value: str) -> None:
    assert look_up(name, text) == value


def test_values_are_what_their_fields_ask_for() -> None:
    assert [kind_of(name) for name in ("due_date", "Total", "invoice no", "name")] == [
        "date",
        "amount",
        "code",
        "text",
    ]
    assert is_of_kind("date", "3 May 2026")
    assert not is_of_kind("date", "45.13.2026")
    assert not is_of_kind("date", "2024-02-31")
    assert not is_of_kind("date", "29/02/2025")
    assert is_of_kind("date", "29/02/24")
    assert is_of_kind("date", "12/31/2024")
    assert not is_of_kind("date", "308.69")
    assert is_of_kind("amount", "$1,234.50")
    assert not is_of_kind("amount", "12 Mill Road")
    assert not is_of_kind("code", "Ulmenweg")


def test_digits_are_supported_only_if_all_are_equal() -> None:
    assert is_supported("138.52", INVOICE)
    assert not is_supported("138.82", INVOICE)
    assert is_supported("Ferro Suply GmbH", INVOICE)


def test_a_due_date_is_no_date_and_a_word_between_two_months_none() -> None:
    assert look_up("date", "Due: 3 May 2026") is None
    assert with_months("3. Jumi 2024") == "3. Jumi 2024"
    assert with_months("17 Narch 2032, 4 Mill Road") == "17 March 2032, 4 Mill Road"
