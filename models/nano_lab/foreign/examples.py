"""``python -m nano_lab.foreign.examples FOLDER``: draw the pictures that come with dvl2.

They are documents that nobody trained on and no suite measures: the suite's templates with other
contents.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from nano_lab.foreign.drawing.chromium import Chromium
from nano_lab.foreign.drawing.studio import template_html

_SHOP = {
    "firm": "Finch & Harbour Bookbinders",
    "street": "12 Canal Street",
    "town": "Leeds LS2 8JP",
    "phone": "+44 113 496 0172",
    "mail": "hello@finch-harbour.example",
    "site": "www.finch-harbour.example",
}
_INVOICE = _SHOP | {
    "number": "FH-2047",
    "date": "14 May 2026",
    "due": "28 May 2026",
    "customer": "30815",
    "receiver": "Amelia Hart",
    "street2": "8 Station Road",
    "town2": "York YO1 6HT",
    "rows": [
        ("Repair of a leather cover", 1, "48.00", "48.00"),
        ("Notebook A5, linen", 4, "12.50", "50.00"),
        ("Gold lettering, per line", 3, "6.00", "18.00"),
    ],
    "net": "116.00",
    "tax_name": "VAT 20 %",
    "tax": "23.20",
    "total": "£139.20",
    "legal": "Please pay within 14 days. Thank you for your order.",
    "iban": "GB33 BUKB 2020 1555 5555 55",
}
_LETTER = _SHOP | {
    "mail": "Telephone 0113 496 0172",
    "receiver": "Mr Daniel Moss",
    "street2": "41 Mill Lane",
    "town2": "Ripon HG4 2QT",
    "date": "3 June 2026",
    "reference": "Your family album",
    "greeting": "Dear Mr Moss,",
    "closing": "Yours sincerely,",
    "sender": "Clara Finch",
    "paragraphs": [
        "Thank you for bringing your album to our workshop last week. The binding is loose, but "
        "all forty pages are there and the photographs are in good order.",
        "We would sew the pages again and make a new cover in dark green linen. The work takes "
        "about three weeks and costs 85 pounds. Please call us if we may begin.",
    ],
}
_RECEIPT = _SHOP | {
    "firm": "Corner Bakery",
    "street": "5 Market Square",
    "town": "Whitby",
    "phone": "+44 1947 555 018",
    "bill": 4182,
    "till": 2,
    "date": "21.06.2026",
    "time": "11:42",
    "rows": [
        ("Tea", 2, "", "4.80"),
        ("Scone", 2, "", "6.40"),
        ("Apple juice", 1, "", "2.90"),
        ("Cheese toast", 1, "", "7.25"),
    ],
    "total": "21.35",
    "tax_name": "VAT 20 %",
    "tax": "3.56",
    "card": "**** 7306",
    "server": "Ruth",
}
_TABLE = {
    "title": "Opening hours of the pool",
    "heads": ("Day", "Opens", "Closes", "Lanes"),
    "rows": [
        ("Monday", "07:00", "21:00", "6"),
        ("Tuesday", "07:00", "19:30", "4"),
        ("Thursday", "09:00", "21:00", "6"),
        ("Saturday", "08:00", "18:00", "3"),
        ("Sunday", "10:00", "17:00", "2"),
    ],
    "source": "Valid from 1 July 2026",
}
_CHART = {
    "title": "Visitors to the lighthouse",
    "unit": "per month",
    "bars": [("April", 42), ("May", 57), ("June", 88), ("July", 96), ("August", 71)],
    "source": "Harbour office, 2026",
}
_SLIDE = {
    "title": "What we learned this year",
    "points": [
        "Repairs bring people back",
        "Small orders take the most time",
        "Saturdays pay for the whole week",
        "We need a second sewing frame",
    ],
    "speaker": "Clara Finch",
    "firm": "Finch & Harbour",
    "date": "9 December 2026",
}


@dataclass(frozen=True, slots=True)
class Example:
    """A picture: its template, what stands in it and how it is set."""

    name: str
    template: str
    content: Mapping[str, Any]
    width: int
    font: str = "Liberation Sans"
    size: int = 16
    accent: str = "#1f5f7a"
    scale: float = 1.5


EXAMPLES = (
    Example("invoice", "invoice-bar.html", _INVOICE, 720, scale=1),
    Example("letter", "letter-modern.html", _LETTER, 720, "Liberation Serif", 17, "#3b5d3a"),
    Example("receipt", "receipt-thermal.html", _RECEIPT, 360, "DejaVu Sans Mono", 16),
    Example("table", "table-zebra.html", _TABLE, 560, accent="#7a4b1f"),
    Example("chart", "chart-columns.html", _CHART, 560),
    Example("slide", "slide-plain.html", _SLIDE, 960, size=22),
)


def draw(folder: Path) -> None:
    """Write every picture into ``folder``, and ``texts.json`` with what Chromium set in each."""
    texts = {}
    with Chromium() as chromium:
        for example in EXAMPLES:
            look = {"font": example.font, "accent": example.accent, "tint": "#ffffff"}
            html = template_html(example.template, example.content, look, example.size)
            file = folder / f"{example.name}.png"
            texts[example.name], _ = chromium.draw(html, file, example.width, example.scale)
            _in_few_colours(file)
    print(json.dumps(texts, ensure_ascii=False, indent=1))


def _in_few_colours(file: Path) -> None:
    """Small files: they come with the package."""
    with Image.open(file) as picture:
        picture.convert("RGB").quantize(64).save(file, optimize=True)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
