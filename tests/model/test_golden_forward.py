"""Tower, projector, hidden states, router choices and logits equal upstream's in float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from deepseek_vl_v2.attention import LatentForm
from deepseek_vl_v2.moe import Router, Routing
from tests import golden_data as golden

LOGITS_CASES = [
    (checkpoint, name)
    for checkpoint in golden.CHECKPOINTS
    for name in golden.cases(checkpoint, "logits")["cases"]
]


def worst(left: Tensor, right: Tensor) -> float:
    return float((left - right).abs().max())


@pytest.fixture
def latent_form(request: pytest.FixtureRequest) -> Iterator[LatentForm]:
    form: LatentForm = request.param
    for checkpoint in golden.CHECKPOINTS:
        golden.model(checkpoint).set_latent_form(form)
    yield form
    for checkpoint in golden.CHECKPOINTS:
        golden.model(checkpoint).set_latent_form("auto")


@pytest.mark.parametrize("checkpoint", golden.CHECKPOINTS)
@torch.no_grad()
def test_vision_and_projector(checkpoint: str) -> None:
    model = golden.model(checkpoint)
    expected = golden.tensors(checkpoint, "vision")
    tiles = golden.processed(checkpoint, "p02_one_image").pixel_values[:2]
    embedded = model.vision.patch_embed(tiles[:1]) + model.vision.pos_embed
    assert worst(embedded[:, :64], expected["tile0.patch_embed_plus_pos"]) < golden.VISION_TOLERANCE
    features = model.vision(tiles)
    tokens = model.projector(features)
    for index in range(2):
        tile = slice(index, index + 1)
        assert worst(features[tile], expected[f"tile{index}.vision"]) < golden.VISION_TOLERANCE
        assert worst(tokens[tile], expected[f"tile{index}.projector"]) < golden.VISION_TOLERANCE


@pytest.mark.parametrize("latent_form", ["auto", "absorbed", "expanded"], indirect=True)
@pytest.mark.parametrize(("checkpoint", "name"), LOGITS_CASES)
@torch.no_grad()
def test_logits(checkpoint: str, name: str, latent_form: LatentForm) -> None:
    case = golden.cases(checkpoint, "logits")["cases"][name]
    expected = golden.tensors(checkpoint, "logits")
    model = golden.model(checkpoint)
    inputs = golden.model_inputs(checkpoint, case["processor_cases"])
    routings = record_routing(model)
    out = model(**inputs, use_cache=False, output_hidden_states=True)
    logits = expected[f"{name}.logits"]
    kept = logits.shape[1]
    assert worst(out.logits[:, -kept:], logits) < golden.LOGITS_TOLERANCE
    assert out.logits[:, -kept:].argmax(-1).tolist() == case["argmax"]
    for index, hidden in enumerate(out.hidden_states):
        if f"{name}.hidden_{index}" in expected:
            theirs = expected[f"{name}.hidden_{index}"]
            assert worst(hidden[:, -theirs.shape[1] :], theirs) < golden.LOGITS_TOLERANCE
    for layer, routing in routings.items():
        if f"{name}.router_{layer}.ids" in expected:
            check_routing(routing, expected, f"{name}.router_{layer}", batch=logits.shape[0])


@pytest.mark.parametrize("checkpoint", golden.CHECKPOINTS)
@torch.no_grad()
def test_merged_embeddings(checkpoint: str) -> None:
    model = golden.model(checkpoint)
    expected = golden.tensors(checkpoint, "logits")
    inputs = golden.model_inputs(checkpoint, ["p02_one_image"])
    features = model.get_image_features(inputs["pixel_values"], inputs["images_spatial_crop"])
    embeds = model.embed(inputs["input_ids"], features.pooler_output, inputs["images_seq_mask"])
    first = expected["l02_one_image.inputs_embeds_first_256"]
    assert worst(embeds[:, :256], first) < golden.VISION_TOLERANCE
    sums = expected["l02_one_image.inputs_embeds_rowsum"]
    assert worst(embeds.sum(-1), sums) < golden.LOGITS_TOLERANCE


def record_routing(model: DeepseekVLV2ForCausalLM) -> dict[int, Routing]:
    """Let every router of the next forward leave its routing in the returned dictionary."""
    routings: dict[int, Routing] = {}
    for index, layer in enumerate(model.language.model.layers):
        gate = getattr(layer.mlp, "gate", None)
        if isinstance(gate, Router):

            def keep(_: Any, __: Any, routing: Routing, index: int = index) -> None:
                routings.setdefault(index, routing)

            gate.register_forward_hook(keep)
    return routings


def check_routing(routing: Routing, expected: dict[str, Tensor], prefix: str, batch: int) -> None:
    ids, order = routing.experts.sort(-1)
    weights = routing.weights.gather(1, order)
    top_k = ids.shape[1]
    theirs = expected[f"{prefix}.ids"]
    kept = theirs.shape[1]
    assert ids.view(batch, -1, top_k)[:, -kept:].tolist() == theirs.tolist()
    ours = weights.view(batch, -1, top_k)[:, -kept:]
    assert worst(ours, expected[f"{prefix}.weights"]) < golden.ROUTER_TOLERANCE
