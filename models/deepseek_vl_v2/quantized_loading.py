"""A quantised copy as a model of transformers."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import initialization

from deepseek_vl_v2.configuration import DeepseekVLV2Config
from deepseek_vl_v2.mapped_loading import map_tensors, place_packed
from deepseek_vl_v2.modeling import DeepseekVLV2ForCausalLM, image_token_id

__all__ = ["load_quantized", "map_tensors"]


def load_quantized(folder: Path) -> DeepseekVLV2ForCausalLM:
    """The model in a folder that ``dvl2 quantize`` wrote, on the CPU, ready for inference.

    Raises:
        ValueError: not such a folder, of another format version, or a tensor does not fit
            the module that it names.
        OSError: a file is missing or unreadable.
    """
    config = DeepseekVLV2Config.from_pretrained(folder)
    table = getattr(config, "quantization_config", None)
    if table is not None:
        # transformers would otherwise look for a quantiser of that name when it saves or moves.
        del config.quantization_config
    with torch.device("meta"), initialization.no_init_weights():
        model = DeepseekVLV2ForCausalLM(config)
    place_packed(model, folder, table)
    if config.image_token_id is None:
        config.image_token_id = image_token_id(str(folder))
    return model
