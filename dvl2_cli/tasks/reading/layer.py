"""A page that its text layer answers, without a model."""

from __future__ import annotations

from typing import Literal

from dvl2_cli.errors import InputError
from dvl2_cli.inputs.page_name import page_name
from dvl2_cli.inputs.picture import Picture
from dvl2_cli.results.envelope import Source, UsageTotals
from dvl2_cli.results.ocr import OcrResult, Quality
from dvl2_cli.tasks.reading.layer_text import LayerText
from dvl2_cli.tasks.reading.layer_verdict import LayerVerdict
from dvl2_cli.tasks.reading.markdown import tables_of
from dvl2_cli.tasks.reading.page import PageText

LayerUse = Literal["auto", "ignore", "only"]


def page_of(verdict: LayerVerdict) -> PageText | None:
    """The page as its layer has it; None where the layer is not to be used."""
    if verdict.layer is None:
        return None
    found = LayerText(verdict.layer)
    return PageText(
        text=found.text,
        raw="",
        finish_reason="stop",
        usage=UsageTotals(),
        quality=Quality(),
        markdown=found.markdown,
        blocks=found.blocks,
        warnings=verdict.warnings,
    )


def layer_result(picture: Picture, page: PageText) -> OcrResult:
    """The result of a page for which no model was asked."""
    markdown = page.markdown or ""
    return OcrResult(
        warnings=(*picture.notes, *(page.warnings or ())),
        source=Source.of(picture),
        text=page.text,
        text_source="layer",
        markdown=markdown,
        tables=tables_of(markdown),
        blocks=page.blocks or (),
    )


def without_layer(picture: Picture, verdict: LayerVerdict) -> OcrResult:
    """The result where only layers are asked for and ``picture`` has none to use.

    A page with nothing on it has no text, and that is its text.

    Raises:
        InputError: the page shows something.
    """
    name = page_name(picture.path, picture.page)
    if verdict.reason is not None:
        raise InputError(
            f"the text layer of {name} is not used: {verdict.reason}",
            "--text-layer auto reads such pages from their pixels.",
        )
    extremes = picture.image.convert("L").getextrema()
    if picture.text_layer is not None and extremes[0] == extremes[1]:
        return OcrResult(source=Source.of(picture), text_source="layer")
    raise InputError(
        f"{name} has no text layer", "--text-layer auto reads such pages from their pixels."
    )
