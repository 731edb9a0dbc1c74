"""Access to the golden data: what the upstream code computed on three tiny checkpoints."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM, DeepseekVLV2Processor, ProcessedSample

ROOT = Path(__file__).parent / "golden"
CHECKPOINTS = ("mha", "mla", "mla-sigmoid")
# Recommended by the data's README, from the noise measured between equal implementations.
LOGITS_TOLERANCE = 1e-4
VISION_TOLERANCE = 2e-5
ROUTER_TOLERANCE = 5e-6


@functools.cache
def model(checkpoint: str) -> Any:
    """A checkpoint in float32, in which all golden numbers were made.

    Untyped, because transformers types ``generate`` for its own classes only.
    """
    loaded = DeepseekVLV2ForCausalLM.from_pretrained(
        ROOT / "checkpoints" / checkpoint, dtype=torch.float32
    )
    loaded.train(False)
    return loaded


@functools.cache
def processor(checkpoint: str) -> DeepseekVLV2Processor:
    return DeepseekVLV2Processor.from_pretrained(ROOT / "checkpoints" / checkpoint)


@functools.cache
def cases(checkpoint: str, kind: str) -> dict[str, Any]:
    path = ROOT / "cases" / checkpoint / f"{kind}.json"
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


@functools.cache
def tensors(checkpoint: str, kind: str) -> dict[str, Tensor]:
    return load_file(ROOT / "cases" / checkpoint / f"{kind}.safetensors")


def picture(name: str) -> Image.Image:
    with Image.open(ROOT / "images" / name) as opened:
        return opened.convert("RGB")


def pictures_of(case: dict[str, Any]) -> list[Image.Image]:
    """The pictures of a case, as opened: the processor converts them."""
    names = [name for turn in case.get("conversation", []) for name in turn.get("images", [])]
    return [_as_opened(name) for name in [*names, *case.get("images", [])]]


def _as_opened(name: str) -> Image.Image:
    with Image.open(ROOT / "images" / name) as opened:
        return opened.copy()


@functools.cache
def processed(checkpoint: str, name: str) -> ProcessedSample:
    """A processor case, processed here."""
    case = cases(checkpoint, "processor")["cases"][name]
    if case["api"] == "conversations":
        request = {"conversation": case["conversation"]}
    else:
        request = {"prompt": case["prompt"], "apply_sft_format": case["apply_sft_format"]}
    return processor(checkpoint).process_one(
        images=pictures_of(case),
        inference_mode=case["inference_mode"],
        system_prompt=case.get("system_prompt", ""),
        **request,
    )


def model_inputs(checkpoint: str, names: list[str]) -> dict[str, Tensor]:
    """A left-padded batch of processor cases, without labels."""
    batch = processor(checkpoint).batchify([processed(checkpoint, name) for name in names])
    batch.pop("labels")
    return dict(batch)
