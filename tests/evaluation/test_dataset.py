"""Own data: which metric an answer gets, history, and bad lines named by number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dvl2_cli.errors import InputError
from dvl2_cli.evaluation.dataset import read_items
from dvl2_cli.evaluation.runner import request_for, run
from tests.fakes import FakeEngine

BOXED = "<|ref|>a dog<|/ref|><|det|>[[10, 20, 300, 400]]<|/det|>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.png")
    return tmp_path


def _write(folder: Path, *rows: Any) -> Path:
    path = folder / "data.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def _chat(*contents: str, images: tuple[str, ...] = ("a.png",)) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]
    return {"images": list(images), "messages": messages}


def test_every_answer_becomes_an_item_with_the_metric_that_suits(folder: Path) -> None:
    row = _chat(
        "<image>\nRead the text in this image.", "ABC", "What is the total?", "12", "Where?", BOXED
    )
    text, value, box = read_items(_write(folder, row, ""))
    assert (text.metric, value.metric, box.metric) == ("cer", "anls", "boxes")
    assert box.boxes == ((10.0, 20.0, 300.0, 400.0),)
    assert text.images[0].size == (40, 30)
    assert text.id == "line 1, turn 1"


def test_later_turns_follow_the_right_answers(folder: Path) -> None:
    _, second = read_items(_write(folder, _chat("<image>\nFirst?", "one", "Second?", "two")))
    request = request_for(second)
    assert [m.role for m in request.messages] == ["user", "assistant", "user"]
    assert [m.shown for m in request.messages] == ["<image>\nFirst?", "one", "Second?"]
    assert len(request.messages[0].images) == 1
    assert request.messages[2].images == ()
    assert request.sampling.temperature == 0


def test_engine_answers_are_scored(folder: Path) -> None:
    items = read_items(_write(folder, _chat("<image>\nTotal?", "12.50", "Where?", BOXED)))
    engine = FakeEngine(lambda request: "12.50" if "Total" in request.messages[-1].content else "")
    outcomes = list(run(engine, items))
    assert [outcome.score for outcome in outcomes] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{not json", "line 2: not JSON"),
        ("[]", "line 2: not a JSON object"),
        ({"messages": []}, "messages"),
        (_chat("<image>\nQ", "A", images=()), "1 <image> tags for 0 images"),
        (_chat("<image>\nQ", "A", images=("gone.png",)), "there is no file"),
        (_chat("<image>\nQ"), "no assistant turn"),
        ({"messages": [{"role": "boss", "content": "x"}]}, "unknown role 'boss'"),
        ({"messages": [{"role": "user", "content": 3}]}, "not text"),
        ({"images": [1], "messages": [{"role": "user", "content": ""}]}, "file names"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_bad_lines_are_named_before_anything_is_asked(folder: Path, row: Any, reason: str) -> None:
    good = _chat("<image>\nQ", "A")
    with pytest.raises(InputError, match="line 2") as caught:
        read_items(_write(folder, good, row))
    assert reason in caught.value.message


def test_empty_and_missing_files(folder: Path) -> None:
    with pytest.raises(InputError, match="no line"):
        read_items(_write(folder, ""))
    with pytest.raises(InputError, match="cannot read"):
        read_items(folder / "none.jsonl")
