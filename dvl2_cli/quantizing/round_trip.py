"""Does the copy still answer like the original? One prompt with an image, both models.

No calibration data are involved: a drawn page and a passage of mixed text are read by both,
and the distributions of the next token are compared at every position of the text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image, ImageDraw
from torch import Tensor

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM, DeepseekVLV2Processor
from deepseek_vl_v2.quantized_loading import load_quantized
from dvl2_cli.results.models import Agreement

PASSAGE = (
    "The invoice is dated 14 March 2023 and was sent to Hartmann & Sons, 27 Mill Lane. "
    "It lists 12 boxes of paper at 4.80 each, one printer cable at 9.95, and delivery; the "
    "total is 73.15, to be paid within thirty days. To the left of the table there is a small "
    "red square, and below it a blue circle. def area(width, height): return width * height. "
    "Die Rechnung wurde am Montag bezahlt. 发票总额为七十三元。 If a train leaves at 9:40 and "
    "arrives at 11:05, the journey takes one hour and twenty-five minutes."
)


def round_trip(source: Path, copy: Path, *, nf4: bool = False) -> Agreement:
    """Compare the model in ``source`` with its quantised ``copy``; both are read from disk.

    Raises:
        ValueError, OSError: the copy cannot be loaded.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    processor = DeepseekVLV2Processor.from_pretrained(source, local_files_only=True)
    reference = predictions(load_plain(source), processor)
    quantised = _load_nf4(copy) if nf4 else load_quantized(copy)
    return compare(reference, predictions(quantised, processor))


def compare(reference: Tensor, other: Tensor) -> Agreement:
    """Compare two [T, V] arrays of logits."""
    expected, got = reference.double().log_softmax(-1), other.double().log_softmax(-1)
    kl = (expected.exp() * (expected - got)).sum(-1).mean()
    top1 = (reference.argmax(-1) == other.argmax(-1)).double().mean()
    return Agreement(float(kl), float(top1), len(reference))


def sample_page() -> Image.Image:
    """A page of 384 by 384 pixels with text and two shapes."""
    page = Image.new("RGB", (384, 384), "white")
    draw = ImageDraw.Draw(page)
    for line, text in enumerate(("INVOICE 1042", "Paper, 12 boxes   57.60", "Total   73.15")):
        draw.text((40, 40 + 48 * line), text, fill="black", font_size=24)
    draw.rectangle((40, 220, 120, 300), fill="red")
    draw.ellipse((220, 240, 320, 340), outline="blue", width=8)
    return page


@torch.inference_mode()
def predictions(model: DeepseekVLV2ForCausalLM, processor: DeepseekVLV2Processor) -> Tensor:
    """Logits [T, V] at every position of the passage, read after the page."""
    conversation = [
        {"role": "<|User|>", "content": "<image>\nRead the page."},
        {"role": "<|Assistant|>", "content": ""},
    ]
    sample = processor.process_one(conversation=conversation, images=[sample_page()])
    passage = processor.tokenizer.encode(PASSAGE, add_special_tokens=False)
    ids = torch.cat([sample.input_ids, torch.tensor(passage)])
    mask = torch.zeros(len(ids), dtype=torch.bool)
    mask[: len(ids) - len(passage)] = sample.images_seq_mask
    out = model(
        input_ids=ids[None],
        pixel_values=sample.pixel_values[None],
        images_seq_mask=mask[None],
        images_spatial_crop=sample.images_spatial_crop[None],
        use_cache=False,
        logits_to_keep=len(passage),
    )
    return out.logits[0].float()  # type: ignore[no-any-return]


def load_plain(folder: Path) -> DeepseekVLV2ForCausalLM:
    """The model in ``folder``, on the CPU; float16 as float32, which CPUs calculate faster."""
    return _load(folder, None)


def _load(folder: Path, placed: dict[str, str] | None) -> DeepseekVLV2ForCausalLM:
    model = DeepseekVLV2ForCausalLM.from_pretrained(
        folder, dtype="auto", device_map=placed, local_files_only=True
    )
    if model.language.lm_head.weight.dtype is torch.float16:
        model.float()
    return model.eval()  # type: ignore[no-any-return]


def _load_nf4(folder: Path) -> DeepseekVLV2ForCausalLM:
    # bitsandbytes would take a GPU, and what both models are given lies on the CPU.
    model = _load(folder, {"": "cpu"})
    modules: list[Any] = list(model.modules())
    for module in modules:
        # bitsandbytes' packed CPU kernel takes whole blocks of 32 outputs and 64 inputs only.
        if getattr(module, "support_avx512bf16_for_cpu", False) and (
            module.out_features % 32 or module.in_features % 64
        ):
            module.support_avx512bf16_for_cpu = False
    return model
