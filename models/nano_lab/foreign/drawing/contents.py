"""What stands in a document: a dictionary that its template prints."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from nano_lab.foreign.drawing import facts

Content = Mapping[str, Any]
_SYMBOLS = (("£", "en", "{s}{v}"), ("€", "de", "{v} {s}"), ("$", "en", "{s}{v}"))
_RATES = (5, 7, 10, 19, 20, 21)
_LINKS = ("Home", "Shop", "Stories", "Help", "About", "Log in", "Basket (2)")
_LEGAL = ("Payment within 14 days without deduction.", "Goods remain ours until paid in full.")


def letter(rng: random.Random) -> Content:
    """Sender, receiver, date, reference, subject and two or three paragraphs."""
    language = rng.choice(("en", "en", "en", "de", "fr", "es"))
    paragraphs = facts.prose(language)
    greetings = {
        "en": ("Dear {}", "Yours sincerely"),
        "de": ("Guten Tag {}", "Mit freundlichen Grüßen"),
        "fr": ("Bonjour {}", "Cordialement"),
        "es": ("Estimado/a {}", "Un cordial saludo"),
    }[language]
    sender, receiver = rng.sample(facts.PEOPLE, 2)
    return {
        **_address(rng),
        "sender": sender,
        "receiver": receiver,
        "street2": rng.choice(facts.STREETS),
        "town2": rng.choice(facts.TOWNS),
        "date": facts.date(rng),
        "reference": facts.number(rng),
        "phone": _phone(rng),
        "greeting": greetings[0].format(receiver) + ",",
        "closing": greetings[1] + ",",
        "paragraphs": rng.sample(paragraphs, min(len(paragraphs), 3)),
    }


def _address(rng: random.Random) -> dict[str, Any]:
    firm = rng.choice(facts.FIRMS)
    site = "".join(c for c in firm.split()[0].lower() if c.isascii() and c.isalpha())
    return {
        "firm": firm,
        "street": rng.choice(facts.STREETS),
        "town": rng.choice(facts.TOWNS),
        "mail": f"office@{site}.example",
        "site": f"www.{site}.example",
    }


def _phone(rng: random.Random) -> str:
    digits = (rng.randint(31, 49), rng.randint(20, 99), rng.randint(100, 999))
    return f"+{' '.join(map(str, digits))} {rng.randint(1000, 9999)}"


def invoice(rng: random.Random) -> Content:
    """Goods with prices that add up; ``number``, ``date`` and ``total`` as printed."""
    symbol, style, form = rng.choice(_SYMBOLS)

    def show(cents: int) -> str:
        return form.format(s=symbol, v=facts.money(cents, style))

    rows, net = [], 0
    for name, price in rng.sample(rng.choice(facts.GOODS), rng.randint(3, 6)):
        count = rng.choice((1, 1, 2, 3, 4, 6, 12))
        net += count * price
        rows.append((name, count, show(price), show(count * price)))
    rate = rng.choice(_RATES)
    tax = round(net * rate / 100)
    return {
        **letter(rng),
        "number": facts.number(rng),
        "date": facts.date(rng),
        "due": facts.date(rng),
        "customer": rng.randint(1000, 89_999),
        "rows": rows,
        "net": show(net),
        "tax_name": rng.choice(("VAT", "Tax", "MwSt.")) + f" {rate} %",
        "tax": show(tax),
        "total": show(net + tax),
        "iban": _iban(rng),
        "legal": rng.choice(_LEGAL),
    }


def _iban(rng: random.Random) -> str:
    groups = " ".join(f"{rng.randint(0, 9999):04}" for _ in range(4))
    country = rng.choice(("DE", "GB", "FR", "NL"))
    return f"{country}{rng.randint(10, 99)} {groups} {rng.randint(10, 99)}"


def receipt(rng: random.Random) -> Content:
    """An invoice in short, with a time, a till and a card."""
    content = dict(invoice(rng))
    content.update(
        time=f"{rng.randint(7, 21):02}:{rng.randint(0, 59):02}",
        till=rng.randint(1, 12),
        bill=rng.randint(1000, 9999),
        card=f"**** {rng.randint(1000, 9999)}",
        server=rng.choice(facts.PEOPLE).split()[0],
    )
    return content


def form(rng: random.Random) -> Content:
    """Labels with values, and boxes to tick."""
    name = rng.choice(facts.PEOPLE)
    address = _address(rng)
    return {
        "title": rng.choice(
            ("Membership application", "Change of address", "Damage report", "Visitor registration")
        ),
        "code": f"Form {rng.randint(10, 99)}-{rng.choice('ABCD')}",
        "pairs": (
            ("Family name", name.split()[-1]),
            ("Given name", name.split()[0]),
            ("Date of birth", facts.date(rng)),
            ("Street and number", address["street"]),
            ("Town", address["town"]),
            ("Telephone", _phone(rng)),
            ("E-mail", address["mail"]),
            ("Member number", facts.number(rng)),
            ("Bank account (IBAN)", _iban(rng)),
        ),
        "ticks": ("I have read the rules", "Send me the newsletter", "Pay by direct debit"),
        "note": rng.choice(facts.prose("en")).split(". ")[0] + ".",
        "place": address["town"].split()[-1] + ", " + facts.date(rng),
    }


def table(rng: random.Random) -> Content:
    """A title, heads, rows and a source."""
    heads, rows = rng.choice(facts.tables())
    return {
        "title": f"Table {rng.randint(1, 9)}. {heads[0]}s in {rng.randint(2021, 2034)}",
        "heads": heads,
        "rows": rng.sample(rows, len(rows)),
        "source": f"Source: {rng.choice(facts.FIRMS)}, {facts.date(rng)}",
    }


def menu(rng: random.Random) -> Content:
    """Two or three sections of goods with prices."""
    trades = rng.sample(facts.GOODS, 2)
    titles = rng.sample(("From the kitchen", "To take home", "Every day", "Small things"), 2)
    mark = rng.choice(("£{}", "{} €", "{}", "${}"))
    sections = [
        (title, [(name, mark.format(facts.money(price, "en"))) for name, price in trade[:6]])
        for title, trade in zip(titles, trades, strict=True)
    ]
    name = rng.choice(facts.FIRMS).split()[0]
    return {
        "name": f"{name}'s {rng.choice(('Table', 'Counter', 'Store'))}",
        "sections": sections,
        "line": rng.choice(facts.prose("en")).split(". ")[-1],
        "hours": f"Open {rng.randint(7, 11)}:00 to {rng.randint(17, 23)}:30",
    }


def page(rng: random.Random) -> Content:
    """A site with a menu bar, an article or cards, numbers and a foot."""
    english = rng.sample(facts.prose("en"), 5)
    goods = rng.sample(rng.choice(facts.GOODS), 4)
    return {
        **_address(rng),
        "links": rng.sample(
            ("Home", "Shop", "Stories", "Help", "About", "Log in", "Basket (2)"), 5
        ),
        "headline": _headline(english[0]),
        "author": rng.choice(facts.PEOPLE),
        "date": facts.date(rng),
        "paragraphs": english[1:4],
        "quote": english[4].split(". ")[0] + ".",
        "cards": [(name, facts.money(price, "en")) for name, price in goods],
        "figures": [
            ("Visitors", f"{rng.randint(1000, 99_999):,}"),
            ("Revenue", f"${rng.randint(10, 900)}.{rng.randint(0, 9)}k"),
            ("Open tickets", str(rng.randint(3, 140))),
            ("Uptime", f"99.{rng.randint(10, 99)} %"),
        ],
        "rows": rng.choice(facts.tables())[1][:5],
        "year": rng.randint(2021, 2034),
    }


def _headline(paragraph: str) -> str:
    return " ".join(paragraph.rstrip(".").split()[:6]).rstrip(",;")


def slide(rng: random.Random) -> Content:
    """A title and four points."""
    sentences = [p.split(". ")[0].rstrip(".") for p in rng.sample(facts.prose("en"), 5)]
    return {
        "title": _headline(sentences[0]),
        "points": [" ".join(s.split()[:11]).rstrip(",;") for s in sentences[1:5]],
        "figures": [(f"{rng.randint(2, 98)} %", label) for label in ("on time", "returned", "new")],
        "speaker": rng.choice(facts.PEOPLE),
        "date": facts.date(rng),
        "firm": rng.choice(facts.FIRMS),
        "page": rng.randint(2, 40),
    }


def chart(rng: random.Random) -> Content:
    """Five or six names with values, a title and a unit; ``values`` are printed beside marks."""
    names = rng.choice(
        (
            ("North", "South", "East", "West", "Centre"),
            ("2027", "2028", "2029", "2030", "2031", "2032"),
            ("Bus", "Tram", "Car", "Bicycle", "On foot"),
            ("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
            ("Oats", "Wheat", "Barley", "Rye", "Maize"),
        )
    )
    values = rng.sample(range(12, 98), len(names))
    return {
        "title": rng.choice(("Trips by district", "Harvest", "Members", "Requests")),
        "unit": rng.choice(("in thousands", "tonnes per year", "per cent", "per week")),
        "bars": list(zip(names, values, strict=True)),
        "source": f"Source: {rng.choice(facts.FIRMS)}",
    }


def article(rng: random.Random) -> Content:
    """A headline, an author and six to eight paragraphs."""
    english = rng.sample(facts.prose("en"), 9)
    return {
        "journal": rng.choice(("The Quay Courier", "Valley Observer", "Field Notes", "Lantern")),
        "issue": f"No. {rng.randint(40, 900)}",
        "date": facts.date(rng),
        "headline": _headline(english[8]),
        "author": rng.choice(facts.PEOPLE),
        "paragraphs": english[: rng.randint(6, 8)],
        "subheads": [_headline(p) for p in english[:3]],
    }


def snippet(rng: random.Random) -> Content:
    """One paragraph in any language, a heading and a short list."""
    language = rng.choice(("en", "en", "de", "fr", "es"))
    text = rng.choice(facts.prose(language))
    return {
        "text": text,
        "heading": _headline(text),
        "items": [name for name, _ in rng.sample(rng.choice(facts.GOODS), 4)],
        "button": rng.choice(("Save changes", "Keep both files", "Try again")),
        "other": rng.choice(("Cancel", "Not now", "Discard")),
    }


def code(rng: random.Random) -> Content:
    """A listing."""
    return {"code": rng.choice(facts.CODE).rstrip(), "file": f"src/part_{rng.randint(2, 60)}.txt"}


CONTENTS: dict[str, Callable[[random.Random], Content]] = {
    "snippet": snippet,
    "letter": letter,
    "form": form,
    "receipt": receipt,
    "invoice": invoice,
    "table": table,
    "menu": menu,
    "page": page,
    "slide": slide,
    "chart": chart,
    "article": article,
    "code": code,
}
