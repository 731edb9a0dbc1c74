"""The statistics behind the warning of unusual pictures."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM, DeepseekVLV2Processor
from dvl2_cli.engine.local.statistics import load_statistics, save_statistics
from nano_lab.pretraining.ood_statistics import feature_statistics
from tests.golden_data import ROOT
from tests.nano_lab.rendering.fonts_here import need_all


def test_the_threshold_lets_most_training_pictures_through_and_stops_noise(tmp_path: Path) -> None:
    need_all()
    folder = ROOT / "checkpoints" / "mla"
    model = DeepseekVLV2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    processor = DeepseekVLV2Processor.from_pretrained(folder)
    save_statistics(tmp_path, feature_statistics(model, processor, {"primer": 1.0}, 3, count=24))
    found = load_statistics(tmp_path)
    assert found is not None
    noise = Image.effect_noise((384, 384), 120).convert("RGB")
    pixels = processor.pixels(noise, processor.grid(noise.size, images=1))
    with torch.inference_mode():
        pooled = model.encode_tiles(pixels).float().mean(dim=(0, 1))
    assert found.distance(pooled) > found.threshold > found.distance(found.mean)
