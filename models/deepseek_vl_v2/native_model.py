"""A torch model's weights as the structures that the compiled kernels take."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from deepseek_vl_v2.attention import LATENT_NORM_EPS
from deepseek_vl_v2.core import ImageTextModel
from deepseek_vl_v2.format.config import TextConfig
from deepseek_vl_v2.kernels.structures import DecoderShape, Layer, Matrix, MatrixKind
from deepseek_vl_v2.moe import GatedMlp, MixtureOfExperts
from deepseek_vl_v2.native_cache import CacheForm
from deepseek_vl_v2.quantized_linear import (
    QuantizedLatentUpProjection,
    QuantizedLinear,
    packed_matrix,
)

_LANES = 16
_UNQUANTIZED_KINDS = {torch.float32: MatrixKind.FLOAT32, torch.bfloat16: MatrixKind.BFLOAT16}


class UnsupportedModelError(RuntimeError):
    """A model that the compiled kernels do not cover; torch can run it."""


class NativeModel:
    """``shape`` for the kernels, with every array that it points to kept alive.

    Attributes:
        shape: what ``dvl2_decoder_new`` takes.
        cache_form: of the cache that a sequence needs.
        query_width: channels of the queries of all heads.

    Raises:
        UnsupportedModelError: naming what is not covered.
    """

    def __init__(self, model: ImageTextModel) -> None:
        config = model.config.language
        decoder = model.language.model
        _check_config(config)
        self._kept: list[Any] = []
        self._config = config
        embedding = decoder.embed_tokens.weight
        dtype = torch.float32 if embedding.dtype is torch.float32 else torch.bfloat16
        count = config.num_hidden_layers
        self.cache_form = CacheForm(
            layers=count,
            heads=1 if config.use_mla else _key_value_heads(config),
            width=self._cache_width(),
            has_values=not config.use_mla,
            dtype=dtype,
        )
        layers = (Layer * count)(
            *(self._layer(layer, index) for index, layer in enumerate(decoder.layers))
        )
        self.query_width = config.num_attention_heads * config.head_dim
        self.shape = self._shape(model, layers)
        self._kept += [model, layers]

    def _cache_width(self) -> int:
        config = self._config
        if not config.use_mla:
            return config.head_dim
        width = (config.kv_lora_rank or 0) + config.qk_rope_head_dim
        return -(-width // _LANES) * _LANES

    def _shape(self, model: ImageTextModel, layers: Any) -> DecoderShape:
        config, decoder = self._config, model.language.model
        width = config.qk_rope_head_dim if config.use_mla else config.head_dim
        exponent = torch.arange(0, width, 2, dtype=torch.float32) / width
        head = model.language.lm_head
        exact = getattr(head, "exact_rows", None)
        return DecoderShape(
            hidden=config.hidden_size,
            vocabulary=config.vocab_size,
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            key_value_heads=_key_value_heads(config),
            head_width=config.head_dim,
            latent_attention=config.use_mla,
            nope=config.qk_nope_head_dim if config.use_mla else 0,
            rope=config.qk_rope_head_dim if config.use_mla else 0,
            value_width=config.v_head_dim if config.use_mla else config.head_dim,
            rank=(config.kv_lora_rank or 0) if config.use_mla else 0,
            cache_is_bfloat16=self.cache_form.dtype is torch.bfloat16,
            cache_stride=self.cache_form.width,
            experts=config.n_routed_experts or 0,
            top_k=config.num_experts_per_tok or 1,
            scoring_is_sigmoid=config.scoring_func == "sigmoid",
            groups=config.n_group or 1,
            kept_groups=config.topk_group or 1,
            renormalise=config.norm_topk_prob,
            routed_scale=config.routed_scaling_factor,
            norm_eps=config.rms_norm_eps,
            latent_norm_eps=LATENT_NORM_EPS,
            score_scale=config.head_dim**-0.5,
            rope_frequencies=self._vector(1.0 / config.rope_theta**exponent),
            final_norm=self._vector(decoder.norm.weight),
            embedding=self._plain(decoder.embed_tokens.weight, "embed_tokens"),
            head=self._matrix(head, "lm_head"),
            exact_head=Matrix() if exact is None else self._plain(exact, "lm_head.exact_rows"),
            layer=layers,
        )

    def _layer(self, layer: Any, index: int) -> Layer:
        name = f"layers.{index}"
        out = Layer(
            input_norm=self._vector(layer.input_layernorm.weight),
            post_norm=self._vector(layer.post_attention_layernorm.weight),
        )
        self._fill_attention(out, layer.self_attn, f"{name}.self_attn")
        self._fill_feed_forward(out, layer.mlp, f"{name}.mlp")
        return out

    def _fill_attention(self, out: Layer, attention: Any, name: str) -> None:
        out.query = self._matrix(attention.q_proj, f"{name}.q_proj")
        out.output = self._matrix(attention.o_proj, f"{name}.o_proj")
        if not self._config.use_mla:
            out.key = self._matrix(attention.k_proj, f"{name}.k_proj")
            out.value = self._matrix(attention.v_proj, f"{name}.v_proj")
            return
        up = attention.kv_b_proj
        out.latent = self._matrix(attention.kv_a_proj_with_mqa, f"{name}.kv_a_proj_with_mqa")
        out.latent_norm = self._vector(attention.kv_a_layernorm.weight)
        out.latent_up = self._matrix(up, f"{name}.kv_b_proj")
        if isinstance(up, QuantizedLatentUpProjection):
            rows = self._config.num_attention_heads * up.in_features
            out.key_up = packed_matrix(up.key_absorbed, rows, up.key_dim)

    def _fill_feed_forward(self, out: Layer, mlp: nn.Module, name: str) -> None:
        every: GatedMlp | None
        if isinstance(mlp, MixtureOfExperts):
            out.router = self._plain(mlp.gate.weight, f"{name}.gate")
            if mlp.gate.corrected:
                out.router_bias = self._vector(mlp.gate.e_score_correction_bias)
            matrices = [
                self._matrix(linear, f"{name}.experts.{number}")
                for number, expert in enumerate(cast(Iterable[GatedMlp], mlp.experts))
                for linear in (expert.gate_proj, expert.up_proj, expert.down_proj)
            ]
            array = (Matrix * len(matrices))(*matrices)
            self._kept.append(array)
            out.experts = ctypes.cast(array, ctypes.POINTER(Matrix))
            every = mlp.shared_experts
        else:
            assert isinstance(mlp, GatedMlp)  # noqa: S101
            every = mlp
        if every is not None:
            out.gate = self._matrix(every.gate_proj, f"{name}.gate_proj")
            out.up = self._matrix(every.up_proj, f"{name}.up_proj")
            out.down = self._matrix(every.down_proj, f"{name}.down_proj")

    def _matrix(self, module: nn.Module, name: str) -> Matrix:
        if getattr(module, "bias", None) is not None:
            raise UnsupportedModelError(f"{name} has a bias")
        if isinstance(module, QuantizedLinear):
            return packed_matrix(module.weight, module.out_features, module.in_features)
        # An exact type: adapters and other quantisers wrap or subclass linear layers.
        if type(module) is not nn.Linear and type(module).__name__ != "LatentUpProjection":
            raise UnsupportedModelError(f"{name} is a {type(module).__name__}")
        return self._plain(module.weight, name)

    def _plain(self, weight: Any, name: str) -> Matrix:
        kind = _UNQUANTIZED_KINDS.get(weight.dtype)
        if kind is None or weight.device.type != "cpu" or not weight.is_contiguous():
            raise UnsupportedModelError(f"{name} is {weight.dtype} on {weight.device}")
        self._kept.append(weight)
        rows, columns = weight.shape
        return Matrix(kind=kind, rows=rows, columns=columns, reserved=0, data=weight.data_ptr())

    def _vector(self, values: Tensor) -> int:
        wide = values.detach().float().contiguous()
        self._kept.append(wide)
        return wide.data_ptr()


def _check_config(config: TextConfig) -> None:
    problems = {
        "attention_bias": config.attention_bias,
        "rope_scaling": config.rope_scaling is not None,
        "hidden_act": config.hidden_act != "silu",
        "q_lora_rank": config.use_mla and config.q_lora_rank is not None,
        "kv_lora_rank": config.use_mla and (config.kv_lora_rank or 1) % _LANES != 0,
        "qk_rope_head_dim": config.use_mla and not 0 < config.qk_rope_head_dim <= 1024,
        "head_dim": not config.use_mla and (config.head_dim % _LANES or config.head_dim > 1024),
    }
    for name, unsupported in problems.items():
        if unsupported:
            raise UnsupportedModelError(f"{name} is {getattr(config, name)}")


def _key_value_heads(config: TextConfig) -> int:
    return config.num_key_value_heads or config.num_attention_heads
