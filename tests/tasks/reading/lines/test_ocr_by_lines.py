"""``ocr`` with a model whose policy is to read by lines."""

from __future__ import annotations

import dataclasses

from dvl2_cli.engine.request import Request, RequestDefaults
from dvl2_cli.inputs.picture import Picture
from dvl2_cli.store.policy import Policy
from dvl2_cli.tasks.context import TaskContext
from dvl2_cli.tasks.ocr import OcrOptions, ocr, page_requests
from dvl2_cli.writers.pages import page_writer
from tests.fakes import Answer, FakeEngine
from tests.tasks.reading.lines.drawing import Sheet

BY_LINES = Policy(reads="lines", print_height=26.0)


def engine_of(answer: Answer) -> FakeEngine:
    engine = FakeEngine(answer)
    engine.info = dataclasses.replace(engine.info, policy=BY_LINES)
    return engine


def picture_of(sheet: Sheet) -> Picture:
    return Picture(sheet.image, "page.png", "0" * 64)


def two_lines() -> Sheet:
    sheet = Sheet()
    sheet.write((40, 40), "First line")
    sheet.write((40, 70), "Second line")
    return sheet


def test_requests_show_lines_and_say_how_many() -> None:
    engine = engine_of("First line\nSecond line")
    told: list[str] = []
    result = ocr(TaskContext(engine), picture_of(two_lines()), on_text=told.append)
    (request,) = engine.requests
    assert (request.max_lines, request.zoom, request.tiles) == (2, 1.0, 1)
    assert request.messages[0].images[0].size == (384, 384)
    assert result.text == "First line\nSecond line" == "".join(told)
    assert [block.box_source for block in result.blocks] == ["lines", "lines"]


def test_lines_have_boxes_in_hocr_and_alto() -> None:
    sheet = two_lines()
    result = ocr(TaskContext(engine_of("First line\nSecond line")), picture_of(sheet))
    left, top, _, _ = (int(edge) for edge in result.blocks[0].box or ())
    assert abs(left - sheet.boxes["First line"][0]) <= 3
    assert f"bbox {left} {top}" in page_writer("hocr").page(result, 0)
    assert "First line" in page_writer("alto").page(result, 0)


def test_an_empty_page_is_empty_and_costs_nothing() -> None:
    engine = engine_of("0")
    result = ocr(TaskContext(engine), picture_of(Sheet()))
    assert (result.status, result.text, result.blocks) == ("ok", "", ())
    assert engine.requests == []


def test_a_plan_shows_what_is_asked_at_first() -> None:
    sheet = Sheet((640, 900))
    for number in range(20):
        sheet.write((40, 30 + 40 * number), f"Line {number}")
    planned = list(page_requests(RequestDefaults(), BY_LINES, sheet.image, OcrOptions()))
    assert [part for part, _ in planned] == [f"lines {n} of 3" for n in (1, 2, 3)]

    def answer(request: Request) -> str:
        return "\n".join(f"Line {number}" for number in range(request.max_lines or 0))

    engine = engine_of(answer)
    ocr(TaskContext(engine), picture_of(sheet))
    assert [request.max_lines for request in engine.requests] == [7, 7, 6]
    assert [request.max_lines for _, request in planned] == [7, 7, 6]


def test_a_chosen_zoom_shows_the_page_whole() -> None:
    engine = engine_of("First line\nSecond line")
    context = TaskContext(engine, RequestDefaults(zoom=1.0))
    ocr(context, picture_of(two_lines()))
    assert engine.requests[0].messages[0].images[0].size == (640, 480)
    assert engine.requests[0].max_lines is None
