"""Processor outputs equal upstream's: ids, labels, masks, grids; pixels bit for bit."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch

from deepseek_vl_v2 import PromptError
from deepseek_vl_v2.format import tiling
from tests import golden_data as golden

CASES = [
    (checkpoint, name)
    for checkpoint in golden.CHECKPOINTS
    for name in golden.cases(checkpoint, "processor")["cases"]
]
BATCHES = [
    (checkpoint, name)
    for checkpoint in golden.CHECKPOINTS
    for name in golden.cases(checkpoint, "processor")["batches"]
]
IMAGES = json.loads((golden.ROOT / "images.json").read_text(encoding="utf-8"))


def sha256(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


@pytest.mark.parametrize(("checkpoint", "name"), CASES)
def test_case(checkpoint: str, name: str) -> None:
    case = golden.cases(checkpoint, "processor")["cases"][name]
    expected = golden.tensors(checkpoint, "processor")
    sample = golden.processed(checkpoint, name)
    assert sample.input_ids.tolist() == expected[f"{name}.input_ids"].tolist()
    assert sample.labels.tolist() == expected[f"{name}.target_ids"].tolist()
    assert torch.equal(sample.images_seq_mask, expected[f"{name}.images_seq_mask"].bool())
    assert torch.equal(sample.images_spatial_crop, expected[f"{name}.images_spatial_crop"])
    assert sample.num_image_tokens == case["num_image_tokens"]
    assert list(sample.pixel_values.shape) == case["images_shape"]
    assert sha256(sample.pixel_values) == case["images_f32_sha256"]
    assert sample.sft_format == case["sft_format"]


@pytest.mark.parametrize(("checkpoint", "name"), BATCHES)
def test_batch(checkpoint: str, name: str) -> None:
    case = golden.cases(checkpoint, "processor")["batches"][name]
    expected = golden.tensors(checkpoint, "processor")
    samples = [golden.processed(checkpoint, member) for member in case["cases"]]
    batch = golden.processor(checkpoint).batchify(samples, case["padding"])
    for key in (
        "input_ids",
        "labels",
        "attention_mask",
        "images_seq_mask",
        "images_spatial_crop",
    ):
        assert batch[key].long().tolist() == expected[f"{name}.{key}"].long().tolist(), key
    assert batch["images_seq_mask"].dtype == torch.bool
    assert sha256(batch["pixel_values"]) == case["images_f32_sha256"]


@pytest.mark.parametrize("name", IMAGES["images"])
@pytest.mark.parametrize("mode", ["tiled", "untiled"])
def test_image(name: str, mode: str) -> None:
    facts = IMAGES["images"][name]
    expected = facts[mode]
    processor = golden.processor("mha")
    picture = golden.picture(name)
    assert hashlib.sha256(picture.tobytes()).hexdigest() == facts["rgb_sha256"]
    grid = processor.grid(picture.size, images=1 if mode == "tiled" else 3)
    assert [grid.columns, grid.rows] == expected["spatial_crop_wh"]
    assert grid.count == expected["num_tiles_total"]
    assert grid.tokens(processor.tile_tokens) == expected["num_image_tokens"]
    tiles = tiling.cut_tiles(picture, grid, 384)
    hashes = [hashlib.sha256(np.ascontiguousarray(tile).tobytes()).hexdigest() for tile in tiles]
    assert hashes == expected["tiles_u8_chw_sha256"]
    assert sha256(processor.pixels(picture, grid)) == expected["pixels_f32_sha256"]


def test_best_resolution_table() -> None:
    candidates = golden.processor("mha").candidate_resolutions
    for width, height, *best in IMAGES["best_resolution_table"]:
        assert list(tiling.best_resolution(width, height, candidates)) == best


def test_refusals() -> None:
    processor = golden.processor("mha")
    question = {"role": "user", "content": "hello"}
    answer = {"role": "assistant", "content": ""}
    refused = [
        [{"role": "tool", "content": "x"}, answer],
        [question, {"role": "system", "content": "x"}, answer],
        [question, {"role": "assistant", "content": "a <image> b"}],
        [{"role": "user", "content": "<image>"}, answer],
        [question],
    ]
    for conversation in refused:
        with pytest.raises(PromptError):
            processor.process_one(conversation=conversation, images=[])
    with pytest.raises(TypeError, match="images is None"):
        processor.process_one(conversation=[question, answer], images=None)  # type: ignore[arg-type]
