from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import llguidance
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from dvl2_cli.errors import NoUsableOutputError, UsageError
from dvl2_cli.schema.fields import TYPES, schema_from_fields
from dvl2_cli.schema.source import AnswerSchema, read_schema


def test_types_lists_objects_and_descriptions() -> None:
    schema = schema_from_fields(
        "name, total float: sum with tax, paid? bool, tags[], sizes[] int, codes int[],\n"
        "items[sku, qty int], buyer{name, age? int}, "
    )
    properties = schema["properties"]
    assert schema["required"] == list(properties)
    assert properties["name"] == {"type": "string"}
    assert properties["total"] == {"type": "number", "description": "sum with tax"}
    assert properties["paid"] == {"anyOf": [{"type": "boolean"}, {"type": "null"}]}
    assert properties["tags"] == {"type": "array", "items": {"type": "string"}}
    assert properties["sizes"] == {"type": "array", "items": {"type": "integer"}}
    assert properties["codes"] == {"type": "array", "items": {"type": "integer"}}
    assert properties["items"]["items"]["properties"]["qty"] == {"type": "integer"}
    assert properties["buyer"]["required"] == ["name", "age"]


def test_fields_on_lines() -> None:
    schema = schema_from_fields("\nname\ntotal float : the sum\n\n")
    assert list(schema["properties"]) == ["name", "total"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a field name at 'the end'"),
        (" , ", "expected a field name at 'the end'"),
        ("a b", "'b' is no type; one of str, int, float, bool, date at 'b'"),
        ("a int float", "expected a comma at 'float'"),
        ("a, a", "the field 'a' is listed twice"),
        ("a[b", "expected ']' at 'the end'"),
        ("a]", "expected a comma at ']'"),
        ("2x", "expected a field name at '2x'"),
        ("a[" * 20 + "]" * 20, "nested more than 8 deep"),
    ],
)
def test_mistakes_are_located(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        schema_from_fields(text)
    assert message in caught.value.message


_names = st.from_regex(r"\A[a-z][a-z0-9_]{0,6}\Z")


def _spelled(children: st.SearchStrategy[tuple[str, Any]]) -> st.SearchStrategy[tuple[str, Any]]:
    """(text, example value) of a field list."""

    def join(fields: dict[str, tuple[str, Any]]) -> tuple[str, Any]:
        text = ", ".join(name + spelling for name, (spelling, _) in fields.items())
        return text, {name: value for name, (_, value) in fields.items()}

    nested = st.one_of(
        children.map(lambda child: (f"[{child[0]}]", [child[1]])),
        children.map(lambda child: (f"{{{child[0]}}}", child[1])),
    )
    return st.dictionaries(_names, st.one_of(_plain_fields, nested), min_size=1, max_size=4).map(
        join
    )


_examples: dict[str, Any] = {"str": "x", "int": 3, "float": 0.5, "bool": True, "date": "2026-01-02"}
_plain_fields = st.one_of(
    st.just(("", "x")),
    st.sampled_from(sorted(TYPES)).map(lambda kind: (f" {kind}", _examples[kind])),
    st.sampled_from(sorted(TYPES)).map(lambda kind: (f"[] {kind}", [_examples[kind]])),
    st.sampled_from(sorted(TYPES)).map(lambda kind: (f" {kind}[]: some of them", [])),
    st.sampled_from(sorted(TYPES)).map(lambda kind: (f"? {kind}", None)),
)
_lists = st.recursive(_spelled(st.nothing()), _spelled, max_leaves=4)


@given(_lists)
def test_every_field_list_is_a_schema_that_takes_its_example(spelled: tuple[str, Any]) -> None:
    text, example = spelled
    schema = schema_from_fields(text)
    Draft202012Validator.check_schema(schema)
    answer = AnswerSchema(schema)
    assert answer.parse(json.dumps(example)) == example
    with pytest.raises(NoUsableOutputError):
        answer.parse(json.dumps({**example, "one too many": 1}))
    with pytest.raises(NoUsableOutputError):
        answer.parse(json.dumps(dict(list(example.items())[1:])))


@given(st.text(alphabet="ab ,[]{}?:\nint" + "é1", max_size=40))
def test_any_text_is_a_schema_or_one_line(text: str) -> None:
    try:
        schema = schema_from_fields(text)
    except UsageError as error:
        message = error.message
    else:
        message = ""
        Draft202012Validator.check_schema(schema)
    assert "\n" not in message


def test_three_ways_to_give_a_schema(tmp_path: Path) -> None:
    document = {"type": "object", "properties": {"a": {"type": "integer"}}}
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(document))
    assert read_schema(str(path)).document == document
    assert read_schema(json.dumps(document)).document == document
    assert list(read_schema("a int").document["properties"]) == ["a"]


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ("{", "--schema: not JSON"),
        ('{"type": "no such"}', "--schema: not a JSON Schema"),
        ('{"maximum": NaN}', "--schema: not JSON: NaN is not JSON"),
        ("nowhere.json", "cannot read the schema nowhere.json: No such file"),
        ('{"a": ' * 100_000, "--schema: not JSON"),
    ],
)
def test_a_bad_schema_is_one_line(given_: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_schema(given_)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize("answer", ["", '{"a": 1', '{"a": NaN}', '{"a": "x"}', "[" * 100_000])
def test_a_bad_answer_is_refused(answer: str) -> None:
    with pytest.raises(NoUsableOutputError):
        read_schema("a int").parse(answer)


@pytest.mark.parametrize(
    ("part", "kept", "named"),
    [
        (
            {"type": "array", "uniqueItems": True},
            {"type": "array"},
            "uniqueItems at $.properties.a",
        ),
        ({"not": {"type": "null"}}, {}, "not at $.properties.a"),
        ({"type": "string", "pattern": "^(?!x)"}, {"type": "string", "maxLength": 1000}, "pattern"),
        ({"type": "string", "format": "color"}, {"type": "string", "maxLength": 1000}, "format"),
        ({"oneOf": [{"type": "null"}]}, {"anyOf": [{"type": "null"}]}, "oneOf"),
        ({"anyOf": [{"contains": {}}]}, {"anyOf": [{}]}, "contains at $.properties.a.anyOf[0]"),
        ({"type": "string"}, {"type": "string", "maxLength": 1000}, None),
        ({"type": "string", "maxLength": 5000}, {"type": "string", "maxLength": 5000}, None),
        ({"enum": [{"not": 1}]}, {"enum": [{"not": 1}]}, None),
    ],
)
def test_what_cannot_be_enforced_is_named_and_checked_after(
    part: dict[str, Any], kept: dict[str, Any], named: str | None
) -> None:
    schema = AnswerSchema({"type": "object", "properties": {"a": part}})
    assert json.loads(schema.text)["properties"]["a"] == kept
    assert [named in note for note in schema.notes if named] == ([True] if named else [])
    grammar = llguidance.LLMatcher.grammar_from_json_schema(schema.text)
    assert llguidance.LLMatcher.validate_grammar(grammar) == ""


def test_the_whole_schema_is_held_against_the_answer() -> None:
    schema = AnswerSchema({"type": "array", "uniqueItems": True})
    assert schema.parse("[1, 2]") == [1, 2]
    with pytest.raises(NoUsableOutputError, match="non-unique"):
        schema.parse("[1, 1]")
    with pytest.raises(NoUsableOutputError, match="non-unique"):
        schema.read("[1, 1]")
    assert "; --schema-lenient keeps answers that break them" in schema.notes[0]


def test_a_lenient_schema_keeps_json_that_breaks_it() -> None:
    schema = AnswerSchema({"type": "array", "uniqueItems": True}, is_lenient=True)
    assert schema.read("[1, 2]") == ([1, 2], [])
    assert schema.read("[1, 1]") == (
        [1, 1], ["the answer breaks --schema at $: [1, 1] has non-unique elements"]
    )  # fmt: skip
    _, (line,) = schema.read(json.dumps(["a\nb" * 500] * 2))
    assert len(line) < 300
    assert "\n" not in line
    with pytest.raises(NoUsableOutputError, match="not the JSON"):
        schema.read("[1,")
