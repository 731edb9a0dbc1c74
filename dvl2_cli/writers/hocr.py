"""hOCR 1.2: lines with the boxes that something really gave them, or else the page's."""

from __future__ import annotations

import html

from dvl2_cli import __version__
from dvl2_cli.results.envelope import Box
from dvl2_cli.results.ocr import Block, OcrResult
from dvl2_cli.writers.voc import xml_text


class HocrWriter:
    """One document; ``x_source`` of a line names what located it: "page" where nothing did."""

    suffix = ".hocr"
    needs_boxes = True

    def head(self, title: str) -> str:
        """Up to the body."""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" '
            '"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
            '<html xmlns="http://www.w3.org/1999/xhtml">\n<head>\n'
            f"<title>{_escaped(title)}</title>\n"
            '<meta http-equiv="content-type" content="text/html; charset=utf-8" />\n'
            f'<meta name="ocr-system" content="dvl2 {__version__}" />\n'
            '<meta name="ocr-capabilities" content="ocr_page ocr_line" />\n</head>\n<body>\n'
        )

    def page(self, result: OcrResult, index: int) -> str:
        """The page and its lines; one without a box of its own has the page's, as it says."""
        source = result.source
        number = index + 1
        path = source.path if source else ""
        width, height = (source.width or 0, source.height or 0) if source else (0, 0)
        title = f'image "{path}"; bbox 0 0 {width} {height}; ppageno {index}'
        page = (0.0, 0.0, float(width), float(height))
        body = "".join(
            _line(block, page, f"line_{number}_{place}")
            for place, block in enumerate(result.blocks, 1)
        )
        return (
            f'<div class="ocr_page" id="page_{number}" title="{_escaped(title)}">\n{body}</div>\n'
        )

    def foot(self) -> str:
        """The end of the body."""
        return "</body>\n</html>\n"


def _line(block: Block, page: Box, name: str) -> str:
    x1, y1, x2, y2 = (round(value) for value in block.box or page)
    title = f"bbox {x1} {y1} {x2} {y2}; x_source {block.box_source if block.box else 'page'}"
    if block.score is not None:
        title += f"; x_wconf {round(block.score * 100)}"
    return (
        f'<span class="ocr_line" id="{name}" title="{_escaped(title)}">'
        f"{_escaped(block.text)}</span>\n"
    )


def _escaped(text: str) -> str:
    return html.escape(xml_text(text))
