"""Random Q4_0 weights of a released decoder's shape as a GGUF file, for llama.cpp.

    python benchmarks/random_gguf.py tiny FILE

Tiny becomes llama.cpp's architecture ``deepseek``, Small and 27B ``deepseek2`` with its latent
attention. Every matrix is Q4_0, 4.5 bits a weight as in a dvl2 copy; routers and norms are F32.
The vocabulary has the right size and no meaning. Needs the package ``gguf``.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dvl2_cli.planning.released import NAMES, released_config
from dvl2_cli.sizes import format_size

_BLOCK_VALUES, _BLOCK_BYTES = 32, 18
# Blocks are drawn once and written again, as in a random dvl2 copy.
_POOL_BLOCKS = 1 << 20
# Standard deviation of a Q4_0 value before its scale: 16 even steps around zero.
_SPREAD = 4.61
_BYTE_TOKENS = 256


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """A tensor to write; ``shape`` as torch has it, the contracted side last."""

    name: str
    shape: tuple[int, ...]
    quantised: bool = True


def write_random_gguf(shape: str, path: Path, seed: int = 0) -> int:
    """Write random weights of ``shape`` ("tiny", "small", "base") to ``path``; bytes written.

    Raises:
        ImportError: the package ``gguf`` is missing.
        OSError: no space or no permission.
    """
    gguf: Any = import_module("gguf")
    config = released_config(shape)["language_config"]
    tensors = list(decoder_tensors(config))
    writer = gguf.GGUFWriter(path, architecture(config))
    _add_fields(writer, config)
    _add_vocabulary(writer, gguf.TokenType, config["vocab_size"])
    for tensor in tensors:
        _add_info(writer, tensor, gguf.GGMLQuantizationType)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    values = _Values(seed)
    for tensor in tensors:
        make = values.blocks if tensor.quantised else values.floats
        writer.write_tensor_data(make(tensor))
    writer.close()
    return path.stat().st_size


def architecture(config: dict[str, Any]) -> str:
    """llama.cpp's name for a decoder."""
    return "deepseek2" if config.get("use_mla", True) else "deepseek"


def decoder_tensors(config: dict[str, Any]) -> Iterator[GgufTensor]:
    """Every tensor of a decoder under llama.cpp's names, in file order."""
    hidden, vocabulary = config["hidden_size"], config["vocab_size"]
    yield GgufTensor("token_embd.weight", (vocabulary, hidden))
    yield GgufTensor("output_norm.weight", (hidden,), quantised=False)
    yield GgufTensor("output.weight", (vocabulary, hidden))
    for layer in range(config["num_hidden_layers"]):
        prefix = f"blk.{layer}"
        yield GgufTensor(f"{prefix}.attn_norm.weight", (hidden,), quantised=False)
        yield GgufTensor(f"{prefix}.ffn_norm.weight", (hidden,), quantised=False)
        attention = _latent_attention if config.get("use_mla", True) else _plain_attention
        yield from attention(prefix, config)
        dense = layer < config["first_k_dense_replace"]
        yield from (_dense if dense else _experts)(prefix, config)


def _plain_attention(prefix: str, config: dict[str, Any]) -> Iterator[GgufTensor]:
    hidden = config["hidden_size"]
    kv_width = config["num_key_value_heads"] * (hidden // config["num_attention_heads"])
    yield GgufTensor(f"{prefix}.attn_q.weight", (hidden, hidden))
    yield GgufTensor(f"{prefix}.attn_k.weight", (kv_width, hidden))
    yield GgufTensor(f"{prefix}.attn_v.weight", (kv_width, hidden))
    yield GgufTensor(f"{prefix}.attn_output.weight", (hidden, hidden))


def _latent_attention(prefix: str, config: dict[str, Any]) -> Iterator[GgufTensor]:
    hidden, heads, rank = (
        config["hidden_size"],
        config["num_attention_heads"],
        config["kv_lora_rank"],
    )
    nope, rope = config["qk_nope_head_dim"], config["qk_rope_head_dim"]
    value = config["v_head_dim"]
    yield GgufTensor(f"{prefix}.attn_q.weight", (heads * (nope + rope), hidden))
    yield GgufTensor(f"{prefix}.attn_kv_a_mqa.weight", (rank + rope, hidden))
    yield GgufTensor(f"{prefix}.attn_kv_a_norm.weight", (rank,), quantised=False)
    yield GgufTensor(f"{prefix}.attn_k_b.weight", (heads, rank, nope))
    yield GgufTensor(f"{prefix}.attn_v_b.weight", (heads, value, rank))
    yield GgufTensor(f"{prefix}.attn_output.weight", (hidden, heads * value))


def _dense(prefix: str, config: dict[str, Any]) -> Iterator[GgufTensor]:
    yield from _mlp(prefix, "", config["hidden_size"], config["intermediate_size"], ())


def _experts(prefix: str, config: dict[str, Any]) -> Iterator[GgufTensor]:
    hidden, width = config["hidden_size"], config["moe_intermediate_size"]
    experts = config["n_routed_experts"]
    yield GgufTensor(f"{prefix}.ffn_gate_inp.weight", (experts, hidden), quantised=False)
    if config["topk_method"] == "noaux_tc":
        yield GgufTensor(f"{prefix}.exp_probs_b.bias", (experts,), quantised=False)
    yield from _mlp(prefix, "_exps", hidden, width, (experts,))
    yield from _mlp(prefix, "_shexp", hidden, width * config["n_shared_experts"], ())


def _mlp(
    prefix: str, suffix: str, hidden: int, width: int, ahead: tuple[int, ...]
) -> Iterator[GgufTensor]:
    yield GgufTensor(f"{prefix}.ffn_gate{suffix}.weight", (*ahead, width, hidden))
    yield GgufTensor(f"{prefix}.ffn_up{suffix}.weight", (*ahead, width, hidden))
    yield GgufTensor(f"{prefix}.ffn_down{suffix}.weight", (*ahead, hidden, width))


def _add_fields(writer: Any, config: dict[str, Any]) -> None:
    latent = config.get("use_mla", True)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(1 if latent else config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_expert_count(config["n_routed_experts"])
    writer.add_expert_used_count(config["num_experts_per_tok"])
    writer.add_expert_shared_count(config["n_shared_experts"])
    writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    writer.add_expert_weights_scale(float(config.get("routed_scaling_factor", 1.0)))
    writer.add_leading_dense_block_count(config["first_k_dense_replace"])
    if latent:
        rank, rope = config["kv_lora_rank"], config["qk_rope_head_dim"]
        writer.add_kv_lora_rank(rank)
        writer.add_key_length(rank + rope)
        writer.add_value_length(rank)
        writer.add_key_length_mla(config["qk_nope_head_dim"] + rope)
        writer.add_value_length_mla(config["v_head_dim"])
        writer.add_rope_dimension_count(rope)
        writer.add_expert_weights_norm(config["norm_topk_prob"])
        # 1: softmax, 2: sigmoid
        writer.add_uint32(
            "deepseek2.expert_gating_func", 2 if config["scoring_func"] == "sigmoid" else 1
        )


def _add_vocabulary(writer: Any, kinds: Any, size: int) -> None:
    """A SentencePiece vocabulary of made-up words; llama.cpp's server wants to spell answers."""
    special = [("<unk>", kinds.UNKNOWN), ("<s>", kinds.CONTROL), ("</s>", kinds.CONTROL)]
    tokens = [*special, *((f"<0x{byte:02X}>", kinds.BYTE) for byte in range(_BYTE_TOKENS))]
    tokens += [(f"w{number}", kinds.NORMAL) for number in range(size - len(tokens))]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in tokens])
    writer.add_token_scores([0.0] * size)
    writer.add_token_types([kind for _, kind in tokens])


def _add_info(writer: Any, tensor: GgufTensor, types: Any) -> None:
    if tensor.quantised:
        row = tensor.shape[-1] // _BLOCK_VALUES * _BLOCK_BYTES
        shape = (*tensor.shape[:-1], row)
        writer.add_tensor_info(
            tensor.name, shape, np.dtype(np.uint8), math.prod(shape), raw_dtype=types.Q4_0
        )
        return
    size = 4 * math.prod(tensor.shape)
    writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), size)


class _Values:
    """Numbers whose products keep about the size of what they are multiplied with."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        nibbles = self._generator.bytes(_POOL_BLOCKS * _BLOCK_BYTES)
        self._pool = np.frombuffer(nibbles, np.uint8).reshape(-1, _BLOCK_BYTES).copy()

    def blocks(self, tensor: GgufTensor) -> npt.NDArray[np.uint8]:
        scale = np.float16(1 / (_SPREAD * math.sqrt(tensor.shape[-1])))
        self._pool[:, :2].view(np.float16)[:] = scale
        count = math.prod(tensor.shape) // _BLOCK_VALUES
        first = int(self._generator.integers(_POOL_BLOCKS))
        return np.resize(np.roll(self._pool, first, axis=0), (count, _BLOCK_BYTES))

    def floats(self, tensor: GgufTensor) -> npt.NDArray[np.float32]:
        if len(tensor.shape) == 1:
            one = tensor.name.endswith("norm.weight")
            return np.full(tensor.shape, 1.0 if one else 0.0, np.float32)
        scale = 1 / math.sqrt(tensor.shape[-1])
        drawn = self._generator.standard_normal(tensor.shape, np.float32)
        return (drawn * np.float32(scale)).astype(np.float32)


def main() -> None:
    """Parse the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=NAMES)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    size = write_random_gguf(arguments.shape, arguments.file, arguments.seed)
    print(f"{format_size(size)}: {arguments.file}", file=sys.stderr)


if __name__ == "__main__":
    main()
