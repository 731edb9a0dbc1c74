"""Which classes of weights can be int4: each alone is rounded, and the answers compared.

Used by quality.py. The rest of the model stays as released, so a figure is what rounding that
class alone does to the distribution of the next token.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from deepseek_vl_v2 import DeepseekVLV2Processor
from deepseek_vl_v2.quantized_format import PackedKind, dequantise
from deepseek_vl_v2.quantized_rounding import quantise
from dvl2_cli.quantizing.layout import class_and_kind
from dvl2_cli.quantizing.round_trip import compare, load_plain, predictions


def class_divergences(folder: Path) -> dict[str, dict[str, float]]:
    """For every class of weights, the KL divergence in nats at int8 and at int4."""
    model = load_plain(folder)
    processor = DeepseekVLV2Processor.from_pretrained(folder, local_files_only=True)
    reference = predictions(model, processor)
    classes: dict[str, list[Tensor]] = {}
    for key, parameter in model.named_parameters():
        found = class_and_kind(key, PackedKind.INT4)
        if found is not None:
            classes.setdefault(found[0], []).append(parameter.data)
    divergences: dict[str, dict[str, float]] = {}
    for name, weights in classes.items():
        for kind in (PackedKind.INT8, PackedKind.INT4):
            kept = [weight.clone() for weight in weights]
            for weight in weights:
                _round(weight, kind)
            agreement = compare(reference, predictions(model, processor))
            divergences.setdefault(name, {})[kind.value] = agreement.kl
            for weight, before in zip(weights, kept, strict=True):
                weight.copy_(before)
    return divergences


def _round(weight: Tensor, kind: PackedKind) -> None:
    rows, columns = weight.shape
    weight.copy_(dequantise(quantise(weight, kind).data, rows, columns, torch.float32))
