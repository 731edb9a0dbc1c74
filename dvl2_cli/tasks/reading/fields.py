"""Values of fields: what they may look like, and where they stand beside their labels."""

from __future__ import annotations

import datetime
import re
from typing import Literal

from dvl2_cli.tasks.reading.months import with_months

Kind = Literal["date", "amount", "code", "text"]

_MONTH = r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-zäé]*\.?"
_DATE = re.compile(
    rf"\b(?:\d{{4}}[-./]\d{{1,2}}[-./]\d{{1,2}}|\d{{1,2}}[-./]\d{{1,2}}[-./]\d{{2,4}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.)?[ -]{_MONTH}[ ,-]*\d{{2,4}}"
    rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})\b",
    re.IGNORECASE,
)
_CURRENCY = r"(?:[$€£¥₹]|US\$|CHF|EUR|USD|GBP|JPY|INR|SEK|NOK|DKK|PLN|CZK|CAD|AUD|kr\.?|Fr\.?)"
_NUMBER = r"\d{1,3}(?:[ ,.'’]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d{1,2})?"
_AMOUNT = re.compile(
    rf"(?<![\w.,/-])-?{_CURRENCY}? ?-?(?:{_NUMBER})(?: ?{_CURRENCY})?(?![\w/%-]|[.,]\d)"
)
# An identifier has a digit.
_CODE = re.compile(r"(?<!\w)(?=[^\s]*\d)[A-Za-z0-9][A-Za-z0-9#/_.-]*(?<![.,:])")

_MARKS = re.compile(r"[\W_]*(?:no|nr|number|id)?[\W_]*", re.IGNORECASE)

# Words of a field's name -> labels that documents use for it, the surest first.
_LABELS: dict[str, tuple[str, ...]] = {
    "number": (
        "invoice number", "invoice no", "invoice nr", "invoice #", "invoice id", "tax invoice",
        "receipt no", "receipt number", "bill no", "order number", "order no", "document no",
        "document number", "rechnungsnummer", "rechnungs-nr", "rechnung nr", "numéro de facture",
        "facture n°", "número de factura", "factura n.º", "numero fattura", "factuurnummer",
        "number", "numéro", "número", "no", "nr", "invoice", "rechnung", "facture", "factura", "#",
    ),
    "date": (
        "invoice date", "date of issue", "issue date", "issued on", "issued", "dated",
        "rechnungsdatum", "date de facture", "date de la facture", "fecha de factura",
        "data fattura", "factuurdatum", "datum", "fecha", "date",
    ),
    "total": (
        "total due", "amount due", "balance due", "grand total", "total amount", "total to pay",
        "amount payable", "gross amount", "invoice total", "gesamtbetrag", "rechnungsbetrag",
        "bruttobetrag", "zu zahlen", "montant total", "total ttc", "net à payer", "importe total",
        "total a pagar", "totale", "totaal", "to pay", "total", "gesamt", "brutto", "summe", "sum",
    ),
}  # fmt: skip
# Words of which the head of a table of items has two or more.
_HEAD_WORDS = """
item article description text qty quantity price unit single amount number total sum pos hours rate
menge preis betrag artikel quantité prix montant cantidad precio importe
"""
_HEADS = frozenset(_HEAD_WORDS.split())
_KINDS: tuple[tuple[Kind, str], ...] = (
    ("date", r"date|due|issued|datum|birthday"),
    ("amount", r"total|subtotal|amount|price|tax|vat|sum|balance|cost|fee|discount|shipping"),
    ("code", r"number|no|nr|id|iban|code|reference|ref"),
)


def kind_of(name: str) -> Kind:
    """What values of the field called ``name`` are."""
    words = re.split(r"[\W_]+", name.casefold())
    return next(
        (kind for kind, known in _KINDS if any(re.fullmatch(known, word) for word in words)),
        "text",
    )


def is_of_kind(kind: Kind, value: str) -> bool:
    """Whether ``value`` is such a thing and nothing else."""
    value = value.strip()
    if kind == "date":
        found = _DATE.fullmatch(value)
        return found is not None and _may_be_date(value)
    if kind == "amount":
        return _AMOUNT.fullmatch(value) is not None
    return kind == "text" or (any(char.isdigit() for char in value) and len(value.split()) <= 6)


def look_up(name: str, text: str) -> str | None:
    """The value beside, or below, a label of the field in the lines of ``text``."""
    kind = kind_of(name)
    if kind == "text":
        return None
    lines = [with_months(line.strip()) for line in text.splitlines() if line.strip()]
    # The last total of a page is the whole one.
    numbered = list(enumerate(lines))[:: -1 if kind == "amount" else 1]
    places = [
        (label, number, line, place)
        for label in _labels(name)
        for number, line in numbered
        if (place := _place_of(label, line)) is not None and not _is_other(line[: place[0]], kind)
    ]
    beside = (_beside(kind, line[end:]) for _, _, line, (_, end) in places)
    below = (
        _below(kind, line, lines[number + 1], start)
        for _, number, line, (start, _) in places
        if number + 1 < len(lines) and not _is_head(line)
    )
    # A value on the label's own line is surer than one on the next.
    found = next((value for value in (*beside, *below) if value is not None), None)
    return found if found is not None or kind != "date" else _only_date(lines)


def _place_of(label: str, line: str) -> tuple[int, int] | None:
    found = re.search(rf"(?<![\w-]){re.escape(label)}(?![\w-])", line, re.IGNORECASE)
    return found.span() if found else None


def _is_head(line: str) -> bool:
    """Whether ``line`` is the head of a table of items."""
    words = {word.casefold() for word in re.findall(r"[^\W\d_]+", line)}
    return len(words & _HEADS) >= 2


def _only_date(lines: list[str]) -> str | None:
    """The first date of a letter, which has no label; not one that is due."""
    for line in lines:
        found = next((f for f in _DATE.finditer(line) if _may_be_date(f[0])), None)
        if found is not None:
            return None if _is_other(line[: found.start()], "date") else found[0]
    return None


def _labels(name: str) -> tuple[str, ...]:
    plain = re.sub(r"[\W_]+", " ", name.casefold()).strip()
    if plain in _LABELS:
        return _LABELS[plain]
    for key, labels in _LABELS.items():
        if plain in labels[:-3]:
            return (plain, *labels)
        if plain == f"invoice {key}":
            return labels
    return (plain,)


def _is_other(before: str, kind: Kind) -> bool:
    """Whether the words before a label make it another one: "due date", "sub total"."""
    last = before.casefold().split()[-1:]
    other = {"date": {"due", "delivery", "order"}, "amount": {"sub", "net", "sub-"}}
    if kind == "code":
        return last in (["vat"], ["tax"], ["phone"], ["account"], ["customer"], ["order"])
    return bool(last) and last[0].strip(".:") in other.get(kind, set())


def _beside(kind: Kind, rest: str) -> str | None:
    """The first value after a label, or for amounts the last one of the line."""
    values = _values(kind, rest)
    if not values:
        return None
    if kind == "code":
        # Nothing but marks stands between a label and its number.
        between = rest[: rest.index(values[0])]
        return values[0] if _MARKS.fullmatch(between) else None
    return values[-1] if kind == "amount" else values[0]


def _below(kind: Kind, line: str, below: str, place: int) -> str | None:
    """The value in the next line that stands under the label: as many values are before it as
    labels are.
    """
    values = _values(kind, below)
    if not values or _values(kind, line):
        return None
    share = place / max(len(line), 1)
    return min(values, key=lambda value: abs(below.index(value) / max(len(below), 1) - share))


def _values(kind: Kind, text: str) -> list[str]:
    if kind == "date":
        return [found[0] for found in _DATE.finditer(text) if _may_be_date(found[0])]
    dates = _DATE.sub(lambda found: "~" * len(found[0]), text)
    if kind == "amount":
        return [found[0].strip() for found in _AMOUNT.finditer(dates)]
    return [found[0] for found in _CODE.finditer(dates)]


def _may_be_date(value: str) -> bool:
    """Whether the numbers in ``value`` can be day, month and year."""
    numbers = [int(number) for number in re.findall(r"\d+", value)]
    if len(numbers) == 2:
        return any(1 <= number <= 31 for number in numbers)
    if len(numbers) != 3:
        return False
    first, second, third = numbers
    if first > 31:
        return _is_day(first, second, third)
    return _is_day(third, second, first) or _is_day(third, first, second)


def _is_day(year: int, month: int, day: int) -> bool:
    """Whether the calendar has that day; a year of two digits is one of this century."""
    try:
        datetime.date(year if year > 99 else 2000 + year, month, day)
    except ValueError:
        return False
    return True
