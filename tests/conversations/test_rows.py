"""Conversations from JSON Lines: boxes in pixels, and every bad line named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dvl2_cli.conversations.boxes import box_from_pixels
from dvl2_cli.conversations.rows import ConversationRow, RowProblem, read_rows
from dvl2_cli.tasks.grounding.coordinates import to_pixels

EXAMPLE = Path(__file__).parents[2] / "examples" / "pictures" / "data.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (200, 100), "red").save(tmp_path / "a.png")
    turned = Image.new("RGB", (200, 100), "blue")
    exif = turned.getexif()
    exif[0x0112] = 6  # shown turned by a quarter: 100 wide and 200 high
    turned.save(tmp_path / "turned.jpg", exif=exif)
    (tmp_path / "torn.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    return tmp_path


def _read(
    folder: Path, *rows: Any, decode: bool = True
) -> tuple[list[ConversationRow], list[RowProblem]]:
    path = folder / "data.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return read_rows(path, decode=decode)


def _chat(question: str, answer: Any, *images: str, **more: Any) -> dict[str, Any]:
    reply = {"role": "assistant", "content": answer} if isinstance(answer, str) else answer
    return {
        "images": list(images),
        "messages": [{"role": "user", "content": question}, reply],
        **more,
    }


def _answer(rows: list[ConversationRow]) -> str:
    return rows[0].messages[1][1]


def test_boxes_in_pixels_become_tags(folder: Path) -> None:
    tagged = "<|ref|>it<|/ref|><|det|>[[20, 10, 100, 50.5], [0, 0, 200, 100]]<|/det|>"
    rows, problems = _read(folder, _chat("<image>\nWhere?", tagged, "a.png", boxes="pixels"))
    assert not problems
    assert _answer(rows) == (
        "<|ref|>it<|/ref|><|det|>[[100, 100, 500, 504], [0, 0, 999, 999]]<|/det|>"
    )


def test_pixels_are_of_the_upright_picture(folder: Path) -> None:
    reply = {"role": "assistant", "objects": [{"label": "top", "box": [0, 0, 100, 20]}]}
    rows, problems = _read(folder, _chat("<image>\nWhere?", reply, "turned.jpg"))
    assert not problems
    assert rows[0].sizes == ((100, 200),)
    assert _answer(rows) == "<|ref|>top<|/ref|><|det|>[[0, 0, 999, 100]]<|/det|>"


def test_objects_are_grouped_by_label_and_lie_in_the_last_picture(folder: Path) -> None:
    reply = {
        "role": "assistant",
        "content": "Found: ",
        "objects": [
            {"label": "dog", "box": [0, 0, 50, 100]},
            {"label": "cat", "box": [0, 0, 200, 50], "image": 1},
            {"label": "dog", "box": [50, 0, 100, 200]},
        ],
    }
    rows, problems = _read(
        folder, _chat("<image>\n<image>\nBoth?", reply, "a.png", "turned.jpg"), decode=False
    )
    assert not problems
    assert _answer(rows) == (
        "Found: <|ref|>dog<|/ref|><|det|>[[0, 0, 500, 500], [500, 0, 999, 999]]<|/det|>"
        "<|ref|>cat<|/ref|><|det|>[[0, 0, 999, 500]]<|/det|>"
    )


_SPANS = st.tuples(st.floats(0, 0.9), st.floats(0.01, 0.1))


@given(st.integers(2, 5000), st.integers(2, 5000), _SPANS, _SPANS)
def test_pixels_come_back(
    width: int, height: int, across: tuple[float, float], down: tuple[float, float]
) -> None:
    x, y = across[0] * width, down[0] * height
    box = [x, y, x + across[1] * width, y + down[1] * height]
    found = box_from_pixels(box, (width, height))
    back = to_pixels(found, width, height)
    steps = [size / 999 * 0.5 + 0.01 for size in (width, height, width, height)]
    assert all(abs(a - b) <= step for a, b, step in zip(box, back, steps, strict=True))


def test_a_line_separator_inside_a_text_ends_no_line(folder: Path) -> None:
    row = json.dumps(_chat("Q", "one\u2028two"), ensure_ascii=False)
    rows, problems = _read(folder, "\ufeff" + row + "\r")
    assert not problems
    assert _answer(rows) == "one\u2028two"


def test_the_example_data_is_sound() -> None:
    rows, problems = read_rows(EXAMPLE, decode=True)
    assert rows
    assert not problems
    assert all(len(row.sizes) == len(row.images) for row in rows)


_PIXELS = {"boxes": "pixels"}


def _boxed(label: str) -> dict[str, Any]:
    found = {"label": label, "box": [0, 0, 90, 90]}
    return _chat("<image>\nQ", {"role": "assistant", "objects": [found]}, "a.png")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (_chat("<image>\nQ", "A", "torn.png"), "torn.png"),
        (_chat("<image>\nQ", "<|det|>[[0, 0, 900, 50]]<|/det|>", "a.png", **_PIXELS), "200 x 100"),
        (_chat("<image>\nQ", "<|det|>[[9, 9, 5, 50]]<|/det|>", "a.png", **_PIXELS), "no area"),
        (_chat("<image>\nQ", "<|det|>[1, 2, 3, 4]<|/det|>", "a.png", **_PIXELS), "not [x1, y1"),
        (_chat("<image>\nQ", "<|det|>here<|/det|>", "a.png", **_PIXELS), "not a list of boxes"),
        (_chat("<image>\nQ", "A", "a.png", boxes="cm"), "'cm'"),
        (
            _chat("<image>\nQ", "<|ref|>x<|/ref|><|det|>[[1, 2, 3]]<|/det|>", "a.png"),
            "expected 4 numbers",
        ),
        (_chat("<image>\nQ", {"role": "assistant", "objects": []}, "a.png"), '"objects"'),
        (
            _chat("<image>\nQ", {"role": "assistant", "objects": [{"box": [0, 0, 1, 1]}]}, "a.png"),
            '"label"',
        ),
        (
            _chat("Q", {"role": "assistant", "objects": [{"label": "x", "box": [0, 0, 1, 1]}]}),
            "in no picture",
        ),
        (_boxed("half \ud83d"), "a label is not UTF-8 text"),
        (_boxed("the <|/ref|> tag"), "spells a tag"),
        (_chat("Q", " "), "empty"),
        (_chat("Q", "<image>"), "stands in an answer"),
        (_chat("Q \ud83d", "A"), "user message is not UTF-8 text"),
        ({"messages": [{"role": "user", "content": "Q"}] * 2}, "no assistant"),
        ({"messages": [*_chat("Q", "A")["messages"], {"role": "user", "content": "Q"}]}, "last"),
        ({"messages": [{"role": "assistant", "content": "A"}]}, "should be by user"),
    ],
)
def test_bad_lines_are_named_and_good_ones_kept(folder: Path, row: Any, reason: str) -> None:
    good = _chat("<image>\nQ", "A", "a.png")
    rows, problems = _read(folder, good, row, "", "{", good)
    assert [found.line for found in rows] == [1, 5]
    assert [problem.line for problem in problems] == [2, 4]
    assert reason in problems[0].text


def test_numbers_longer_than_python_reads_are_a_problem_of_their_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": ' + "1" * 5000 + "}\n[2]\n", encoding="utf-8")
    rows, problems = read_rows(path)
    assert rows == []
    assert [(problem.line, problem.text[:8]) for problem in problems] == [
        (1, "not JSON"),
        (2, "not a JS"),
    ]
    path.write_text("[" + "1" * 5000 + "]", encoding="utf-8")
    assert [problem.text[:8] for problem in read_rows(path)[1]] == ["not JSON"]


@pytest.mark.parametrize(
    "name", ["a\0b.png", "half \ud83d.png", "x" * 300 + ".png", "/dev/zero", ""]
)
def test_odd_names_of_pictures_are_a_problem_of_their_line(folder: Path, name: str) -> None:
    rows, problems = _read(folder, _chat("<image>\nQ", "A", name))
    assert rows == []
    (problem,) = problems
    assert problem.text.startswith("there is no file")


def test_a_json_array_is_read_as_lines_are(folder: Path) -> None:
    good = _chat("<image>\nWhat?", "A square.", "a.png")
    path = folder / "data.json"
    path.write_text(json.dumps([good, {"images": 3}, good], indent=1), "utf-8")
    rows, problems = read_rows(path)
    assert [row.images for row in rows] == [(folder / "a.png",)] * 2
    ((line, text),) = [(problem.line, problem.text) for problem in problems]
    assert path.read_text("utf-8").split("\n")[line] == '  "images": 3'  # the line after "{"
    assert "images" in text


@pytest.mark.parametrize("text", ["[1, 2", "[{} {}]", "[{},,]", "[", "[{]"])
def test_a_broken_array_is_a_problem(folder: Path, text: str) -> None:
    path = folder / "data.json"
    path.write_text(text, "utf-8")
    rows, problems = read_rows(path)
    assert not rows
    assert problems


def test_an_empty_array_has_no_rows(folder: Path) -> None:
    path = folder / "data.json"
    path.write_text(" [ ]\n", "utf-8")
    assert read_rows(path) == ([], [])


def test_one_picture_and_paths_of_windows(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "a.png").rename(folder / "sub" / "a.png")
    chat = _chat("<image>\nWhat?", "A square.")
    rows, problems = _read(
        folder, chat | {"images": "sub\\a.png"}, chat | {"images": ["sub/a.png"]}
    )
    assert not problems
    assert {row.images for row in rows} == {(folder / "sub" / "a.png",)}
    _, problems = _read(folder, chat | {"images": "sub\\b.png"})
    assert "there is no file" in problems[0].text
