"""The JSON Schemas (2020-12) of the commands that manage models."""

from __future__ import annotations

from dvl2_cli.results.schema_parts import (
    BOOLEAN,
    BYTES,
    COUNT,
    COUNT_OR_NULL,
    NUMBER,
    SECONDS,
    SHARE,
    STRING,
    TEXT_OR_NULL,
    Schema,
    choice,
    document,
    list_of,
    object_of,
    or_null,
)

_TIME: Schema = {"type": ["number", "null"], "description": "Seconds since 1970."}
_HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_QUANTS = ("int4", "int8", "nf4")


def _ls() -> Schema:
    return document(
        "ls",
        "One line of dvl2 ls --json",
        name=STRING,
        id=STRING,
        quant=STRING,
        revision=TEXT_OR_NULL,
        state=choice("bundled", "pulled", "converted", "incomplete"),
        size=BYTES,
        folder=STRING,
        pulled_at=_TIME,
        used_at=_TIME,
        default=BOOLEAN,
    )


def _show() -> Schema:
    part = object_of(
        name=STRING, tensors=COUNT, parameters=COUNT, nbytes=BYTES, formats=list_of(STRING)
    )
    return document(
        "show",
        "One line of dvl2 show --json",
        id=STRING,
        revision=TEXT_OR_NULL,
        quant=STRING,
        folder=STRING,
        reason=STRING,
        licence=TEXT_OR_NULL,
        architecture={"type": ["object", "null"]},
        parameters=COUNT_OR_NULL,
        active_parameters=COUNT_OR_NULL,
        context_length=COUNT_OR_NULL,
        policy=or_null(_policy()),
        parts=list_of(part),
        files=list_of(object_of(name=STRING, size=BYTES)),
        problems=list_of(object_of(message=STRING, hint=STRING)),
    )


def _pull() -> Schema:
    return document(
        "pull",
        "One line of dvl2 pull --json",
        id=STRING,
        revision=STRING,
        licence=TEXT_OR_NULL,
        folder=STRING,
        files=list_of(object_of(name=STRING, size=BYTES, sha256=_HASH)),
        copy=or_null(object_of(quant=STRING, folder=STRING)),
    )


def _pull_plan() -> Schema:
    return document(
        "pull-plan",
        "One line of dvl2 pull --dry-run --json",
        id=STRING,
        revision=STRING,
        folder=STRING,
        files=list_of(object_of(name=STRING, size=BYTES)),
        size=BYTES,
        present=BYTES,
        copy=BYTES,
        free=BYTES,
    )


def _rm() -> Schema:
    return document(
        "rm",
        "One line of dvl2 rm --json",
        id=STRING,
        quant=STRING,
        revision=TEXT_OR_NULL,
        size=BYTES,
    )


def _quantize() -> Schema:
    error = object_of(name=STRING, kind=STRING, relative_error=NUMBER, weights=COUNT)
    return document(
        "quantize",
        "One line of dvl2 quantize --json",
        folder=STRING,
        quant=choice(*_QUANTS),
        made=BOOLEAN,
        errors=list_of(error),
        agreement=or_null(object_of(kl=NUMBER, top1=SHARE, positions=COUNT)),
    )


def _policy() -> Schema:
    return object_of(
        reads=choice("pages", "lines"),
        print_height=or_null(NUMBER),
        refine_boxes=BOOLEAN,
        count_by_boxes=BOOLEAN,
        doubt_threshold=or_null(NUMBER),
    )


def _ps() -> Schema:
    info = object_of(
        id=STRING,
        revision=TEXT_OR_NULL,
        quant=STRING,
        device=STRING,
        context_length=COUNT,
        is_nano=BOOLEAN,
        reason=STRING,
        policy=_policy(),
    )
    server = object_of(
        socket=STRING,
        info=info,
        key={"type": "object"},
        version=STRING,
        pid=COUNT,
        requests=COUNT,
        uptime_seconds=SECONDS,
        idle_seconds=SECONDS,
        stops_after_seconds=SECONDS,
        resident_bytes=BYTES,
    )
    return document("ps", "One line of dvl2 ps --json", servers=list_of(server))


def _ps_stop() -> Schema:
    return document("ps-stop", "The line of dvl2 ps --stop --json", stopped=list_of(STRING))


def _serve() -> Schema:
    return document(
        "serve",
        "The line of dvl2 serve --json, written when the model is warm",
        address=STRING,
        pid=COUNT,
        model=object_of(id=STRING, revision=TEXT_OR_NULL, quant=STRING, device=STRING),
    )


def model_schemas() -> dict[str, Schema]:
    """Name, as in ``dvl2.NAME/1``, to schema document."""
    return {
        "ls": _ls(),
        "show": _show(),
        "pull": _pull(),
        "pull-plan": _pull_plan(),
        "rm": _rm(),
        "quantize": _quantize(),
        "ps": _ps(),
        "ps-stop": _ps_stop(),
        "serve": _serve(),
    }
