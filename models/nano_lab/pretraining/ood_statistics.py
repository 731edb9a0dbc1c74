"""What training pictures look like to a tower: the statistics behind the OOD warning."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

import torch
from PIL.Image import Image
from torch import Tensor

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM, DeepseekVLV2Processor
from dvl2_cli.engine.local.statistics import FeatureStatistics, pooled
from dvl2_cli.planning.print_size import print_zoom
from nano_lab.rendering.render import render

PICTURES = 600
OOD_QUANTILE = 0.995


def training_pictures(mix: Mapping[str, float], seed: int, count: int) -> Iterator[Image]:
    """``count`` pictures of the training split, of the kinds in ``mix`` that have one."""
    # The word is part of the seed: another one draws other pictures.
    rng = random.Random(f"{seed}/familiar")  # noqa: S311
    while count:
        kind = rng.choices(list(mix), list(mix.values()))[0]
        picture = render(kind, rng.getrandbits(48), "train").image
        if picture is not None:
            yield picture
            count -= 1


@torch.inference_mode()
def feature_statistics(
    model: DeepseekVLV2ForCausalLM,
    processor: DeepseekVLV2Processor,
    mix: Mapping[str, float],
    seed: int,
    count: int = PICTURES,
) -> FeatureStatistics:
    """Mean and variance of pooled tile tokens over half of ``count`` training pictures.

    The threshold is the distance that OOD_QUANTILE of the other half stay under.
    """
    training = model.training
    model.eval()
    rows = torch.stack(
        [_pooled_tokens(model, processor, p) for p in training_pictures(mix, seed, count)]
    )
    model.train(training)
    fitted, others = rows.chunk(2)
    statistics = FeatureStatistics(fitted.mean(0), fitted.var(0).clamp(min=1e-8), 0.0)
    distances = torch.tensor([statistics.distance(row) for row in others])
    return FeatureStatistics(
        statistics.mean, statistics.variance, float(distances.quantile(OOD_QUANTILE))
    )


def _pooled_tokens(
    model: DeepseekVLV2ForCausalLM, processor: DeepseekVLV2Processor, picture: Image
) -> Tensor:
    zoom = print_zoom(picture) if processor.zoom else 1.0
    grid = processor.grid(picture.size, zoom=zoom)
    pixels = processor.pixels(picture, grid)
    return pooled(model.encode_tiles(pixels.to(model.device, model.dtype))).cpu()
