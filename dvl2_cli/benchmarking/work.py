"""Which matrix products a pass of the model does; attention's own products are left out."""

from __future__ import annotations

from deepseek_vl_v2.format.architecture import (
    Architecture,
    DecoderArchitecture,
    VisionTowerArchitecture,
)
from dvl2_cli.benchmarking.limits import Product


def decoder_products(decoder: DecoderArchitecture) -> list[Product]:
    """Products for one token of a prompt: active experts only, without the output head."""
    hidden, layers = decoder.hidden_size, decoder.layers
    products = [*_attention(decoder)]
    moe = decoder.moe_layers
    products += _mlp(hidden, decoder.dense_width, layers - moe)
    if moe:
        products += _mlp(hidden, decoder.expert_width, moe * decoder.experts_per_token)
        products.append(Product(decoder.experts or 0, hidden, moe))
    if moe and decoder.shared_experts:
        products += _mlp(hidden, decoder.expert_width * decoder.shared_experts, moe)
    return [product for product in products if product.multiply_adds]


def tower_products(tower: VisionTowerArchitecture) -> list[Product]:
    """Products for one patch of a tile."""
    width, layers = tower.width, tower.layers
    return [
        Product(3 * width, width, layers),
        Product(width, width, layers),
        Product(tower.mlp_width, width, layers),
        Product(width, tower.mlp_width, layers),
    ]


def multiply_adds(products: list[Product]) -> float:
    """Of all products together, for one input vector."""
    return sum(product.multiply_adds for product in products)


def tile_multiply_adds(parts: Architecture) -> float:
    """Multiply-adds of the tower's linear layers for one tile."""
    return parts.vision.patches * multiply_adds(tower_products(parts.vision))


def _attention(decoder: DecoderArchitecture) -> list[Product]:
    hidden, layers = decoder.hidden_size, decoder.layers
    if not decoder.use_mla:
        kv_width = decoder.kv_heads * (hidden // decoder.heads)
        return [Product(hidden, hidden, 2 * layers), Product(kv_width, hidden, 2 * layers)]
    query = decoder.heads * (decoder.nope_width + decoder.rope_width)
    rank, heads = decoder.kv_lora_rank, decoder.heads
    return [
        Product(query, hidden, layers),
        Product(rank + decoder.rope_width, hidden, layers),
        Product(heads * (decoder.nope_width + decoder.value_width), rank, layers),
        Product(hidden, heads * decoder.value_width, layers),
    ]


def _mlp(hidden: int, width: int, count: int) -> list[Product]:
    return [Product(width, hidden, 2 * count), Product(hidden, width, count)]
