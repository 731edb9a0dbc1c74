"""DeepSeek-VL2 in plain torch: tower, projector and decoder, with the released key names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from deepseek_vl_v2.attention import LatentForm, MultiHeadLatentAttention
from deepseek_vl_v2.decoder import LanguageModel, TextForCausalLM
from deepseek_vl_v2.format.config import ModelConfig, ProjectorConfig, TextConfig, VisionConfig
from deepseek_vl_v2.projector import Projector, assemble_image
from deepseek_vl_v2.vision import VisionTower

# Tiles per call of the tower: enough to fill the matrix units, bounded in memory.
TILES_PER_BATCH = 16


class Config(Protocol):
    """What the network reads of a configuration, plain or of transformers."""

    global_view_pos: str
    image_token_id: int | None

    @property
    def vision(self) -> VisionConfig:
        """Of the tower."""

    @property
    def projector(self) -> ProjectorConfig:
        """Of the projector."""

    @property
    def language(self) -> TextConfig:
        """Of the decoder."""


class ImageTextModel(nn.Module):
    """The parts of the model and what is done with them, whoever holds them."""

    config: Config
    language: LanguageModel

    def add_parts(self, config: Config, language: LanguageModel) -> None:
        """Make the tower and the projector, and take the decoder."""
        width = config.projector.n_embed
        self.vision = VisionTower(config.vision)
        self.projector = Projector(config.projector)
        self.image_newline = nn.Parameter(torch.zeros(width))
        # The released key is misspelt, and so is this.
        self.view_seperator = nn.Parameter(torch.zeros(width))
        self.language = language

    @property
    def device(self) -> torch.device:
        """Where the weights lie that are not offloaded."""
        return self.image_newline.device

    def set_latent_form(self, form: LatentForm) -> None:
        """Fix the form in which MLA is computed; "auto" takes the cheaper one call by call."""
        for module in self.modules():
            if isinstance(module, MultiHeadLatentAttention):
                module.form = form

    def encode_tiles(self, tiles: Tensor) -> Tensor:
        """Normalised tiles [N, 3, S, S] -> tokens [N, h * h, D]. Equal tiles are computed once.

        An image that fits one tile has two equal ones, its thumbnail and its local view.
        """
        first, index = unique_tiles(tiles)
        parts = [
            self.projector(self.vision(tiles[chunk])) for chunk in first.split(TILES_PER_BATCH)
        ]
        return torch.cat(parts)[index]

    def assemble(self, tokens: Tensor, columns: int, rows: int) -> Tensor:
        """One image's tile tokens [1 + columns * rows, h * h, D] -> its token sequence [n, D]."""
        return assemble_image(
            tokens,
            columns,
            rows,
            self.image_newline,
            self.view_seperator,
            global_first=self.config.global_view_pos == "head",
        )

    def embed(
        self,
        input_ids: Tensor,
        image_features: Sequence[Tensor] | None = None,
        images_seq_mask: Tensor | None = None,
    ) -> Tensor:
        """Embed tokens [B, T] -> [B, T, H], image features taking the image positions in order.

        Raises:
            ValueError: the number of features and of image positions differ.
        """
        embeds: Tensor = self.language.model.embed_tokens(input_ids)
        if not image_features:
            return embeds
        features = torch.cat([part.reshape(-1, part.shape[-1]) for part in image_features])
        images_seq_mask = self._image_positions(input_ids, images_seq_mask)
        places = int(images_seq_mask.sum())
        if places != len(features):
            raise ValueError(
                f"the prompt has {places} image positions and the images {len(features)} tokens"
            )
        return embeds.masked_scatter(images_seq_mask[..., None], features.to(embeds.dtype))

    def _image_positions(self, input_ids: Tensor, images_seq_mask: Tensor | None) -> Tensor:
        ahead = input_ids.shape[1] - (0 if images_seq_mask is None else images_seq_mask.shape[1])
        if images_seq_mask is not None and ahead >= 0:
            # Tokens after the prompt are guesses of assisted decoding, and never images.
            return nn.functional.pad(images_seq_mask.bool(), (0, ahead))
        if self.config.image_token_id is None:
            raise ValueError("config.image_token_id is unknown: pass images_seq_mask")
        # A chunk of the prompt, which the mask of the whole prompt does not fit.
        return input_ids == self.config.image_token_id


class PlainModel(ImageTextModel):
    """The model without transformers: what the engine runs."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.add_parts(config, TextForCausalLM(config.language))


def unique_tiles(tiles: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of the distinct tiles, and for every tile which of them it equals."""
    first: list[int] = []
    index: list[int] = []
    by_sum: dict[float, list[int]] = {}
    for number, key in enumerate(tiles.flatten(1).double().sum(1).tolist()):
        candidates = by_sum.setdefault(key, [])
        match = next((i for i in candidates if torch.equal(tiles[first[i]], tiles[number])), None)
        if match is None:
            match = len(first)
            first.append(number)
            candidates.append(match)
        index.append(match)
    device = tiles.device
    return torch.tensor(first, device=device), torch.tensor(index, device=device)
