"""The documents of the suite. Changing any makes figures incomparable, so it stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nano_lab.foreign.drawing.document import Document

# Families that no training font list of the lab names, by the kind of document they fit.
SANS = ("PT Sans", "Manrope", "TeX Gyre Heros", "B612", "Open Sans")
SERIF = ("PT Serif", "TeX Gyre Termes", "TeX Gyre Pagella", "Quattrocento")
MONO = ("League Mono", "Go Mono", "PT Mono", "TeX Gyre Cursor")
LATEX = ("lmodern", "mathptmx", "mathpazo")
FONT_PACKAGES = (
    "fonts-paratype fonts-manrope fonts-texgyre fonts-b612 fonts-open-sans fonts-quattrocento "
    "fonts-league-mono fonts-go lmodern"
)
KINDS = (
    "snippet", "letter", "form", "receipt", "invoice", "table", "menu", "page", "slide", "chart",
    "pdf", "article", "code", "scan", "photo",
)  # fmt: skip


def _several(
    kind: str, templates: str, seeds: Sequence[int], width: int, sizes: Sequence[int] = (16,)
) -> Iterator[Document]:
    """Every template with every seed; scale and size of the print change from one to the next."""
    for place, template in enumerate(templates.split()):
        for seed in seeds:
            scale = (1.0, 1.5, 1.25, 2.0)[(place + seed) % 4]
            size = sizes[(place + seed) % len(sizes)]
            yield Document(kind, template, seed, width, scale, size)


def documents() -> list[Document]:
    """All documents, by kind."""
    found = [
        *_several("snippet", "snippet-plain.html", (1, 2, 3, 4), 520, (15, 18, 22)),
        *_several("snippet", "snippet-list.html snippet-dialog.html", (1, 2), 460, (16, 19)),
        *_several("letter", "letter-modern.html letter-classic.html", (1, 2), 794, (15, 17)),
        *_several("letter", "letter-office.fodt", (1, 2, 3), 794),
        *_several("form", "form-boxes.html form-lines.html form-grid.html", (1, 2), 700, (15, 17)),
        *_several("receipt", "receipt-thermal.html", (1, 2, 3), 340, (15, 16)),
        *_several("receipt", "receipt-shop.html receipt-ticket.html", (1, 2, 3), 400, (15, 17)),
        *_several(
            "invoice",
            "invoice-bar.html invoice-letter.html invoice-side.html invoice-dark.html "
            "invoice-boxes.html invoice-plain.html",
            (1, 2),
            794,
            (15, 16),
        ),
        *_several("invoice", "invoice-office.fodt", (1, 2), 794),
        *_several("table", "table-ruled.html table-zebra.html", (1, 2), 720, (15, 16)),
        *_several("table", "table-booktabs.html table-calc.fods", (1, 2), 720, (15, 16)),
        *_several("menu", "menu-leaders.html menu-board.html", (1, 2), 640, (16, 18)),
        *_several("menu", "menu-prices.html", (1, 2), 640, (16, 18)),
        *_several("page", "page-blog.html page-dashboard.html page-shop.html", (1, 2), 900, (16,)),
        *_several("slide", "slide-plain.html slide-dark.html", (1, 2), 960, (20, 22)),
        *_several("slide", "slide-impress.fodp", (1, 2), 960),
        *_several("chart", "chart-columns.html chart-bars.html", (1, 2), 600, (16, 18)),
        *_several("chart", "plot", (1, 2, 3, 4), 640),
        *_several("pdf", "paper-one.tex page-office.fodt", (1, 2, 3), 794),
        *_several("article", "article-two.html article-three.html", (1, 2), 860, (15, 16)),
        *_several("article", "paper-two.tex", (1, 2), 794),
        *_several("code", "code-light.html code-dark.html", (1, 2, 3), 640, (14, 16)),
    ]
    return found + _worn()


def _worn() -> list[Document]:
    scans = [
        Document("scan", "letter-modern.html", 7, 794, 1.5, 15, "scan"),
        Document("scan", "letter-office.fodt", 8, 794, 1.75, 16, "scan"),
        Document("scan", "invoice-letter.html", 7, 794, 1.5, 15, "scan"),
        Document("scan", "form-lines.html", 8, 700, 1.5, 16, "scan"),
        Document("scan", "receipt-shop.html", 7, 400, 2.0, 15, "scan"),
        Document("scan", "table-ruled.html", 8, 720, 1.5, 16, "scan"),
    ]
    photos = [
        Document("photo", "receipt-thermal.html", 9, 340, 2.0, 16, "photo"),
        Document("photo", "receipt-shop.html", 10, 400, 2.0, 16, "photo"),
        Document("photo", "letter-classic.html", 9, 794, 1.75, 17, "photo"),
        Document("photo", "menu-leaders.html", 10, 640, 1.75, 18, "photo"),
        Document("photo", "invoice-plain.html", 9, 794, 1.75, 16, "photo"),
        Document("photo", "snippet-list.html", 10, 460, 2.0, 19, "photo"),
    ]
    return scans + photos
