"""Short field lists such as ``name, total float, items[sku, qty int]`` as JSON Schema.

    list   = field {"," | newline  field}
    field  = name ["?"] [ "[]" | "[" list "]" | "{" list "}" ] [type ["[]"]] [":" description]

``?`` allows null, ``[]`` makes a list, ``[...]`` a list of objects, ``{...}`` an object.
A description runs to the end of the field. The idea of a short list, and its types, follow
the ``--schema`` of simonw/llm.
"""

from __future__ import annotations

import re
from typing import Any

from dvl2_cli.errors import UsageError

Schema = dict[str, Any]

TYPES: dict[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
}
_NAME = re.compile(r"[^\W\d][\w-]*")
_DEEPEST = 8


def schema_from_fields(text: str) -> Schema:
    """The JSON Schema (2020-12) of an object with the fields of ``text``.

    Raises:
        UsageError: not a field list; the message quotes where reading stopped.
    """
    reader = _FieldParser(text)
    schema = reader.fields(depth=0)
    if reader.position < len(text):
        raise reader.error("expected a comma")
    return schema


class _FieldParser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def fields(self, depth: int) -> Schema:
        if depth > _DEEPEST:
            raise self.error(f"fields are nested more than {_DEEPEST} deep")
        properties: dict[str, Schema] = {}
        self._skip_separators()
        while self.position < len(self.text) and self.text[self.position] not in "]}":
            name, schema = self._field(depth)
            if name in properties:
                raise UsageError(f"--schema: the field {name!r} is listed twice")
            properties[name] = schema
            if not self._skip_separators():
                break
        if not properties:
            raise self.error("expected a field name")
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def _field(self, depth: int) -> tuple[str, Schema]:
        name = self._word()
        if name is None:
            raise self.error("expected a field name")
        optional = self._take("?")
        schema = self._nested(depth)
        self._spaces()
        if schema in (None, {"type": "array"}):
            schema = self._typed(is_list=schema is not None)
        description = self._description()
        if optional:
            schema = {"anyOf": [schema, {"type": "null"}]}
        if description:
            schema["description"] = description
        return name, schema

    def _description(self) -> str:
        self._spaces()
        if not self._take(":"):
            return ""
        start = self.position
        while self.position < len(self.text) and self.text[self.position] not in ",\n]}":
            self.position += 1
        return self.text[start : self.position].strip()

    def _nested(self, depth: int) -> Schema | None:
        """What the brackets after a name say; a list without items still wants its type."""
        if self._take("[]"):
            return {"type": "array"}
        for opening, closing in ("[]", "{}"):
            if self._take(opening):
                schema = self.fields(depth + 1)
                if not self._take(closing):
                    raise self.error(f"expected {closing!r}")
                return {"type": "array", "items": schema} if opening == "[" else schema
        return None

    def _typed(self, *, is_list: bool) -> Schema:
        start = self.position
        word = self._word()
        if word is not None and word not in TYPES:
            self.position = start
            raise self.error(f"{word!r} is no type; one of {', '.join(TYPES)}")
        schema = dict(TYPES[word or "str"])
        if is_list or (word is not None and self._take("[]")):
            return {"type": "array", "items": schema}
        return schema

    def _word(self) -> str | None:
        self._spaces()
        match = _NAME.match(self.text, self.position)
        if match is None:
            return None
        self.position = match.end()
        return match[0]

    def _take(self, token: str) -> bool:
        if not self.text.startswith(token, self.position):
            return False
        self.position += len(token)
        return True

    def _spaces(self) -> None:
        while self.position < len(self.text) and self.text[self.position] in " \t":
            self.position += 1

    def _skip_separators(self) -> bool:
        start = self.position
        while self.position < len(self.text) and self.text[self.position] in " \t\r\n,":
            self.position += 1
        passed = self.text[start : self.position]
        return "," in passed or "\n" in passed

    def error(self, expected: str) -> UsageError:
        rest = self.text[self.position : self.position + 30].strip() or "the end"
        return UsageError(
            f"--schema: {expected} at {rest!r} (character {self.position + 1})",
            "Write fields as: name, total float, paid bool, items[sku, qty int]",
        )
