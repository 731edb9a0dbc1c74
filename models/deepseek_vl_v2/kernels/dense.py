"""Attention and GELU over many positions: compiled where that is faster, else torch's own.

The compiled forms are for inference in bfloat16 on a CPU. Everything else, and training, goes
through torch.
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor
from torch.nn import functional

from deepseek_vl_v2.kernels import library as kernels
from deepseek_vl_v2.kernels.structures import DenseAttention


def merged_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Attention with the heads side by side in the result.

    Args:
        query: [N, heads, T, K].
        key: [N, heads, S, K], S at least T.
        value: [N, heads, S, W].
        causal: whether the last T positions are the queries' own, and none sees a later one.
        scale: of the scores; None for K ** -0.5.
        dtype: of the result, that of the queries or float32.

    Returns:
        [N, T, heads * W].
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    dtype = query.dtype if dtype is None else dtype
    if kernels.load_library() is None or not _covered(query, key, value):
        return _in_torch(query, key, value, causal=causal, scale=scale).to(dtype)
    return compiled_attention(query, key, value, causal=causal, scale=scale, dtype=dtype)


def compiled_attention(
    query: Tensor, key: Tensor, value: Tensor, *, causal: bool, scale: float, dtype: torch.dtype
) -> Tensor:
    """``merged_attention`` by the kernels, which must be there.

    A query's result has the same bits however many queries come with it, and whatever comes
    after the last position that it sees.

    Args:
        query: [N, heads, T, K], all three in float32 or in bfloat16 (K even), channels adjacent.
        key: [N, heads, S, K].
        value: [N, heads, S, W].
        causal: see ``merged_attention``.
        scale: of the scores.
        dtype: of the result; float32 for float32 queries.

    Returns:
        [N, T, heads * W].
    """
    library = kernels.load_library()
    assert library is not None  # noqa: S101
    count, heads, length, width = *query.shape[:3], value.shape[3]
    out = torch.empty(count, length, heads * width, dtype=dtype)
    row = heads * width
    attention = DenseAttention(
        queries=query.data_ptr(),
        keys=key.data_ptr(),
        values=value.data_ptr(),
        out=out.data_ptr(),
        query_strides=query.stride()[:3],
        key_strides=key.stride()[:3],
        value_strides=value.stride()[:3],
        out_strides=(length * row, width, row),
        batch=count,
        heads=heads,
        query_count=length,
        key_count=key.shape[2],
        key_width=query.shape[3],
        value_width=width,
        causal=causal,
        in_is_float32=query.dtype is torch.float32,
        out_is_float32=dtype is torch.float32,
        scale=scale,
    )
    kernels.check(library.dvl2_attention(ctypes.byref(attention)))
    return out


def gelu_tanh(states: Tensor) -> Tensor:
    """The tanh form of GELU; ``states`` may be overwritten."""
    library = kernels.load_library()
    if library is None or not _inference_in_bfloat16(states) or not states.is_contiguous():
        return functional.gelu(states, approximate="tanh")
    library.dvl2_gelu(states.data_ptr(), states.numel())
    return states


def _covered(query: Tensor, key: Tensor, value: Tensor) -> bool:
    parts = (query, key, value)
    return query.shape[-1] % 2 == 0 and all(
        _inference_in_bfloat16(part) and part.stride(-1) == 1 for part in parts
    )


def _inference_in_bfloat16(states: Tensor) -> bool:
    trained = torch.is_grad_enabled() and states.requires_grad
    return states.device.type == "cpu" and states.dtype is torch.bfloat16 and not trained


def _in_torch(query: Tensor, key: Tensor, value: Tensor, *, causal: bool, scale: float) -> Tensor:
    width, length, total = value.shape[-1], query.shape[2], key.shape[2]
    # Equal widths keep torch on its flash kernel instead of a [T, S] score matrix.
    value = functional.pad(value, (0, max(0, key.shape[-1] - width)))
    mask = None
    if causal and total > length:
        mask = torch.ones(length, total, dtype=torch.bool, device=query.device)
        mask = mask.tril(total - length)[None, None]
    mixed = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=causal and mask is None, scale=scale
    )
    return mixed[..., :width].transpose(1, 2).flatten(2)
