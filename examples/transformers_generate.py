"""DeepSeek-VL2 through transformers: the Auto classes, with no remote code.

python examples/transformers_generate.py MODEL_FOLDER PICTURE "What is in the picture?"
"""

from __future__ import annotations

import sys

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

import deepseek_vl_v2  # registers the classes


def answer(folder: str, picture: str, question: str) -> str:
    """The greedy answer to a question about a picture."""
    processor: deepseek_vl_v2.DeepseekVLV2Processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype="auto")
    conversation = [
        {"role": "user", "content": f"<image>\n{question}"},
        {"role": "assistant", "content": ""},
    ]
    with Image.open(picture) as opened:
        inputs = processor(conversations=conversation, images=[opened.convert("RGB")])
    inputs.pop("labels")
    end = processor.tokens.eos
    with torch.inference_mode():
        output = model.generate(
            **inputs, max_new_tokens=64, do_sample=False, eos_token_id=end, pad_token_id=end
        )
    new_tokens = output[0, inputs["input_ids"].shape[1] :]
    return processor.decode(new_tokens, skip_special_tokens=True).strip()


if __name__ == "__main__":
    print(answer(*sys.argv[1:4]))
