"""ALTO 4.2: lines with the boxes that something really gave them."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from dvl2_cli import __version__
from dvl2_cli.results.ocr import Block, OcrResult
from dvl2_cli.writers.voc import xml_text

# Each line refers to the tag of what located it.
_SOURCES = "".join(
    f'<OtherTag ID="source_{name}" TYPE="box_source" LABEL="{name}"/>\n'
    for name in ("lines", "layer", "model", "rapidocr")
)


class AltoWriter:
    """One document; a tag of each line names what located it."""

    suffix = ".alto.xml"
    needs_boxes = True

    def head(self, title: str) -> str:
        """Description and the start of the layout."""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#">\n<Description>\n'
            "<MeasurementUnit>pixel</MeasurementUnit>\n<sourceImageInformation>"
            f"<fileName>{_text(title)}</fileName></sourceImageInformation>\n"
            '<OCRProcessing ID="OCR_1"><ocrProcessingStep><processingSoftware>'
            f"<softwareName>dvl2</softwareName><softwareVersion>{__version__}</softwareVersion>"
            f"</processingSoftware></ocrProcessingStep></OCRProcessing>\n</Description>\n<Tags>\n{_SOURCES}</Tags>\n<Layout>\n"
        )

    def page(self, result: OcrResult, index: int) -> str:
        """The page and its located lines."""
        source = result.source
        width, height = (source.width or 0, source.height or 0) if source else (0, 0)
        number = index + 1
        lines = [block for block in result.blocks if block.box is not None]
        body = "".join(_line(block, number, place) for place, block in enumerate(lines, 1))
        frame = f'HPOS="0" VPOS="0" WIDTH="{width}" HEIGHT="{height}"'
        block = f'<TextBlock ID="block_{number}" {frame}>\n{body}</TextBlock>\n' if body else ""
        return (
            f'<Page ID="page_{number}" PHYSICAL_IMG_NR="{number}" '
            f'WIDTH="{width}" HEIGHT="{height}">\n<PrintSpace {frame}>\n'
            f"{block}</PrintSpace>\n</Page>\n"
        )

    def foot(self) -> str:
        """The end of the layout."""
        return "</Layout>\n</alto>\n"


def _line(block: Block, page: int, place: int) -> str:
    assert block.box is not None  # noqa: S101  the caller left these out
    x1, y1, x2, y2 = block.box
    frame = f'HPOS="{x1:g}" VPOS="{y1:g}" WIDTH="{x2 - x1:g}" HEIGHT="{y2 - y1:g}"'
    confidence = "" if block.score is None else f' WC="{block.score:.2f}"'
    name = f"line_{page}_{place}"
    return (
        f'<TextLine ID="{name}" {frame}><String ID="{name}_1" {frame} '
        f"CONTENT={quoteattr(xml_text(block.text))}{confidence} "
        f'TAGREFS="source_{block.box_source}"/></TextLine>\n'
    )


def _text(text: str) -> str:
    return xml_text(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
