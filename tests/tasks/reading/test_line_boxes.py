from __future__ import annotations

import sys
import types

import pytest
from PIL import Image

from dvl2_cli.errors import UsageError
from dvl2_cli.tasks.reading.line_boxes import line_blocks, located_by_model, located_by_rapidocr


def test_the_model_is_asked_for_every_line() -> None:
    asked: list[str] = []

    def locate(phrase: str) -> str:
        asked.append(phrase)
        return "<|ref|>x<|/ref|><|det|>[[0, 0, 999, 500]]<|/det|>" if "one" in phrase else "no"

    blocks = located_by_model(line_blocks("one\n\n two \n"), (200, 100), locate)
    assert asked == ["one", "two"]
    assert [(b.box, b.box_source) for b in blocks] == [((0, 0, 200, 50.05), "model"), (None, None)]


def test_rapidocr_lines_are_matched_by_their_text(monkeypatch: pytest.MonkeyPatch) -> None:
    class Result:
        boxes = (((5, 5), (90, 5), (90, 20), (5, 20)), ((5, 30), (90, 30), (90, 45), (5, 45)))
        txts = ("Tota1 41.20", "unread line of something else")
        scores = (0.98, 0.5)

    module = types.ModuleType("rapidocr")
    module.RapidOCR = lambda: lambda image: Result()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rapidocr", module)
    blocks, warnings = located_by_rapidocr(
        line_blocks("Invoice\nTotal 41.20"), Image.new("RGB", (100, 50))
    )
    assert [(b.text, b.box, b.score) for b in blocks] == [
        ("Invoice", None, None),
        ("Total 41.20", (5, 5, 90, 20), 0.98),
    ]
    assert warnings == ["RapidOCR sees 1 lines that the model did not read"]


def test_a_missing_rapidocr_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(UsageError) as caught:
        located_by_rapidocr(line_blocks("x"), Image.new("RGB", (10, 10)))
    assert "pip install rapidocr" in str(caught.value.hint)
