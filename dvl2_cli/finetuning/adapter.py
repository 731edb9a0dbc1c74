"""LoRA by peft: what is adapted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from dvl2_cli.engine.local.adapter import quiet_peft
from dvl2_cli.finetuning.recipe import Lora

if TYPE_CHECKING:
    from peft import PeftModel

# MLA's kv_b_proj is left out: absorbed attention uses its weight in two other products.
_ATTENTION = r"self_attn\.(q|k|v|o|q_a|q_b)_proj|self_attn\.kv_a_proj_with_mqa"
_DENSE = r"mlp\.(shared_experts\.)?(gate|up|down)_proj"
_ROUTED = r"mlp\.experts\.\d+\.(gate|up|down)_proj"


def target_modules(*, experts: bool) -> str:
    """A pattern for the modules of the whole model that get an adapter.

    The decoder's attention and dense MLPs, shared experts among them; routed experts only on
    request: each sees few of a small dataset's tokens, and there are many.
    """
    parts = [_ATTENTION, _DENSE, *([_ROUTED] if experts else [])]
    return rf"language\.model\.layers\.\d+\.({'|'.join(parts)})"


def add_adapter(model: DeepseekVLV2ForCausalLM, lora: Lora, base: Path) -> PeftModel:
    """Put a fresh adapter into ``model``, in place; the result is only needed to save it."""
    with quiet_peft():
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha or 2 * lora.rank,
            target_modules=target_modules(experts=lora.experts),
            base_model_name_or_path=str(base),
        )
        return get_peft_model(model, config)
