"""What an answer has to look like: free text, JSON that follows a schema, or a call of a tool."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dvl2_cli.engine.events import Finished
from dvl2_cli.engine.request import Constraint
from dvl2_cli.errors import NoUsableOutputError, UsageError
from dvl2_cli.results.confidence import confidence_warnings
from dvl2_cli.schema.source import AnswerSchema, checked_schema
from dvl2_cli.server.http.chat_body import (
    ChatBody,
    ChosenTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    ToolFunction,
)
from dvl2_cli.server.http.refusals import RefusalError, invalid, unsupported

_ANY_OBJECT: dict[str, Any] = {"type": "object"}


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool; ``arguments`` is JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """The form of an answer; ``tools`` are the names of those of which it calls one."""

    schema: AnswerSchema | None = None
    constraint: Constraint | None = None
    tools: tuple[str, ...] = ()

    def call(self, text: str) -> Call | None:
        """The call that the whole answer ``text`` is; None where it is none."""
        if len(self.tools) == 1:
            return Call(self.tools[0], text)
        try:
            value = json.loads(text)
            return Call(value["name"], json.dumps(value["arguments"], ensure_ascii=False))
        except (ValueError, KeyError, TypeError):  # cut short
            return None

    def warnings(self, finished: Finished) -> list[str]:
        """What is to be said of an answer: doubts, and what it breaks of its schema."""
        problem = self._problem(finished.text) if finished.finish_reason == "stop" else None
        return [*confidence_warnings(finished.confidence), *([problem] if problem else [])]

    def _problem(self, text: str) -> str | None:
        """What a complete answer lacks of what its schema asks for."""
        if self.schema is None:
            return None
        try:
            self.schema.parse(text)
        except NoUsableOutputError as error:
            return error.message
        return None


def format_of(body: ChatBody) -> AnswerFormat:
    """The form that ``body`` asks for.

    Raises:
        RefusalError: a schema is none, or the forms exclude each other.
    """
    tools = _forced(body)
    asked = body.response_format
    if tools and isinstance(asked, JsonObjectFormat | JsonSchemaFormat):
        raise unsupported("response_format beside tools")
    if tools:
        return _followed(_schema_of(tools), "tools", tuple(tool.name for tool in tools))
    if isinstance(asked, JsonObjectFormat):
        return _followed(_ANY_OBJECT, "response_format")
    if isinstance(asked, JsonSchemaFormat):
        document = asked.json_schema.schema_
        return _followed(_ANY_OBJECT if document is None else document, "response_format")
    if body.dvl2 is not None and body.dvl2.constraint is not None:
        grammar = body.dvl2.constraint
        return AnswerFormat(constraint=Constraint(grammar.kind, grammar.text))
    return AnswerFormat()


def schema_format(document: dict[str, Any], where: str) -> AnswerFormat:
    """JSON that follows ``document``; ``where`` names the member that holds it.

    Raises:
        RefusalError: it is no JSON Schema.
    """
    return _followed(document, where)


def any_object() -> AnswerFormat:
    """Any JSON object."""
    return _followed(_ANY_OBJECT, "format")


def _followed(document: dict[str, Any], where: str, tools: tuple[str, ...] = ()) -> AnswerFormat:
    try:
        schema = checked_schema(document, where)
    except UsageError as error:
        raise RefusalError(400, error.message, "invalid_schema", where) from error
    return AnswerFormat(schema, Constraint("json_schema", schema.text), tools)


def _forced(body: ChatBody) -> list[ToolFunction]:
    """The tools of which one has to be called."""
    tools = [tool.function for tool in body.tools or ()]
    choice = body.tool_choice
    if isinstance(choice, ChosenTool):
        chosen = [tool for tool in tools if tool.name == choice.function.name]
        if not chosen:
            raise invalid(f"there is no tool {choice.function.name}", "tool_choice")
        return chosen
    if choice == "required" and not tools:
        raise invalid("tool_choice is required, and there are no tools", "tool_choice")
    if tools and choice in (None, "auto"):
        raise unsupported("tool_choice auto", ": say required, none, or the name of a tool")
    return tools if choice == "required" else []


def _schema_of(tools: Sequence[ToolFunction]) -> dict[str, Any]:
    """The arguments of the only tool; of several, the name of one with its arguments."""
    if len(tools) == 1:
        return tools[0].parameters or _ANY_OBJECT
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {
                    "name": {"const": tool.name},
                    "arguments": _moved(
                        tool.parameters or _ANY_OBJECT, f"#/anyOf/{index}/properties/arguments"
                    ),
                },
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            for index, tool in enumerate(tools)
        ]
    }


def _moved(schema: Any, root: str) -> Any:
    """``schema`` where its own root is found at ``root``."""
    if isinstance(schema, list):
        return [_moved(item, root) for item in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {key: _moved(value, root) for key, value in schema.items()}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        moved["$ref"] = root + reference[1:]
    return moved
