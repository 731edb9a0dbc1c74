"""tesseract and rapidocr on the same pages."""

from __future__ import annotations

import functools
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nano_lab.foreign.drawing.document import Word, by_rows

_TIMEOUT_S = 300


def tesseract(picture: Path) -> tuple[str, float]:
    """The text that tesseract's English model reads, and its CPU seconds."""
    before = _children_seconds()
    command = ["tesseract", str(picture), "-", "-l", "eng"]
    done = subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S)  # noqa: S603
    return done.stdout.decode(), _children_seconds() - before


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@functools.cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR()


def rapidocr(picture: Path) -> tuple[str, float]:
    """The lines that rapidocr's default models read, row by row, and their CPU seconds."""
    engine = _engine()
    start = time.process_time()
    found = engine(str(picture))
    seconds = time.process_time() - start
    if found.boxes is None:
        return "", seconds
    words = [
        Word(text, (*box.min(0).tolist(), *box.max(0).tolist()))
        for text, box in zip(found.txts, found.boxes, strict=True)
    ]
    return by_rows(words), seconds


PEERS: dict[str, Callable[[Path], tuple[str, float]]] = {
    "tesseract": tesseract,
    "rapidocr": rapidocr,
}
