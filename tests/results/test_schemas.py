from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from dvl2_cli.errors import InputError
from dvl2_cli.results import (
    Block,
    CaptionResult,
    ChatResult,
    Envelope,
    FoundObject,
    GroundResult,
    ModelRecord,
    OcrResult,
    Quality,
    RejectedBox,
    Source,
    Span,
    Table,
    UsageTotals,
    json_line,
)
from dvl2_cli.results.schemas import all_schemas, main, schema_of
from dvl2_cli.units import Bytes, Count

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "schemas"
SOURCE = Source("a.png", "0" * 64, 1, 10, 20, True)
SHARED: dict[str, Any] = {
    "source": SOURCE,
    "model": ModelRecord("m", None, "none"),
    "usage": UsageTotals(1, 2, 3, 0.5),
    "finish_reason": "stop",
    "raw": "x",
    "warnings": ("w",),
}
BOX = (1.0, 2.0, 3.0, 4.0)
EXAMPLES: list[Envelope] = [
    OcrResult(
        **SHARED,
        text="x",
        tables=(Table("<table></table>", (("a",),)),),
        blocks=(Block("line", "x", BOX, "rapidocr", 0.5),),
        fields={"total": None},
        quality=Quality(loop_detected=True, truncated=True, retries=2, bands=3),
    ),
    GroundResult(
        **SHARED,
        objects=(FoundObject(0, "q", "l", BOX, BOX),),
        rejected=(RejectedBox("[1]", "too few"),),
        drawn="a.boxes.png",
        crops=("c.png",),
    ),
    GroundResult(**SHARED, caption="a car", grounding=(Span((2, 5), "car", BOX),)),
    CaptionResult(**SHARED, caption="a car", written=("a.txt",)),
    CaptionResult(skipped="a.txt exists"),
    ChatResult(**SHARED, answer="hi", sources=(SOURCE,), data={"a": [1]}, session="s"),
    OcrResult.failure(InputError("no such file: a.png", "Look again."), Source("a.png")),
    GroundResult.failure(InputError("no"), Source("a.png")),
    CaptionResult.failure(InputError("no"), Source("a.png")),
    ChatResult.failure(InputError("no")),
]


@pytest.mark.parametrize("name", all_schemas())
def test_published_schemas_are_those_of_the_code(name: str) -> None:
    published = json.loads((PUBLISHED / name).read_text(encoding="utf-8"))
    assert published == all_schemas()[name]
    Draft202012Validator.check_schema(published)


def test_the_documents_are_what_the_module_writes(tmp_path: Path) -> None:
    main(str(tmp_path))
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in PUBLISHED.iterdir()}


@dataclass(frozen=True)
class Kinds:
    """One member of every kind that lines have."""

    OPTIONAL: ClassVar = ("left_out",)

    count: Count | None
    word: Literal["a", "b"] | None
    pair: tuple[float, float]
    parts: tuple[Source, ...]
    any_value: Any
    table: dict[str, Bytes]
    mixed: str | float | None
    left_out: str | None = None


def test_types_say_what_the_schema_says() -> None:
    schema = schema_of(Kinds)
    found = schema["properties"]
    assert found["count"] == {"type": ["integer", "null"], "minimum": 0}
    assert found["word"] == {"enum": ["a", "b", None]}
    assert found["pair"] == {
        "type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2,
    }  # fmt: skip
    assert found["parts"]["items"]["properties"]["path"] == {"type": "string"}
    assert found["any_value"] is True
    assert found["table"]["additionalProperties"]["description"] == "Bytes."
    assert found["mixed"] == {"type": ["string", "number", "null"]}
    assert found["left_out"] == {"type": "string"}
    assert schema["required"] == [name for name in found if name != "left_out"]
    with pytest.raises(TypeError, match="complex"):
        schema_of(complex)


@pytest.mark.parametrize("result", EXAMPLES, ids=lambda item: type(item).__name__)
def test_results_follow_their_schema(result: Envelope) -> None:
    value = json.loads(json_line(result.as_json()))
    name = value["schema"].replace("/", ".") + ".json"
    Draft202012Validator(all_schemas()[name]).validate(value)


def test_a_failure_without_an_error_breaks_the_schema() -> None:
    value = OcrResult(status="failed").as_json()
    validator = Draft202012Validator(all_schemas()["dvl2.ocr.1.json"])
    assert not validator.is_valid(json.loads(json_line(value)))


@given(st.text(st.characters(exclude_categories=[])))
def test_lines_are_lossless_and_safe(text: str) -> None:
    line = json_line({"text": text})
    assert json.loads(line) == {"text": text}
    assert "\n" not in line
    line.encode("utf-8")
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in line)
