"""The JSON Schemas (2020-12) of plans, measurements and the doctor."""

from __future__ import annotations

from dvl2_cli.results.schema_parts import (
    BOOLEAN,
    BYTES,
    COUNT,
    COUNT_OR_NULL,
    ERROR,
    NUMBER,
    PLAN,
    SECONDS,
    STRING,
    TEXT_OR_NULL,
    Schema,
    choice,
    document,
    list_of,
    map_of,
    object_of,
    or_null,
)

_RATE: Schema = {"type": "number", "minimum": 0, "description": "Per second."}
_METRIC = choice("cer", "anls", "iou", "boxes", "absent", "exact", "objects")


def _plan() -> Schema:
    prompt = object_of(
        subject=STRING,
        prompt_tokens=COUNT,
        image_tokens=COUNT,
        context_length=COUNT,
        tiles=list_of({"type": "array", "items": COUNT, "minItems": 2, "maxItems": 2}),
        room={"type": "integer"},
    )
    return document(
        "plan",
        "The line of --plan --json of chat, ocr, ground and caption",
        model=object_of(id=STRING, quant=STRING),
        choices=list_of(object_of(what=STRING, chosen=STRING, reason=STRING)),
        prompts=list_of(prompt),
        weights=map_of(BYTES),
        weights_source=STRING,
        memory=or_null(PLAN),
        ram_available=BYTES,
        disk_free=BYTES,
        accelerators=list_of(object_of(kind=STRING, name=STRING, free=BYTES, total=BYTES)),
        error=or_null(ERROR),
    )


def _bench() -> Schema:
    machine = object_of(
        cpu=STRING,
        cores=COUNT,
        threads=COUNT,
        ram=BYTES,
        kernels=STRING,
        versions=map_of(STRING),
    )
    speeds = object_of(
        load_seconds=SECONDS,
        first_token_seconds=SECONDS,
        warm_first_token_seconds=SECONDS,
        decode_tokens=_RATE,
        decode_bytes=_RATE,
        read_bandwidth=_RATE,
        prefill_tokens=_RATE,
        prefill_multiply_adds=_RATE,
        prefill_peak=_RATE,
        tiles=_RATE,
        tower_multiply_adds=_RATE,
        tower_peak=_RATE,
        outside_kernels={"type": ["number", "null"]},
        lookup_gain={"type": ["number", "null"]},
    )
    memory = object_of(
        weights=BYTES,
        before_load=BYTES,
        after_load=BYTES,
        own_after_load=BYTES,
        load_peak=BYTES,
        peak=BYTES,
        read_per_token=BYTES,
        cache_per_token=BYTES,
        cache_per_token_expanded=BYTES,
        cap=COUNT_OR_NULL,
    )
    return document(
        "bench",
        "The line of dvl2 bench --json",
        model=STRING,
        quant=STRING,
        machine=machine,
        speeds=speeds,
        memory=memory,
        prompt_tokens=COUNT,
        answer_tokens=COUNT,
        ratios=object_of(
            decode_to_read_bandwidth=NUMBER,
            prefill_to_dense_peak=NUMBER,
            tower_to_dense_peak=NUMBER,
            cache_expanded_to_latent=NUMBER,
            load_to_file=NUMBER,
        ),
    )


def _eval() -> Schema:
    return document(
        "eval",
        "One line of dvl2 eval --json",
        group=STRING,
        metric=_METRIC,
        n=COUNT,
        mean=NUMBER,
        low=NUMBER,
        high=NUMBER,
        seconds_per_item=SECONDS,
        wer={"type": ["number", "null"]},
        bar={"type": ["number", "null"]},
        met={"type": ["boolean", "null"]},
        renderer={"type": ["string", "integer"]},
    )


def _eval_answer() -> Schema:
    return document(
        "eval.answer",
        "One line of the file of dvl2 eval --answers",
        id=STRING,
        group=STRING,
        metric=_METRIC,
        question=STRING,
        reference=STRING,
        answer=STRING,
        score=NUMBER,
        seconds=SECONDS,
        tokens=COUNT,
        finish_reason=STRING,
    )


def _doctor() -> Schema:
    status = choice("ok", "warning", "failed")
    check = object_of(
        group=STRING,
        name=STRING,
        status=status,
        found=STRING,
        reason=TEXT_OR_NULL,
        remedy=TEXT_OR_NULL,
    )
    model = object_of(
        model=STRING,
        folder=TEXT_OR_NULL,
        runs=BOOLEAN,
        quant=TEXT_OR_NULL,
        device=TEXT_OR_NULL,
        reason=STRING,
        remedy=TEXT_OR_NULL,
        memory=or_null(PLAN),
    )
    return document(
        "doctor",
        "The line of dvl2 doctor --json",
        status=status,
        checks=list_of(check),
        machine=or_null(_machine()),
        models=list_of(model),
    )


def _machine() -> Schema:
    def fact(value: Schema) -> Schema:
        return object_of(value=value, source=STRING)

    card = object_of(
        kind=choice("cuda", "mps"),
        name=STRING,
        memory_total=BYTES,
        memory_free=BYTES,
        capability=or_null(list_of(COUNT)),
    )
    return object_of(
        system=fact(STRING),
        cpu=fact(STRING),
        cores=fact(COUNT),
        isa=fact(list_of(STRING)),
        ram_total=fact(BYTES),
        ram_available=fact(BYTES),
        memory_limit=fact(COUNT_OR_NULL),
        disk_free=fact(BYTES),
        accelerators=fact(list_of(card)),
        core_limit=fact({"type": ["number", "null"]}),
    )


def report_schemas() -> dict[str, Schema]:
    """Name, as in ``dvl2.NAME/1``, to schema document."""
    return {
        "plan": _plan(),
        "bench": _bench(),
        "eval": _eval(),
        "eval.answer": _eval_answer(),
        "doctor": _doctor(),
    }
