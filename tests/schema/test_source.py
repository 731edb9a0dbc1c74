"""Answers are checked without a network, and texts of any schema have an end."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest

from dvl2_cli.errors import UsageError
from dvl2_cli.schema.enforce import MAX_TEXT, enforceable
from dvl2_cli.schema.source import checked_schema


def _no_network(*_: object, **__: object) -> None:
    raise AssertionError("a schema was fetched")


@pytest.mark.parametrize("ref", ["http://127.0.0.1:9/x.json", "#/$defs/missing", "file:///etc/x"])
def test_what_a_schema_does_not_hold_is_one_line(ref: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", _no_network)
    schema = checked_schema({"properties": {"a": {"$ref": ref}}}, "--schema")
    with pytest.raises(UsageError, match="which it does not hold"):
        schema.parse('{"a": 1}')


def test_a_reference_within_the_schema_is_followed() -> None:
    whole = {"type": "integer"}
    document = {"properties": {"a": {"$ref": "#/$defs/whole"}}, "$defs": {"whole": whole}}
    assert checked_schema(document, "--schema").parse('{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("given", "longest"),
    [
        ({"type": "string"}, MAX_TEXT),
        ({"type": ["string", "null"]}, MAX_TEXT),
        ({"type": ["string", "null"], "minLength": 2000}, 2000),
        ({"type": "string", "maxLength": 5}, 5),
        ({"type": ["integer", "null"]}, None),
    ],
)
def test_texts_have_an_end(given: dict[str, Any], longest: int | None) -> None:
    assert enforceable(given)[0].get("maxLength") == longest
