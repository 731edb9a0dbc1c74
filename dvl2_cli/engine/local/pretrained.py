"""Models that only transformers can load: with an adapter, or packed by bitsandbytes."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from dvl2_cli.engine.local.adapter import merge_adapter
from dvl2_cli.store.checkpoint import CheckpointInfo


def load_pretrained(
    info: CheckpointInfo, *, device: str, dtype: torch.dtype | None, adapter: str | None
) -> DeepseekVLV2ForCausalLM:
    """The model in a checked folder; see ``load_model`` for the arguments."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    # bitsandbytes places its own weights, and unasked on a GPU wherever there is one.
    placed = {"": device} if info.quant_method == "bitsandbytes" else None
    model: DeepseekVLV2ForCausalLM = DeepseekVLV2ForCausalLM.from_pretrained(
        info.folder, dtype=dtype or "auto", device_map=placed, local_files_only=True
    )
    model.train(False)
    return model if adapter is None else merge_adapter(model, Path(adapter))
