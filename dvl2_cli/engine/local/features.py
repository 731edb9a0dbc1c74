"""Image features, computed once per picture and tile grid and kept for later questions."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from PIL.Image import Image
from torch import Tensor

from deepseek_vl_v2.core import TILES_PER_BATCH, ImageTextModel, unique_tiles
from deepseek_vl_v2.format.tiling import TileGrid
from deepseek_vl_v2.prompting import PromptEncoder
from dvl2_cli.engine.local.prompt import FeatureKey
from dvl2_cli.engine.local.statistics import pooled


@dataclass(frozen=True, slots=True)
class Features:
    """One encoded picture: its tokens [n, D], and the mean of its tiles' tokens [D] in fp32."""

    tokens: Tensor
    pooled: Tensor


class PictureEncoding:
    """Encodes the tiles of one picture, a few at a time.

    Which tiles go together depends on the picture alone: so do the bits of its features. On a
    CPU it is one, which fills the cores; equal tiles are encoded once.

    Args:
        model: its tower and projector do the work.
        pixels: normalised tiles [1 + columns * rows, 3, S, S], thumbnail first.
        grid: of the local tiles.
    """

    def __init__(self, model: ImageTextModel, pixels: Tensor, grid: TileGrid) -> None:
        self._model, self._pixels, self._grid = model, pixels, grid
        first, self._index = unique_tiles(pixels)
        # Equal tiles alone, as of a picture that is its own thumbnail, need no choice.
        size = 1 if model.device.type == "cpu" else TILES_PER_BATCH
        self._groups = [pixels] if len(first) == 1 else list(pixels[first].split(size))
        self._done: list[Tensor] = []

    @torch.inference_mode()
    def go_on(self) -> Features | None:
        """Encode the next tiles; the features when all are through."""
        self._done.append(self._model.encode_tiles(self._groups[len(self._done)]))
        if len(self._done) < len(self._groups):
            return None
        tokens = torch.cat(self._done)
        if len(tokens) < len(self._index):
            tokens = tokens[self._index]
        sequence = self._model.assemble(tokens, self._grid.columns, self._grid.rows)
        return Features(sequence, pooled(tokens))


class FeatureCache:
    """The features of the pictures that were met most recently, by content.

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
        self._kept: OrderedDict[FeatureKey, Features] = OrderedDict()

    def find(self, key: FeatureKey) -> Features | None:
        """The features of a picture, where they are kept."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def begin(self, picture: Image, key: FeatureKey) -> PictureEncoding:
        """Cut a picture into tiles, which are encoded later."""
        grid = TileGrid(key[1], key[2])
        pixels = torch.from_numpy(self._processor.tiles(picture, grid)).to(self._model.device)
        return PictureEncoding(self._model, pixels, grid)

    def put(self, key: FeatureKey, features: Features) -> None:
        """Keep the features of a picture, in place of older ones where there are too many."""
        self._kept[key] = features
        while len(self._kept) > 1 and self._token_count() > self._most_tokens:
            self._kept.popitem(last=False)

    def get(self, picture: Image, key: FeatureKey) -> Features:
        """The features of a picture, encoded now where they are not kept."""
        features = self.find(key)
        if features is None:
            encoding = self.begin(picture, key)
            while features is None:
                features = encoding.go_on()
            self.put(key, features)
        return features

    def _token_count(self) -> int:
        return sum(len(item.tokens) for item in self._kept.values())
