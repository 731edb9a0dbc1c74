"""Memory that a run takes beside the weights: the cache, activations and the runtime."""

from __future__ import annotations

from collections.abc import Sequence

from deepseek_vl_v2.format.architecture import Architecture, DecoderArchitecture

# Tiles that the tower takes at once, and tokens of a prompt that the decoder takes at once.
TILES_AT_ONCE = 16
TOKENS_AT_ONCE = 512
# Resident memory of the process with its libraries imported and no model: measured with
# torch 2.13 (CPU) and transformers 5.23 on Linux; see benchmarks/README.md.
RUNTIME_BYTES = 480_000_000
_LANES = 16
_FLOAT = 4


def cache_bytes_per_token(
    decoder: DecoderArchitecture, *, expanded: bool = False, itemsize: int = 2
) -> int:
    """Bytes that one position takes in the key/value cache, all layers together.

    Latent attention keeps one latent and one rotated key for all heads; ``expanded`` gives
    what keeping every head's key and value would take.
    """
    if decoder.use_mla and not expanded:
        width = decoder.kv_lora_rank + decoder.rope_width
    elif decoder.use_mla:
        width = decoder.heads * (decoder.nope_width + decoder.rope_width + decoder.value_width)
    else:
        width = 2 * decoder.kv_heads * (decoder.hidden_size // decoder.heads)
    return decoder.layers * (-(-width // _LANES) * _LANES) * itemsize


def vision_bytes(parts: Architecture, tiles: int) -> int:
    """Peak activations of the tower for ``tiles`` tiles: a block's widest states in float32."""
    tower = parts.vision
    batch = min(tiles, TILES_AT_ONCE)
    # Input, residual, queries with keys and values, and the MLP's hidden states twice.
    width = 6 * tower.width + 2 * tower.mlp_width
    pixels = 3 * tower.image_size**2
    return _FLOAT * (batch * tower.patches * width + tiles * pixels)


def decoder_bytes(parts: Architecture, prompt_tokens: int) -> int:
    """Peak activations of the decoder while it reads a prompt, in float32."""
    decoder = parts.decoder
    batch = min(prompt_tokens, TOKENS_AT_ONCE)
    head_width = decoder.nope_width + decoder.rope_width or decoder.hidden_size // decoder.heads
    attention = 4 * decoder.heads * head_width
    experts = (decoder.experts_per_token or 1) * (2 * decoder.expert_width + decoder.hidden_size)
    width = 4 * decoder.hidden_size + attention + max(experts, 2 * decoder.dense_width)
    expanded = 0
    if decoder.use_mla:
        # Keys and values of the layer at hand, for every position read so far.
        expanded = prompt_tokens * decoder.heads * (2 * head_width + decoder.value_width)
    states = prompt_tokens * decoder.hidden_size
    return _FLOAT * (batch * width + expanded + states + decoder.vocab_size)


def image_tokens(grids: Sequence[tuple[int, int]], side: int = 14) -> int:
    """Tokens that images of (columns, rows) local tiles take, thumbnails included."""
    return sum(
        side * (side + 1) + 1 + rows * side * (columns * side + 1) for columns, rows in grids
    )
