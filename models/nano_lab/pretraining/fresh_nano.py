"""Nano before its first step: the released architecture at a small size, and its tokenizer."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast

from deepseek_vl_v2 import DeepseekVLV2Config, DeepseekVLV2ForCausalLM, DeepseekVLV2Processor
from deepseek_vl_v2.format.template import BOS, EOS, SPECIAL_TOKENS
from dvl2_cli.errors import UsageError
from dvl2_cli.finetuning.base import Base
from dvl2_cli.finetuning.recipe import Recipe
from dvl2_cli.store.policy import Policy
from nano_lab.pretraining.glyph_labels import CHARACTERS
from nano_lab.pretraining.initialise import initialise_tower

# What a recipe names as its base for a nano that is not trained yet.
FRESH_NANO = "fresh-nano"
# All (m, n) with m * n <= 9, in the released order, which decides ties.
CANDIDATES = [
    [384, 384], [384, 768], [768, 384], [384, 1152], [1152, 384], [384, 1536], [1536, 384],
    [768, 768], [384, 1920], [1920, 384], [384, 2304], [2304, 384], [768, 1152], [1152, 768],
    [384, 2688], [2688, 384], [384, 3072], [3072, 384], [768, 1536], [1536, 768], [384, 3456],
    [3456, 384], [1152, 1152],
]  # fmt: skip
# How nano is asked; `calibrate` measures its `doubt_threshold`.
NANO_POLICY = Policy("lines", print_height=26.0, refine_boxes=True, count_by_boxes=True)
VOCABULARY = 320
LOCAL_LAYERS = 6
# Twice the releases': one token is one character here, and a page of nine tiles holds thousands.
CONTEXT = 8192

NANO: dict[str, Any] = {
    "candidate_resolutions": CANDIDATES,
    "global_view_pos": "head",
    "tile_tag": "2D",
    "vision_config": {
        "model_type": "vision",
        "layers": 6,
        "width": 256,
        "heads": 8,
        "mlp_ratio": 4.0,
        "patch_size": 14,
        "image_size": 384,
    },
    "projector_config": {"model_type": "mlp_projector", "input_dim": 256, "n_embed": 256},
    "language_config": {
        "model_type": "deepseek_v2",
        "vocab_size": VOCABULARY,
        "hidden_size": 256,
        "intermediate_size": 768,
        "moe_intermediate_size": 160,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "n_routed_experts": 8,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "first_k_dense_replace": 1,
        "q_lora_rank": None,
        "kv_lora_rank": 208,
        "qk_nope_head_dim": 64,
        "qk_rope_head_dim": 32,
        "v_head_dim": 64,
        "topk_method": "greedy",
        "scoring_func": "softmax",
        "norm_topk_prob": False,
        "n_group": 1,
        "topk_group": 1,
        "routed_scaling_factor": 1.0,
        "max_position_embeddings": CONTEXT,
        "use_mla": True,
    },
}


class FreshNano(Base):
    """Nano before its first step, always in float32."""

    def __init__(self, recipe: Recipe) -> None:
        """Make it anew from the recipe's seed.

        Raises:
            UsageError: an adapter is to be laid over it.
        """
        if recipe.lora is not None:
            raise UsageError("a fresh nano has nothing to lay a LoRA adapter over")
        self.folder = None
        self.dtype = torch.float32
        self.policy = NANO_POLICY
        self._model, self.processor = fresh_nano(recipe.seed)
        self.context = self._model.config.language.max_position_embeddings

    def load(self, dtype: torch.dtype) -> DeepseekVLV2ForCausalLM:
        """The model, whatever ``dtype`` is asked for."""
        return self._model


def fresh_nano(seed: int) -> tuple[DeepseekVLV2ForCausalLM, DeepseekVLV2Processor]:
    """An untrained nano in fp32 and its processor; the same for the same seed."""
    processor = DeepseekVLV2Processor(
        nano_tokenizer(), candidate_resolutions=CANDIDATES, mask_prompt=True, zoom="auto"
    )
    language = {
        **NANO["language_config"],
        "bos_token_id": processor.tokens.bos,
        "eos_token_id": processor.tokens.eos,
    }
    config = DeepseekVLV2Config(**{**NANO, "language_config": language})
    config.image_token_id = processor.tokens.image
    torch.manual_seed(seed)
    model = DeepseekVLV2ForCausalLM(config)
    initialise_tower(model.vision, LOCAL_LAYERS)
    return model, processor


def nano_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE as in the releases, with one token per printed character.

    Its only merges join the bytes of one character, and the double brackets of boxes.
    """
    symbols = ByteLevel.alphabet()
    vocabulary = {symbol: index for index, symbol in enumerate(sorted(symbols))}
    merges: list[tuple[str, str]] = []
    plain = ByteLevel(add_prefix_space=False, use_regex=False)
    for text in [*(char for char in CHARACTERS if not char.isascii()), "[[", "]]"]:
        pieces = list(plain.pre_tokenize_str(text)[0][0])
        joined = pieces[0]
        for piece in pieces[1:]:
            if joined + piece not in vocabulary:
                vocabulary[joined + piece] = len(vocabulary)
                merges.append((joined, piece))
            joined += piece
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in (BOS, EOS, *SPECIAL_TOKENS)]
    )
    bos = tokenizer.token_to_id(BOS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, bos)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=SPECIAL_TOKENS[0],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
