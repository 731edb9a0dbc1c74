"""One prompt as it is read, in pieces that are each over soon: a tile, or a chunk of tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepseek_vl_v2.core import ImageTextModel
from dvl2_cli.engine.local.decoder import Decoder, SequenceCache
from dvl2_cli.engine.local.features import FeatureCache, Features, PictureEncoding
from dvl2_cli.engine.local.prompt import Prompt


class PromptReading:
    """Encodes the pictures of a prompt, then reads its tokens.

    Args:
        prompt: what is read.
        reused: positions that the cache holds already.
        cache: of the sequence.
        model: embeds tokens and encodes pictures.
        decoder: reads.
        features: keeps encoded pictures.

    Attributes:
        reused: as above.
        features: of each picture, as far as they are encoded.
    """

    def __init__(
        self,
        prompt: Prompt,
        reused: int,
        cache: SequenceCache,
        *,
        model: ImageTextModel,
        decoder: Decoder[Any],
        features: FeatureCache,
    ) -> None:
        self.reused = reused
        self.features: list[Features] = []
        self._prompt = prompt
        self._cache = cache
        self._model, self._decoder, self._kept = model, decoder, features
        self._encoding: PictureEncoding | None = None
        self._embeds: Tensor | None = None

    def go_on(self, chunk: int) -> Tensor | None:
        """Encode one tile, or read at most ``chunk`` tokens.

        Returns:
            float32 logits [V] of what may follow the prompt, when it is through; else None.
        """
        if len(self.features) < len(self._prompt.pictures) and not self._encode():
            return None
        if self._embeds is None:
            self._embeds = self._embed()
        start = self._cache.length
        logits = self._decoder.prefill(self._cache, self._embeds[:, start : start + chunk])
        return logits if self._cache.length == len(self._prompt.ids) else None

    def _encode(self) -> bool:
        """Encode one tile of the next picture that is not known; whether all are known."""
        while len(self.features) < len(self._prompt.pictures):
            index = len(self.features)
            key = self._prompt.feature_keys[index]
            known = self._kept.find(key)
            if known is None:
                if self._encoding is None:
                    self._encoding = self._kept.begin(self._prompt.pictures[index], key)
                known = self._encoding.go_on()
                if known is None:
                    return False
                self._encoding = None
                self._kept.put(key, known)
                self.features.append(known)
                return False
            self.features.append(known)
        return True

    @torch.inference_mode()
    def _embed(self) -> Tensor:
        ids = torch.tensor([self._prompt.ids], device=self._model.device)
        mask = torch.tensor([self._prompt.image_mask], device=self._model.device)
        return self._model.embed(ids, [item.tokens for item in self.features], mask)
