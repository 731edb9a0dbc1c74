"""Greedy tokens equal upstream's: chunked or not, batched or single, with the penalty or not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests import golden_data as golden

SINGLE = [
    (checkpoint, name)
    for checkpoint in golden.CHECKPOINTS
    for name, case in golden.cases(checkpoint, "generate")["cases"].items()
    if "conversation" in case
]


def generate(checkpoint: str, case: dict[str, Any], **options: Any) -> list[int]:
    processor = golden.processor(checkpoint)
    batch = processor(conversations=case["conversation"], images=golden.pictures_of(case))
    batch.pop("labels")
    eos = processor.tokens.eos
    options = {"eos_token_id": eos, "pad_token_id": eos, "max_new_tokens": 48, **options}
    out = golden.model(checkpoint).generate(**batch, do_sample=False, **options)
    return [int(token) for token in out[0, batch["input_ids"].shape[1] :]]


@pytest.mark.parametrize(("checkpoint", "name"), SINGLE)
def test_greedy(checkpoint: str, name: str) -> None:
    case = golden.cases(checkpoint, "generate")["cases"][name]
    assert generate(checkpoint, case) == case["tokens"]


@pytest.mark.parametrize(("checkpoint", "name"), SINGLE)
def test_chunked_prefill(checkpoint: str, name: str) -> None:
    case = golden.cases(checkpoint, "generate")["cases"][name]
    chunk = min(int(size) for size in case["chunked"] if int(size) > 1 or name == "g01_text")
    assert generate(checkpoint, case, prefill_chunk_size=max(chunk, 7)) == case["tokens"]
    assert generate(checkpoint, case, prefill_chunk_size=512) == case["tokens"]


@pytest.mark.parametrize(("checkpoint", "name"), SINGLE)
def test_repetition_penalty(checkpoint: str, name: str) -> None:
    case = golden.cases(checkpoint, "generate")["cases"][name]
    expected = case["repetition_penalty_1.1_over_prompt_and_new"]["tokens"]
    assert generate(checkpoint, case, repetition_penalty=1.1) == expected


@pytest.mark.parametrize(("checkpoint", "name"), SINGLE)
def test_stop_token(checkpoint: str, name: str) -> None:
    case = golden.cases(checkpoint, "generate")["cases"][name]
    stop = case["stop_at_token"]
    assert generate(checkpoint, case, eos_token_id=stop["eos_token_id"]) == stop["tokens"]


@pytest.mark.filterwarnings("ignore:Passing `repetition_penalty` with `inputs_embeds`")
@pytest.mark.parametrize(("checkpoint", "name"), SINGLE)
@torch.no_grad()
def test_decoder_alone(checkpoint: str, name: str) -> None:
    """``model.language.generate(inputs_embeds=...)``, as upstream's README calls it."""
    case = golden.cases(checkpoint, "generate")["cases"][name]
    processor, model = golden.processor(checkpoint), golden.model(checkpoint)
    batch = processor(conversations=case["conversation"], images=golden.pictures_of(case))
    features = model.get_image_features(batch["pixel_values"], batch["images_spatial_crop"])
    embeds = model.embed(batch["input_ids"], features.pooler_output)
    eos = processor.tokens.eos
    for penalty, expected in (
        (1.0, case["tokens"]),
        (1.1, case["repetition_penalty_1.1_over_new_only"]["tokens"]),
    ):
        out = model.language.generate(
            inputs_embeds=embeds,
            attention_mask=batch["attention_mask"],
            do_sample=False,
            max_new_tokens=48,
            repetition_penalty=penalty,
            eos_token_id=eos,
            pad_token_id=eos,
        )
        assert out[0].tolist() == expected


@pytest.mark.parametrize("checkpoint", golden.CHECKPOINTS)
@pytest.mark.parametrize("chunk", [None, 64])
def test_batch_with_left_padding(checkpoint: str, chunk: int | None) -> None:
    case = golden.cases(checkpoint, "generate")["cases"]["g05_batch_left_pad"]
    processor = golden.processor(checkpoint)
    samples = [
        processor.process_one(
            conversation=conversation, images=golden.pictures_of({"conversation": conversation})
        )
        for conversation in case["conversations"]
    ]
    batch = processor.batchify(samples)
    batch.pop("labels")
    eos = processor.tokens.eos
    options = {} if chunk is None else {"prefill_chunk_size": chunk}
    out = golden.model(checkpoint).generate(
        **batch, do_sample=False, max_new_tokens=48, eos_token_id=eos, pad_token_id=eos, **options
    )
    assert out[:, batch["input_ids"].shape[1] :].tolist() == case["tokens"]


@pytest.mark.parametrize("checkpoint", golden.CHECKPOINTS)
def test_beams_and_prompt_lookup(checkpoint: str) -> None:
    case = golden.cases(checkpoint, "generate")["cases"]["g02_one_image"]
    lookup = generate(checkpoint, case, prompt_lookup_num_tokens=4)
    assert lookup == case["tokens"]
    assert len(generate(checkpoint, case, num_beams=2, max_new_tokens=5)) == 5
