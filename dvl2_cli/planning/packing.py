"""How many bytes a tensor takes in each format; knows layouts, not weights."""

from __future__ import annotations

import math
import re

from deepseek_vl_v2.format.architecture import Architecture
from dvl2_cli.store.keys import ABSORBED, EXACT_ROWS, absorbed_tensors, packed_shape

_BF16 = 2
# bitsandbytes NF4: half a byte a weight, one float32 scale for 64 of them, itself stored in
# 8 bits with a float32 for 256 scales (double quantisation).
_NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
# As in dvl2_cli/quantizing/layout.py, which imports torch; tests hold the two together.
_PACKED = re.compile(
    r"^language\.lm_head\.weight$"
    r"|^vision\.blocks\.\d+\.(attn|mlp)\.\w+\.weight$"
    r"|^projector\.layers\.\d+\.weight$"
    r"|^language\.model\.layers\..*_proj(_with_mqa)?\.weight$"
)
_ALWAYS_INT8 = re.compile(r"^vision\.|^projector\.|\.kv_(a_proj_with_mqa|b_proj)\.")


def stored_bytes(key: str, shape: tuple[int, ...], quant: str) -> int:
    """Bytes of the tensor ``key`` of ``shape`` in a copy of ``quant``."""
    elements = math.prod(shape)
    kind = stored_kind(key, quant)
    if kind == "nf4":
        return int(elements * _NF4_BYTES)
    if kind in ("int4", "int8"):
        return math.prod(packed_shape(kind, *shape))
    return elements * _BF16


def stored_kind(key: str, quant: str) -> str:
    """``none``, ``int8``, ``int4`` or ``nf4``: how ``key`` is kept in a copy of ``quant``."""
    if quant == "nf4":
        inside = key.startswith("language.model.layers.") and _PACKED.match(key)
        return "nf4" if inside else "none"
    if quant == "none" or not (_PACKED.match(key) or key.endswith(ABSORBED)):
        return "none"
    return "int8" if _ALWAYS_INT8.search(key) or key.endswith(ABSORBED) else quant


def added_tensors(parts: Architecture, quant: str) -> dict[str, tuple[int, ...]]:
    """Tensors that a packed copy has beside the released ones, with their unpacked shapes."""
    if quant not in ("int4", "int8"):
        return {}
    added: dict[str, tuple[int, ...]] = dict(absorbed_tensors(parts))
    if quant == "int4" and not parts.decoder.tied_head:
        added[EXACT_ROWS] = (parts.decoder.vocab_size, parts.decoder.hidden_size)
    return added
