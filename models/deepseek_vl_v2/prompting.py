"""Conversations to ids and pictures to tiles, by the tokenizers library and numpy alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image
from tokenizers import AddedToken, Tokenizer

from deepseek_vl_v2.format import template, tiling
from deepseek_vl_v2.format.processor_fields import ProcessorFields
from deepseek_vl_v2.format.tags import TAGS
from deepseek_vl_v2.literal_text import LiteralEncoder

_NAMED_TOKENS = (
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
)  # fmt: skip
_LISTED_TOKENS = ("additional_special_tokens", "extra_special_tokens")


class PromptEncoder:
    """Tokenizer and tiling rules of a checkpoint. Who derives from it calls ``add_tokens`` once.

    Attributes:
        tokens: the ids of the template's tokens, and the functions that encode text.
    """

    candidate_resolutions: list[tuple[int, int]]
    patch_size: int
    downsample_ratio: int
    image_mean: list[float]
    image_std: list[float]
    normalize: bool
    tokens: template.TemplateTokens

    def add_tokens(self, image_token: str) -> None:
        """Look up the template's tokens in ``backend``.

        Raises:
            ValueError: the tokenizer lacks one.
        """
        backend = self.backend
        self.tokens = template.TemplateTokens(
            encode=self._encode,
            encode_literal=LiteralEncoder(backend, TAGS),
            encode_verbatim=LiteralEncoder(backend, ()),
            bos=token_id(backend, template.BOS),
            eos=token_id(backend, template.EOS),
            image=token_id(backend, image_token),
            user=token_id(backend, template.USER),
            assistant=token_id(backend, template.ASSISTANT),
        )

    @property
    def backend(self) -> Tokenizer:
        """The tokenizer."""
        raise NotImplementedError

    @property
    def special_tokens(self) -> Sequence[str]:
        """Tokens that are no part of an answer's text."""
        raise NotImplementedError

    @property
    def tile_size(self) -> int:
        """Pixels along a tile."""
        return self.candidate_resolutions[0][0]

    @property
    def tile_tokens(self) -> int:
        """Tokens along a tile: 14 for 384 px tiles."""
        return -(-(self.tile_size // self.patch_size) // self.downsample_ratio)

    def grid(
        self,
        size: tuple[int, int],
        *,
        images: int = 1,
        most_tiles: int | None = None,
        zoom: float = 1.0,
    ) -> tiling.TileGrid:
        """The tile grid of a picture of ``size`` among ``images`` in its conversation."""
        return tiling.tile_grid(
            size,
            self.candidate_resolutions,
            self.tile_size,
            images=images,
            most_tiles=most_tiles,
            zoom=zoom,
        )

    def tiles(self, picture: Image, grid: tiling.TileGrid) -> np.ndarray[Any, np.dtype[Any]]:
        """Normalised tiles of a picture, float32 [1 + columns * rows, 3, S, S]."""
        tiles = tiling.cut_tiles(picture.convert("RGB"), grid, self.tile_size)
        if not self.normalize:
            return tiles.astype(np.float32) / np.float32(255)
        return tiling.normalise(tiles, self.image_mean, self.image_std)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; special tokens are kept."""
        return self.backend.decode(list(ids), skip_special_tokens=False)

    def _encode(self, text: str) -> list[int]:
        return self.backend.encode(text, add_special_tokens=False).ids


class PromptProcessor(PromptEncoder):
    """What the engine reads a checkpoint's prompts with; it needs no transformers.

    Args:
        folder: of the checkpoint.

    Raises:
        OSError: a file is missing.
        ValueError: a file is no JSON, or the tokenizer lacks a token of the template.
    """

    def __init__(self, folder: Path) -> None:
        rules = _rules(folder / "processor_config.json")
        self.candidate_resolutions = [(int(w), int(h)) for w, h in rules.candidate_resolutions]
        self.patch_size = rules.patch_size
        self.downsample_ratio = rules.downsample_ratio
        self.image_mean = list(rules.image_mean)
        self.image_std = list(rules.image_std)
        self.normalize = rules.normalize
        self._backend, special = _read_tokenizer(folder)
        missing = missing_tokens(self._backend, rules.pad_token, rules.image_token)
        self._backend.add_special_tokens(
            [AddedToken(token, special=True, normalized=False) for token in missing]
        )
        self._special = [*special, *(token for token in missing if token not in special)]
        self.add_tokens(rules.image_token)

    @property
    def backend(self) -> Tokenizer:
        """The tokenizer."""
        return self._backend

    @property
    def special_tokens(self) -> Sequence[str]:
        """Tokens that are no part of an answer's text."""
        return self._special


def missing_tokens(backend: Tokenizer, pad: str, image: str) -> list[str]:
    """Tokens of the prompt that a tokenizer lacks, in the order in which upstream adds them."""
    vocabulary = backend.get_vocab()
    wanted = (pad, image, *TAGS, template.USER, template.ASSISTANT)
    return [token for token in wanted if token not in vocabulary]


def token_id(backend: Tokenizer, token: str) -> int:
    """The id of a token.

    Raises:
        ValueError: there is none.
    """
    number = backend.token_to_id(token)
    if number is None:
        raise ValueError(f"tokenizer.json has no token {token}")
    return number


def _rules(path: Path) -> ProcessorFields:
    content = json.loads(path.read_text("utf-8"))
    known = {item.name for item in fields(ProcessorFields)}
    return ProcessorFields(**{name: value for name, value in content.items() if name in known})


def _read_tokenizer(folder: Path) -> tuple[Tokenizer, list[str]]:
    """The tokenizer of a folder, and what its settings call special."""
    backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # A file may say that texts are cut or filled up; prompts never are.
    backend.no_truncation()
    backend.no_padding()
    settings: Mapping[str, Any] = {}
    if (folder / "tokenizer_config.json").is_file():
        settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    named = [settings.get(name) for name in _NAMED_TOKENS]
    listed = [token for name in _LISTED_TOKENS for token in settings.get(name) or ()]
    special = list(dict.fromkeys(_content(token) for token in [*named, *listed] if token))
    vocabulary = backend.get_vocab()
    added = sorted(
        (settings.get("added_tokens_decoder") or {}).items(), key=lambda row: int(row[0])
    )
    for _, table in added:
        if table["content"] not in vocabulary:
            backend.add_tokens([AddedToken(**table)])
    known = backend.get_vocab()
    backend.add_special_tokens([token for token in special if token not in known])
    return backend, special


def _content(token: str | Mapping[str, Any]) -> str:
    return token if isinstance(token, str) else str(token["content"])
