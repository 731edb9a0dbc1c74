"""Draws every document once, into a folder that is named by what draws it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs
from PIL import Image

from nano_lab.foreign.drawing import wear
from nano_lab.foreign.drawing.catalogue import LATEX, MONO, SANS, SERIF, documents
from nano_lab.foreign.drawing.chromium import Chromium
from nano_lab.foreign.drawing.contents import CONTENTS
from nano_lab.foreign.drawing.document import Document, Drawn, Word, by_rows
from nano_lab.foreign.drawing.facts import seeded
from nano_lab.foreign.drawing.paper import latex_to_pdf, office_to_pdf, picture, text_layer
from nano_lab.foreign.drawing.plots import draw_plot

_TEMPLATES = Path(__file__).parent.parent / "templates"
_ACCENTS = ("#1f6f8b", "#a63d40", "#3b7a57", "#5b4b8a", "#b5651d", "#2f4858")
_TINTS = ("#ffffff", "#f2f7f5", "#fff9e8", "#eef2fb")
_VALUES = ("number", "date", "total")
_TEX = str.maketrans({"&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "€": r"\texteuro{}"})
# By the first word of a template's name, where it is not the content's.
_CONTENT_OF = {"paper": "article", "plot": "chart"}


def cache_folder() -> Path:
    """Where drawn documents lie; its name changes with whatever draws them."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in sorted([*here.glob("*.py"), *here.glob("*.txt"), *_TEMPLATES.iterdir()]):
        digest.update(path.name.encode() + path.read_bytes())
    return Path(platformdirs.user_cache_dir("dvl2")) / "foreign" / digest.hexdigest()[:16]


def draw_all(folder: Path) -> list[Drawn]:
    """Every document of the suite, drawn unless ``folder`` has it.

    Raises:
        subprocess.CalledProcessError: LibreOffice or pdflatex failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = documents()
    missing = [doc for doc in wanted if not (folder / f"{doc.name}.json").exists()]
    pages = [doc for doc in missing if doc.template.endswith(".html")]
    papers = [doc for doc in missing if "." in doc.template and doc not in pages]
    if pages:
        with Chromium() as chromium:
            for doc in pages:
                file = folder / f"{doc.name}.png"
                html = template_html(doc.template, content(doc), _look(doc), doc.size)
                text, words = chromium.draw(html, file, doc.width, doc.scale)
                _finish(doc, file, text, words, folder)
    if papers:
        with tempfile.TemporaryDirectory() as desk:
            _draw_papers(papers, folder, Path(desk))
    for doc in missing:
        if doc.template == "plot":
            file = folder / f"{doc.name}.png"
            words = draw_plot(content(doc), file, doc.seed, round(100 * doc.scale))
            rows = by_rows(words)
            _finish(doc, file, rows, words, folder)
    return [Drawn.load(folder / f"{doc.name}.json") for doc in wanted]


def content(doc: Document) -> Mapping[str, Any]:
    """What stands in ``doc``; the same at every call."""
    stem = doc.template.split(".")[0]
    kind = stem.split("-")[0]
    if stem == "page-office":
        kind = "article"
    elif stem == "paper-one":
        kind = "letter"
    return CONTENTS[_CONTENT_OF.get(kind, kind)](seeded(doc.template, doc.seed))


def _look(doc: Document) -> dict[str, str]:
    rng = seeded("look", doc.template, doc.seed)
    fonts: tuple[str, ...] = SANS + SERIF
    if doc.template.startswith(("code", "receipt-thermal")):
        fonts = MONO
    elif doc.template.startswith(("letter-classic", "article", "menu-leaders")):
        fonts = SERIF
    accent, tint = rng.choice(_ACCENTS), rng.choice(_TINTS)
    return {"font": rng.choice(fonts), "accent": accent, "tint": tint}


def template_html(name: str, made: Mapping[str, Any], look: Mapping[str, str], size: int) -> str:
    """The HTML of the template ``name``; ``look`` has its font, accent and tint, ``size`` is the
    print's in CSS pixels.
    """
    import jinja2

    text = (_TEMPLATES / name).read_text("utf-8")
    style = f"*{{box-sizing:border-box}}body{{margin:0;font:{size}px '{look['font']}'}}"
    head = f'<!doctype html><meta charset="utf-8"><style>{style}</style>'
    return head + jinja2.Environment(autoescape=True).from_string(text).render(**made, **look)


def _source(doc: Document, desk: Path) -> Path:
    import jinja2

    text = (_TEMPLATES / doc.template).read_text("utf-8")
    look = _look(doc)
    path = desk / f"{doc.name}{Path(doc.template).suffix}"
    if path.suffix == ".tex":
        # TeX, not HTML: its own filter escapes.
        environment = jinja2.Environment("[%", "%]", "[[", "]]", autoescape=False)  # noqa: S701
        environment.filters["tex"] = lambda value: str(value).translate(_TEX)
        look["package"] = LATEX[doc.seed % len(LATEX)]
    else:
        environment = jinja2.Environment(autoescape=True)
    path.write_text(environment.from_string(text).render(**content(doc), **look), "utf-8")
    return path


def _draw_papers(papers: list[Document], folder: Path, desk: Path) -> None:
    sources = {doc: _source(doc, desk) for doc in papers}
    office = [path for path in sources.values() if path.suffix != ".tex"]
    if office:
        office_to_pdf(office, desk)
    for doc, source in sources.items():
        if source.suffix == ".tex":
            latex_to_pdf(source, desk)
        pdf = desk / f"{doc.name}.pdf"
        text, words = text_layer(pdf)
        if doc.kind == "pdf":
            file = Path(shutil.copy(pdf, folder))
            _finish(doc, file, text, words, folder)
            continue
        file = folder / f"{doc.name}.png"
        picture(pdf, 96 * doc.scale, trim=doc.kind == "table").save(file)
        _finish(doc, file, text, words, folder)


def _finish(doc: Document, file: Path, text: str, words: list[Word], folder: Path) -> None:
    """Wear the picture and write its truth; a document counts as drawn when that is there."""
    if doc.wear != "none":
        worn = {"scan": wear.scan, "photo": wear.photo}[doc.wear]
        with Image.open(file) as image:
            worn(image, doc.seed).save(file)
    made = content(doc)
    values = {name: str(made[name]) for name in _VALUES if name in made}
    values |= {name: str(value) for name, value in made.get("bars", ())}
    values |= {label: str(value) for label, value in made.get("pairs", ())}
    table = (tuple(made["heads"]), *map(tuple, made["rows"])) if "heads" in made else ()
    Drawn(doc.kind, doc.name, file, text, by_rows(words), values, table).save(folder)
