"""The processor called as transformers documents it gives what upstream's call gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image

from deepseek_vl_v2 import DeepseekVLV2Processor
from tests import golden_data as golden

RED = Image.new("RGB", (60, 40), "red")
TALL = Image.new("RGB", (40, 300), "blue")
QUESTION = "<image>\nWhat is it?"


@pytest.fixture(scope="module")
def processor() -> DeepseekVLV2Processor:
    return golden.processor("mla")


def talk(*contents: str, system: str | None = None) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    turns = [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]
    return ([{"role": "system", "content": system}] if system else []) + turns


@pytest.mark.parametrize("images", [RED, [RED], [[RED]]])
def test_one_prompt(processor: DeepseekVLV2Processor, images: Any) -> None:
    wanted = processor(text=QUESTION, images=[RED])
    batch = processor(text=QUESTION, images=images, return_tensors="pt", padding=True)
    for name, tensor in wanted.items():
        assert torch.equal(batch[name], tensor)
    if images is not RED:
        several = processor(text=[QUESTION], images=images, return_tensors="pt")
        assert torch.equal(several["input_ids"], wanted["input_ids"])


def test_one_list_of_pictures_is_shared_out(processor: DeepseekVLV2Processor) -> None:
    prompts = [QUESTION, "Hello", f"<image>\n{QUESTION}"]
    wanted = processor(text=prompts, images=[[RED], [], [TALL, RED]])
    batch = processor(text=prompts, images=[RED, TALL, RED], padding="longest")
    for name, tensor in wanted.items():
        assert torch.equal(batch[name], tensor)
    with pytest.raises(ValueError, match="3 image tags for 2 images"):
        processor(text=prompts, images=[RED, TALL])


def test_what_cannot_be_is_refused(processor: DeepseekVLV2Processor) -> None:
    with pytest.raises(ValueError, match="only 'pt'"):
        processor(text="Hello", return_tensors="np")
    with pytest.raises(ValueError, match="no videos"):
        processor(text="Hello", videos=[[RED]])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="need padding"):
        processor(text=["Hello", "Hello, you there"], images=[[], []], padding=False)


@pytest.mark.parametrize(
    ("messages", "images"),
    [
        (talk("Hello"), []),
        (talk(QUESTION), [RED]),
        (talk(f"<image>\n{QUESTION}", "A square.", " And now? "), [RED, TALL]),
        (talk(QUESTION, system="Be brief."), [RED]),
    ],
)
def test_the_chat_template_writes_the_released_prompt(
    processor: DeepseekVLV2Processor, messages: list[dict[str, str]], images: list[Image.Image]
) -> None:
    wanted = processor(
        conversations=[*messages, {"role": "assistant", "content": ""}], images=images
    )
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    assert torch.equal(processor(text=text, images=images)["input_ids"], wanted["input_ids"])
    pictures = iter(images)
    parts: Any = [
        {"role": item["role"], "content": _parts(item["content"], pictures)} for item in messages
    ]
    batch: Any = processor.apply_chat_template(
        parts, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    for name in ("input_ids", "pixel_values", "images_spatial_crop", "images_seq_mask"):
        assert torch.equal(batch[name], wanted[name])


def _parts(content: str, pictures: Any) -> list[dict[str, Any]]:
    tags = content.count("<image>\n")
    shown = [{"type": "image", "image": next(pictures)} for _ in range(tags)]
    return [*shown, {"type": "text", "text": content.replace("<image>\n", "")}]


def test_a_finished_conversation(processor: DeepseekVLV2Processor) -> None:
    messages = talk("Hello", "Hi.")
    text = processor.apply_chat_template(messages)
    wanted = processor(conversations=messages, images=[], inference_mode=False)
    found = processor(text=text, images=[])  # the raw form for generation adds no end
    assert torch.equal(found["input_ids"], wanted["input_ids"])
