"""The model that a run starts from."""

from __future__ import annotations

from pathlib import Path

import torch

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM, DeepseekVLV2Processor
from dvl2_cli.errors import UsageError
from dvl2_cli.finetuning.recipe import Recipe
from dvl2_cli.store.checkpoint import check_checkpoint
from dvl2_cli.store.resolve import PLAIN, ModelSpec, resolve

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class Base:
    """A checked checkpoint with plain weights.

    Attributes:
        folder: where the checkpoint lies; None where there is none yet.
        dtype: of the checkpoint's weights, in which results are written.
        context: the most tokens of a conversation.
        processor: tokenizer and tiling rules.
        policy: of the checkpoint, which results keep.
    """

    def __init__(self, recipe: Recipe) -> None:
        """Find the recipe's base; its weights are not read yet.

        Raises:
            ModelError: the base is not on this machine, or not sound.
            UsageError: it is a quantised copy.
        """
        spec = ModelSpec(recipe.base, "the recipe", PLAIN)
        self.folder: Path | None = resolve(spec).folder.resolve()
        info = check_checkpoint(self.folder)
        if info.quant_method is not None:
            raise UsageError(
                f"{self.folder} is a quantised copy, and cannot be trained",
                "Give the model with plain weights.",
            )
        self.dtype = _DTYPES.get(next(iter(info.tensors.values())).dtype, torch.float32)
        self.processor = DeepseekVLV2Processor.from_pretrained(self.folder, local_files_only=True)
        self.policy = info.policy
        # Small print is trained at the size that it will be shown at.
        self.processor.zoom = None if info.policy.print_height is None else "auto"
        self.context = info.architecture.decoder.context_length

    def load(self, dtype: torch.dtype) -> DeepseekVLV2ForCausalLM:
        """The model with weights of ``dtype``."""
        model: DeepseekVLV2ForCausalLM = DeepseekVLV2ForCausalLM.from_pretrained(
            self.folder, dtype=dtype, local_files_only=True
        )
        return model
