"""Formats of ``dvl2 ocr`` that are written page by page, so that memory stays flat."""

from __future__ import annotations

import html
from typing import Any, Protocol

from dvl2_cli.results.lines import json_line
from dvl2_cli.results.ocr import OcrResult
from dvl2_cli.tasks.reading.markdown import even_tables, to_html
from dvl2_cli.writers.alto import AltoWriter
from dvl2_cli.writers.hocr import HocrWriter
from dvl2_cli.writers.plugins import PluginPages, find_writer
from dvl2_cli.writers.tables import BlocksTsvWriter, TablesCsvWriter


class PageWriter(Protocol):
    """A document: its head, its pages in order, its foot."""

    suffix: str
    needs_boxes: bool

    def head(self, title: str) -> str:
        """What comes before the first page of the document called ``title``."""

    def page(self, result: OcrResult, index: int) -> str:
        """Page ``index``, counted from 0 within the document."""

    def foot(self) -> str:
        """What comes after the last page."""


class TextWriter:
    """Plain text; a form feed between pages, as pdftotext and tesseract write."""

    suffix = ".txt"
    needs_boxes = False

    def head(self, title: str) -> str:
        """Nothing."""
        return ""

    def page(self, result: OcrResult, index: int) -> str:
        """The text and the fields asked for, after a form feed if it is not the first page."""
        found = (result.fields or {}).items()
        fields = "".join(f"{name}: {_shown(value)}\n" for name, value in found)
        text = result.text.rstrip("\n") + "\n"
        return ("\f" if index else "") + text + (f"\n{fields}" if fields else "")

    def foot(self) -> str:
        """Nothing."""
        return ""


def _shown(value: Any) -> str:
    """The value of a field; nothing where the page has none."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json_line(value)


class MarkdownWriter(TextWriter):
    """Markdown; a rule between pages."""

    suffix = ".md"

    def page(self, result: OcrResult, index: int) -> str:
        """The page's Markdown."""
        return ("\n---\n\n" if index else "") + even_tables(result.markdown).rstrip("\n") + "\n"


class HtmlWriter(TextWriter):
    """One HTML file that needs nothing else; a section for each page."""

    suffix = ".html"

    def head(self, title: str) -> str:
        """Up to the body."""
        return (
            '<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n'
            f"<title>{html.escape(title)}</title>\n"
            "<style>table{border-collapse:collapse}td,th{border:1px solid;padding:.2em .5em}"
            "</style>\n</head>\n<body>\n"
        )

    def page(self, result: OcrResult, index: int) -> str:
        """The page as a section."""
        number = result.source.page if result.source and result.source.page else index + 1
        return f'<section id="page-{number}">\n{to_html(result.markdown)}</section>\n'

    def foot(self) -> str:
        """The end of the body."""
        return "</body>\n</html>\n"


class JsonWriter(TextWriter):
    """One line of JSON for each page, failures included."""

    suffix = ".ndjson"

    def page(self, result: OcrResult, index: int) -> str:
        """The result's line."""
        return json_line(result.as_json()) + "\n"


class JsonArrayWriter(JsonWriter):
    """One JSON document: a list with an object for each page."""

    suffix = ".json"

    def head(self, title: str) -> str:
        """The list's beginning."""
        return "["

    def page(self, result: OcrResult, index: int) -> str:
        """The result, after a comma if it is not the first."""
        return (",\n" if index else "\n") + json_line(result.as_json())

    def foot(self) -> str:
        """The list's end."""
        return "\n]\n"


# What the suffix of a file means. A .json file is one document, and an .ndjson file has lines.
SUFFIXES = {
    ".txt": "text", ".md": "md", ".markdown": "md", ".json": "json", ".ndjson": "json",
    ".jsonl": "json", ".html": "html", ".htm": "html", ".tsv": "tsv", ".csv": "csv",
    ".hocr": "hocr", ".xml": "alto", ".pdf": "pdf",
}  # fmt: skip
FORMATS: dict[str, type[PageWriter]] = {
    "text": TextWriter,
    "md": MarkdownWriter,
    "json": JsonWriter,
    "html": HtmlWriter,
    "tsv": BlocksTsvWriter,
    "csv": TablesCsvWriter,
    "hocr": HocrWriter,
    "alto": AltoWriter,
}


def page_writer(name: str) -> PageWriter:
    """A fresh writer of the format called ``name``, from here or from a plugin.

    Raises:
        UsageError: no such format.
        OutputError: the plugin does not load.
    """
    if name not in FORMATS:
        return PluginPages(find_writer("ocr", name, list(FORMATS)))
    return FORMATS[name]()
