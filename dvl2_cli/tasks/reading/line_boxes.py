"""Boxes for lines of text, from the model or from RapidOCR; never made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rapidfuzz.fuzz import ratio

from dvl2_cli.errors import UsageError
from dvl2_cli.results.envelope import Box
from dvl2_cli.results.ocr import Block
from dvl2_cli.tasks.grounding.coordinates import to_pixels
from dvl2_cli.tasks.grounding.parse import parse_grounding

if TYPE_CHECKING:
    from PIL.Image import Image

_SAME_LINE = 60.0
_LONGEST_PHRASE = 120


def line_blocks(text: str) -> list[Block]:
    """A block for every line that says something."""
    return [Block("line", line.strip()) for line in text.splitlines() if line.strip()]


def located_by_model(
    blocks: Sequence[Block], size: tuple[int, int], locate: Callable[[str], str]
) -> list[Block]:
    """``blocks`` with the boxes that the model gives when asked for each line.

    Args:
        blocks: lines without boxes.
        size: of the page, in pixels.
        locate: the model's raw answer to "where is this phrase".
    """
    located = []
    for block in blocks:
        regions = parse_grounding(locate(block.text[:_LONGEST_PHRASE])).regions
        if regions:
            box = to_pixels(regions[0].box, *size)
            located.append(Block(block.type, block.text, box, "model"))
        else:
            located.append(block)
    return located


def located_by_rapidocr(blocks: Sequence[Block], page: Image) -> tuple[list[Block], list[str]]:
    """``blocks`` with the boxes of RapidOCR's lines that read alike, and warnings.

    Raises:
        UsageError: RapidOCR is not installed.
    """
    found = _rapidocr_lines(page)
    taken: set[int] = set()
    located = []
    for block in blocks:
        index = _best_match(block.text, found, taken)
        if index is None:
            located.append(block)
            continue
        taken.add(index)
        box, _, score = found[index]
        located.append(Block(block.type, block.text, box, "rapidocr", score))
    missed = len(found) - len(taken)
    warnings = [f"RapidOCR sees {missed} lines that the model did not read"] if missed else []
    return located, warnings


def _best_match(text: str, found: Sequence[tuple[Box, str, float]], taken: set[int]) -> int | None:
    scores = [
        (ratio(text, line), -index)
        for index, (_, line, _) in enumerate(found)
        if index not in taken
    ]
    best = max(scores, default=(0.0, 0))
    return -best[1] if best[0] >= _SAME_LINE else None


def _rapidocr_lines(page: Image) -> list[tuple[Box, str, float]]:
    """(box, text, score 0..1) of each line, top to bottom."""
    # Arrays are taken as OpenCV's: blue first.
    result = _rapidocr()(np.asarray(page.convert("RGB"))[:, :, ::-1])
    if result.boxes is None:
        return []
    lines = []
    for corners, text, score in zip(result.boxes, result.txts, result.scores, strict=True):
        xs, ys = [float(x) for x, _ in corners], [float(y) for _, y in corners]
        box = (round(min(xs), 2), round(min(ys), 2), round(max(xs), 2), round(max(ys), 2))
        lines.append((box, str(text), round(float(score), 4)))
    return lines


def _rapidocr() -> Any:
    try:
        from rapidocr import RapidOCR
    except ImportError as error:  # called from Python: the command has looked before
        raise UsageError(
            "--boxes rapidocr needs RapidOCR", "Install it: pip install rapidocr onnxruntime"
        ) from error
    return RapidOCR()
