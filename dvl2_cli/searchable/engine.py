"""dvl2 as an engine of OCRmyPDF: pages as pictures in, lines with their places out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrmypdf.exceptions import ExitCodeException
from ocrmypdf.pluginspec import OcrEngine, OrientationConfidence
from PIL import Image

from dvl2_cli import __version__
from dvl2_cli.errors import Dvl2Error
from dvl2_cli.results.ocr import OcrResult
from dvl2_cli.searchable.elements import page_element

if TYPE_CHECKING:
    from dvl2_cli.api import Model

# A page as a picture, and its number from 0, to what was read of it; None where nothing was.
ReadPage = Callable[[Path, int], OcrResult | None]


class _Reader:
    """Reads pages with one model, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: Model | None = None

    def __call__(self, picture: Path, page: int) -> OcrResult:
        from dvl2_cli.api import Model

        with self._lock:
            if self._model is None:
                self._model = Model()
            lines = self._model.info.policy.reads == "lines"
            try:
                return self._model.ocr(picture, boxes="none" if lines else "rapidocr")
            except Dvl2Error as error:
                hint = f" {error.hint}" if error.hint else ""
                raise ExitCodeException(f"dvl2: {error.message}.{hint}") from error


# What answers, and what it is called in the PDF; `dvl2 ocr -f pdf` puts in what it has read.
read_page: ReadPage = _Reader()
creator = f"dvl2 {__version__}"


class Dvl2Engine(OcrEngine):
    """The engine that OCRmyPDF asks for each page."""

    @staticmethod
    def version() -> str:
        """The version of dvl2."""
        return __version__

    @staticmethod
    def creator_tag(options: Any) -> str:
        """What the PDF says of its maker."""
        return creator

    def __str__(self) -> str:
        """The engine's name and version."""
        return creator

    @staticmethod
    def languages(options: Any) -> set[str]:
        """Any that is asked for: the model reads what it was trained on, without a choice."""
        return set(getattr(options, "languages", None) or ["eng"])

    @staticmethod
    def get_orientation(input_file: Path, options: Any) -> OrientationConfidence:
        """Not found out: the page is read as it stands."""
        return OrientationConfidence(angle=0, confidence=0.0)

    @staticmethod
    def supports_generate_ocr() -> bool:
        """Lines are given as objects, not by way of hOCR."""
        return True

    @staticmethod
    def generate_ocr(input_file: Path, options: Any, page_number: int = 0) -> tuple[Any, str]:
        """The lines of a page, and its text."""
        with Image.open(input_file) as picture:
            size, dpi = picture.size, picture.info.get("dpi", (72, 72))
        result = read_page(Path(input_file), page_number)
        element = page_element(result, size, float(dpi[0]), page_number)
        return element, "" if result is None else result.text

    @staticmethod
    def generate_hocr(input_file: Path, output_hocr: Path, output_text: Path, options: Any) -> None:
        """Never asked for, because lines are given as objects.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("dvl2 gives OCRmyPDF objects")

    @staticmethod
    def generate_pdf(input_file: Path, output_pdf: Path, output_text: Path, options: Any) -> None:
        """Never asked for; see ``generate_hocr``.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("dvl2 gives OCRmyPDF objects; use --pdf-renderer fpdf2")
