"""Image features, computed once per picture and tile grid and kept for later questions."""

from __future__ import annotations

from collections import OrderedDict

import torch
from PIL.Image import Image
from torch import Tensor

from deepseek_vl_v2.core import ImageTextModel
from deepseek_vl_v2.format.tiling import TileGrid
from deepseek_vl_v2.prompting import PromptEncoder
from dvl2_cli.engine.local.prompt import FeatureKey
from dvl2_cli.engine.local.statistics import pooled


class FeatureCache:
    """Encodes pictures to token sequences; the most recent ones are kept.

    Args:
        model: its tower and projector do the work.
        processor: cuts the tiles.
        most_tokens: how many image tokens are kept in all; the oldest pictures go first.
    """

    def __init__(
        self,
        model: ImageTextModel,
        processor: PromptEncoder,
        most_tokens: int = 32768,
    ) -> None:
        self._model = model
        self._processor = processor
        self._most_tokens = most_tokens
        self._kept: OrderedDict[FeatureKey, tuple[Tensor, Tensor]] = OrderedDict()

    def get(self, picture: Image, key: FeatureKey) -> tuple[Tensor, Tensor]:
        """Token sequence [n, D] of a picture, and the mean of its tile tokens [D] in fp32."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        entry = self._encode(picture, TileGrid(key[1], key[2]))
        self._kept[key] = entry
        while len(self._kept) > 1 and self._token_count() > self._most_tokens:
            self._kept.popitem(last=False)
        return entry

    @torch.inference_mode()
    def _encode(self, picture: Image, grid: TileGrid) -> tuple[Tensor, Tensor]:
        pixels = torch.from_numpy(self._processor.tiles(picture, grid)).to(self._model.device)
        tokens = self._model.encode_tiles(pixels)
        return self._model.assemble(tokens, grid.columns, grid.rows), pooled(tokens)

    def _token_count(self) -> int:
        return sum(len(sequence) for sequence, _ in self._kept.values())
