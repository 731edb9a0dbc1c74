"""Pages that were read, as OCRmyPDF takes them."""

from __future__ import annotations

from typing import Any

from dvl2_cli.results.ocr import OcrResult


def located_lines(result: OcrResult) -> int:
    """How many lines of a page have a place."""
    return sum(block.box is not None for block in result.blocks)


def page_element(result: OcrResult | None, size: tuple[int, int], dpi: float, page: int) -> Any:
    """An ``OcrElement`` of a page's lines, each in the box that something really gave it.

    A line is one piece: the places of its words are known to nobody, and none are made up. Pages
    that have text of their own, and pages that were not read, get no lines.

    Args:
        result: of the page; None where it was not read.
        size: width and height of the picture that OCRmyPDF made of the page, in pixels.
        dpi: of that picture.
        page: from 0.
    """
    from ocrmypdf.hocrtransform import BoundingBox, OcrClass, OcrElement

    width, height = size
    lines = []
    if result is not None and result.source is not None and result.text_source == "pixels":
        across = width / (result.source.width or width)
        down = height / (result.source.height or height)
        for block in result.blocks:
            text = " ".join(block.text.split())
            if block.box is None or not text:
                continue
            left, top, right, bottom = block.box
            box = BoundingBox(
                max(0.0, left * across),
                max(0.0, top * down),
                min(float(width), right * across),
                min(float(height), bottom * down),
            )
            word = OcrElement(OcrClass.WORD, bbox=box, text=text, confidence=block.score)
            lines.append(OcrElement(OcrClass.LINE, bbox=box, children=[word]))
    return OcrElement(
        OcrClass.PAGE,
        bbox=BoundingBox(0, 0, width, height),
        dpi=dpi,
        page_number=page,
        children=lines,
    )
