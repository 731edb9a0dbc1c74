"""dvl2 as an engine of OCRmyPDF: ``ocrmypdf --plugin dvl2_cli.ocrmypdf_plugin in.pdf out.pdf``.

The model is the one of dvl2's settings (``DVL2_MODEL``, ``dvl2 config``). Lines get the boxes
that nano's reader finds them in, or for models that read whole pages those of RapidOCR.
"""

from __future__ import annotations

from typing import Any

from ocrmypdf import hookimpl
from ocrmypdf.pluginspec import OcrEngine

from dvl2_cli.searchable.engine import Dvl2Engine


@hookimpl
def check_options(options: Any) -> None:
    """One model in this process: pages come one after the other."""
    options.jobs = 1
    options.use_threads = True


@hookimpl
def get_ocr_engine(options: Any) -> OcrEngine | None:
    """dvl2, unless another engine is asked for by name."""
    if options is not None and getattr(options, "ocr_engine", "auto") not in ("auto", "dvl2"):
        return None
    return Dvl2Engine()
