"""The pipe with an engine that is told what stands where."""

from __future__ import annotations

from collections.abc import Sequence

from dvl2_cli.engine.events import Confidence, Finished, FinishReason, LineConfidence, Usage
from dvl2_cli.tasks.reading.lines.pack import Canvas, Layout
from dvl2_cli.tasks.reading.lines.page import as_markdown
from dvl2_cli.tasks.reading.lines.reader import read_by_lines
from tests.tasks.reading.lines.drawing import Sheet


def finished(lines: Sequence[str], lowest: float = 0.9, reason: FinishReason = "stop") -> Finished:
    text = "\n".join(lines)
    sure = tuple(LineConfidence((1 + lowest) / 2, lowest) for _ in lines)
    usage = Usage(400, 390, len(text), 0.1, 0.1)
    return Finished(text, text, reason, usage, Confidence(0.9, lines=sure))


class Model:
    """Answers in turn; remembers how many lines it was shown."""

    def __init__(self, *answers: Finished) -> None:
        self._answers = list(answers)
        self.shown: list[int] = []

    def __call__(self, canvas: Canvas) -> Finished:
        self.shown.append(len(canvas.strips))
        return self._answers.pop(0)


def sheet_of(*texts: str) -> Sheet:
    sheet = Sheet((360, 60 * len(texts) + 40))
    for number, text in enumerate(texts):
        sheet.write((20, 20 + 26 * number), text)
    return sheet


def test_every_row_has_text_box_and_score() -> None:
    sheet = sheet_of("First line", "Second line")
    told: list[str] = []
    model = Model(finished(["First line", "Second line"]))
    read = read_by_lines(sheet.image, Layout(), model, told.append)
    assert read.text == "First line\nSecond line" == "".join(told)
    assert model.shown == [2]
    for row in read.rows:
        assert row.score == 0.95
        assert max(abs(a - b) for a, b in zip(row.box, sheet.boxes[row.text], strict=True)) <= 3


def test_a_doubtful_line_is_read_once_more() -> None:
    sheet = sheet_of("Total 138.52", "Thank you")
    first = finished(["Total 138.82", "Thank you"])
    doubted = Confidence(0.9, lines=(LineConfidence(0.8, 0.3), LineConfidence(0.99, 0.9)))
    first = Finished(first.text, first.raw, "stop", first.usage, doubted)
    model = Model(first, finished(["Total 138.52"]))
    read = read_by_lines(sheet.image, Layout(), model)
    assert read.text == "Total 138.52\nThank you"
    assert (model.shown, read.retries) == ([2, 1], 1)


def test_the_surer_reading_of_a_doubtful_line_stays() -> None:
    sheet = sheet_of("Total 138.52")
    model = Model(finished(["Total 138.52"], 0.4), finished(["Tolal 138.52"], 0.2))
    assert read_by_lines(sheet.image, Layout(), model).text == "Total 138.52"


def test_a_missing_line_is_found_by_the_widths_and_read_alone() -> None:
    sheet = sheet_of("A rather long line here", "No", "Another long line follows")
    model = Model(
        finished(["A rather long line here", "Another long line follows"]),
        finished(["A rather long line here"]),
        finished(["No"]),
        finished(["Another long line follows"]),
    )
    read = read_by_lines(sheet.image, Layout(height=36, pitch=54), model)
    assert read.text == "A rather long line here\nNo\nAnother long line follows"
    assert model.shown == [3, 1, 1, 1]


def test_an_empty_page_asks_nothing() -> None:
    model = Model()
    assert read_by_lines(Sheet().image, Layout(), model).text == ""
    assert model.shown == []


def test_a_cancelled_answer_is_the_last() -> None:
    sheet = sheet_of(*[f"Line number {n}" for n in range(9)])
    model = Model(finished(["Line number 0"], reason="cancelled"))
    read = read_by_lines(sheet.image, Layout(height=40, pitch=64), model)
    assert model.shown == [6]
    assert read.rows[0].text == "Line number 0"


def test_rows_of_cells_become_a_table() -> None:
    sheet = Sheet()
    rows = [("Item", "Price"), ("Steel bolt", "4.50"), ("Nut", "0.12")]
    sheet.write((20, 10), "Prices", 30)
    for number, (name, price) in enumerate(rows):
        sheet.write((20, 80 + 30 * number), name)
        sheet.write((300, 80 + 30 * number), price)
    model = Model(finished(["Prices", *(" ".join(row) for row in rows)]))
    read = read_by_lines(sheet.image, Layout(), model)
    assert read.text == "Prices\n\nItem Price\nSteel bolt 4.50\nNut 0.12"
    assert as_markdown(read.rows) == (
        "## Prices\n\n| Item | Price |\n| --- | --- |\n| Steel bolt | 4.50 |\n| Nut | 0.12 |"
    )


def test_a_capital_i_before_an_account_number_is_no_one() -> None:
    sheet = sheet_of("IBAN GB33 BUKB")
    model = Model(finished(["1BAN GB33 BUKB"]))
    assert read_by_lines(sheet.image, Layout(height=36, pitch=54), model).text == "IBAN GB33 BUKB"
