"""ctypes mirrors of the structures in packed.h, model.h and dense_attention.h."""

from __future__ import annotations

from ctypes import POINTER, Structure, c_float, c_int32, c_int64, c_void_p
from enum import IntEnum
from typing import ClassVar


class MatrixKind(IntEnum):
    """How the weights of a matrix are stored."""

    ABSENT = 0
    FLOAT32 = 1
    BFLOAT16 = 2
    INT4 = 3
    INT8 = 4


class Matrix(Structure):
    """A linear map; ``data`` must outlive it."""

    _fields_: ClassVar = [
        ("kind", c_int32),
        ("rows", c_int32),
        ("columns", c_int32),
        ("reserved", c_int32),
        ("data", c_void_p),
    ]


class Layer(Structure):
    """The weights of one decoder layer."""

    _fields_: ClassVar = [
        ("input_norm", c_void_p),
        ("post_norm", c_void_p),
        ("query", Matrix),
        ("key", Matrix),
        ("value", Matrix),
        ("latent", Matrix),
        ("key_up", Matrix),
        ("latent_up", Matrix),
        ("latent_norm", c_void_p),
        ("output", Matrix),
        ("gate", Matrix),
        ("up", Matrix),
        ("down", Matrix),
        ("router", Matrix),
        ("router_bias", c_void_p),
        ("experts", POINTER(Matrix)),
    ]


class Row(Structure):
    """Where one row of a step stands: the cache of its sequence, and its position there."""

    _fields_: ClassVar = [
        ("keys", c_void_p),
        ("values", c_void_p),
        ("layer_stride", c_int64),
        ("head_stride", c_int64),
        ("position", c_int64),
    ]


class DecoderShape(Structure):
    """Everything that a decoding step needs to know of a decoder."""

    _fields_: ClassVar = [
        *(
            (name, c_int32)
            for name in (
                "hidden",
                "vocabulary",
                "layers",
                "heads",
                "key_value_heads",
                "head_width",
                "latent_attention",
                "nope",
                "rope",
                "value_width",
                "rank",
                "cache_is_bfloat16",
            )
        ),
        ("cache_stride", c_int64),
        *(
            (name, c_int32)
            for name in (
                "experts",
                "top_k",
                "scoring_is_sigmoid",
                "groups",
                "kept_groups",
                "renormalise",
            )
        ),
        *(
            (name, c_float)
            for name in ("routed_scale", "norm_eps", "latent_norm_eps", "score_scale")
        ),
        ("rope_frequencies", c_void_p),
        ("final_norm", c_void_p),
        ("embedding", Matrix),
        ("head", Matrix),
        ("exact_head", Matrix),
        ("layer", POINTER(Layer)),
    ]


class DenseAttention(Structure):
    """Queries, keys and values of many heads; strides from one batch, head or position on."""

    _fields_: ClassVar = [
        *((name, c_void_p) for name in ("queries", "keys", "values", "out")),
        *(
            (name, c_int64 * 3)
            for name in ("query_strides", "key_strides", "value_strides", "out_strides")
        ),
        *(
            (name, c_int32)
            for name in (
                "batch",
                "heads",
                "query_count",
                "key_count",
                "key_width",
                "value_width",
                "causal",
                "in_is_float32",
                "out_is_float32",
            )
        ),
        ("scale", c_float),
    ]
