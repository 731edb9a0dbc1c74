"""The JSON Schemas (2020-12) of history, settings, rendering and training."""

from __future__ import annotations

from dvl2_cli.results.schema_parts import (
    COUNT,
    STRING,
    TEXT_OR_NULL,
    Schema,
    choice,
    document,
    headed,
    list_of,
    named,
    object_of,
)

_VALUE: Schema = {"type": ["string", "number", "boolean", "null"]}
_ROLE = choice("user", "assistant")


def _history() -> Schema:
    return document(
        "history",
        "One line of dvl2 history list --json",
        id=STRING,
        created=STRING,
        updated=STRING,
        model=STRING,
        turns=COUNT,
        images=COUNT,
        title=STRING,
    )


def _history_hit() -> Schema:
    return document(
        "history-hit",
        "One line of dvl2 history search --json",
        session=STRING,
        position=COUNT,
        role=_ROLE,
        updated=STRING,
        excerpt=STRING,
    )


def _history_delete() -> Schema:
    return document(
        "history-delete", "The line of dvl2 history delete --json", deleted=list_of(STRING)
    )


def _session() -> Schema:
    turn = object_of(role=_ROLE, text=STRING, finish_reason=TEXT_OR_NULL, images=list_of(STRING))
    return document(
        "session",
        "One line of dvl2 history show --json",
        id=STRING,
        system=TEXT_OR_NULL,
        turns=list_of(turn),
    )


def _config() -> Schema:
    row = {"name": STRING, "value": _VALUE, "source": STRING}
    head = {"schema": named("config")}
    forms = [
        object_of(**head, settings=list_of(object_of(**row))),
        object_of(**head, **row),
        object_of(**head, path=STRING),
    ]
    title = "The line of dvl2 config list, of get, set and unset, and of path, with --json"
    return headed(title, {"oneOf": forms})


def _render() -> Schema:
    return document(
        "render",
        "The line of dvl2 render --json",
        data=STRING,
        kinds=list_of(STRING),
        samples=COUNT,
        seed=COUNT,
        split=choice("train", "test"),
        renderer={"type": ["string", "integer"]},
    )


def _train() -> Schema:
    return document(
        "train",
        "One line of dvl2 train --json for each thing that was written",
        what=choice("result", "merged", "plot"),
        path=STRING,
    )


def record_schemas() -> dict[str, Schema]:
    """Name, as in ``dvl2.NAME/1``, to schema document."""
    return {
        "history": _history(),
        "history-hit": _history_hit(),
        "history-delete": _history_delete(),
        "session": _session(),
        "config": _config(),
        "render": _render(),
        "train": _train(),
    }
