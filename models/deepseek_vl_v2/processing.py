"""The processor: pictures and conversations to tensors, equal to upstream's bit for bit.

Its class name is what released ``processor_config.json`` files ask for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch
from PIL.Image import Image
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoProcessor, BatchFeature, PreTrainedTokenizerFast
from transformers.processing_utils import ProcessorMixin
from transformers.utils.hub import cached_file

from deepseek_vl_v2.configuration import HUB_ARGUMENTS, DeepseekVLV2Config
from deepseek_vl_v2.format import template, tiling
from deepseek_vl_v2.format.config_fields import IGNORED_INDEX, TILE_SIZE
from deepseek_vl_v2.format.processor_fields import ProcessorFields
from deepseek_vl_v2.prompting import PromptEncoder, missing_tokens, token_id

Conversation = Sequence[Mapping[str, object]]
_CHAT_TEMPLATE = Path(__file__).parent / "format" / "chat_template.jinja"


@dataclass(frozen=True, slots=True)
class ProcessedSample:
    """One prompt.

    ``input_ids``, ``labels`` int64 [T]; ``images_seq_mask`` bool [T]; ``pixel_values`` float32
    [tiles, 3, S, S] in [-1, 1] (one zero tile when there is no image); ``images_spatial_crop``
    int64 [images, 2] with (columns, rows); ``sft_format`` is for people.
    """

    sft_format: str
    input_ids: Tensor
    labels: Tensor
    images_seq_mask: Tensor
    pixel_values: Tensor
    images_spatial_crop: Tensor
    num_image_tokens: list[int]


class DeepseekVLV2Processor(PromptEncoder, ProcessorMixin):
    """Tokenizer and tiling rules of a checkpoint.

    Args:
        tokenizer: loaded from the checkpoint's ``tokenizer.json``; special tokens that it
            lacks are added in upstream's order.
        candidate_resolutions: (width, height) canvases; the first gives the tile size.
        patch_size: pixels along a patch.
        downsample_ratio: patches along a token.
        image_mean: subtracted from pixels in [0, 1], per channel.
        image_std: divides them, per channel.
        normalize: whether mean and std apply.
        image_token: the tag that stands for an image in the text.
        pad_token: what fills short rows of a batch.
        add_special_token: kept from the released file; nothing reads it.
        sft_format: the conversation template's name; only "deepseek" exists.
        mask_prompt: whether labels leave out user and system text.
        ignore_id: the label of what is not learned.
        zoom: "auto" where the model wants small print enlarged; dvl2's own, upstream ignores it.
        chat_template: for ``apply_chat_template``; None for that of the released prompt.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        candidate_resolutions: Sequence[Sequence[int]] = ((TILE_SIZE, TILE_SIZE),),
        patch_size: int = 14,
        downsample_ratio: int = 2,
        image_mean: Sequence[float] = (0.5, 0.5, 0.5),
        image_std: Sequence[float] = (0.5, 0.5, 0.5),
        normalize: bool = True,
        image_token: str = template.IMAGE_TAG,
        pad_token: str = template.PAD,
        add_special_token: bool = False,
        sft_format: str = "deepseek",
        mask_prompt: bool = True,
        ignore_id: int = IGNORED_INDEX,
        zoom: Literal["auto"] | None = None,
        chat_template: str | None = None,
    ) -> None:
        if sft_format != "deepseek":
            raise ValueError(f"sft_format is {sft_format!r}; only 'deepseek' is supported")
        if zoom not in (None, "auto"):
            raise ValueError(f"zoom is {zoom!r}; it is 'auto' or not given")
        self.candidate_resolutions = [(int(w), int(h)) for w, h in candidate_resolutions]
        self.patch_size = patch_size
        self.downsample_ratio = downsample_ratio
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        self.normalize = normalize
        self.image_token = image_token
        self.pad_token = pad_token
        self.add_special_token = add_special_token
        self.sft_format = sft_format
        self.mask_prompt = mask_prompt
        self.ignore_id = ignore_id
        self.zoom = zoom
        _add_missing_tokens(tokenizer, pad_token, image_token)
        default = _CHAT_TEMPLATE.read_text("utf-8")
        super().__init__(tokenizer, chat_template=chat_template or default)
        self.add_tokens(image_token)
        self.pad_id = token_id(self.backend, pad_token)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, name_or_path: str | Path, **kwargs: Any
    ) -> DeepseekVLV2Processor:
        """Load from a folder or a hub id.

        The tokenizer is built from ``tokenizer.json`` itself: released files name a class
        that would rebuild the byte-level pre-tokenizer wrongly.
        """
        hub = {key: kwargs[key] for key in HUB_ARGUMENTS if key in kwargs}
        settings_file = cached_file(str(name_or_path), "processor_config.json", **hub)
        settings = json.loads(Path(str(settings_file)).read_text(encoding="utf-8"))
        # Upstream ignores what it does not know; so is an old class's name.
        known = {item.name for item in fields(ProcessorFields)} | {"zoom"}
        settings = {name: value for name, value in settings.items() if name in known}
        return cls(_tokenizer(str(name_or_path), hub), **settings)

    @property
    def backend(self) -> Tokenizer:
        """The tokenizer's own one."""
        return self.tokenizer.backend_tokenizer  # type: ignore[no-any-return]

    @property
    def special_tokens(self) -> Sequence[str]:
        """Tokens that are no part of an answer's text."""
        return self.tokenizer.all_special_tokens  # type: ignore[no-any-return]

    def pixels(self, picture: Image, grid: tiling.TileGrid) -> Tensor:
        """Normalised tiles of a picture, float32 [1 + columns * rows, 3, S, S]."""
        return torch.from_numpy(self.tiles(picture, grid))

    def process_one(
        self,
        *,
        conversation: Conversation | None = None,
        prompt: str | None = None,
        images: Sequence[Image],
        apply_sft_format: bool = False,
        inference_mode: bool = True,
        system_prompt: str = "",
        most_tiles: int | None = None,
    ) -> ProcessedSample:
        """Turn one conversation, or one raw prompt, into tensors.

        Args:
            conversation: messages of ``role`` and ``content``; or ``prompt``.
            prompt: a text between BOS and EOS; with ``apply_sft_format`` a user turn.
            images: pictures in order of their tags; surplus ones count for the tiling rule.
            apply_sft_format: wrap ``prompt`` as a user turn.
            inference_mode: leave out the final EOS.
            system_prompt: only changes ``sft_format``, as upstream.
            most_tiles: cap on local tiles; None for the checkpoint's own rule.

        Raises:
            PromptError: see ``template``.
            TypeError: ``images`` is None, or not exactly one of conversation and prompt is given.
        """
        if images is None:
            raise TypeError("images is None: pass an empty list for a prompt without images")
        if (conversation is None) == (prompt is None):
            raise TypeError("pass either conversation or prompt")
        grids = [
            self.grid(image.size, images=len(images), most_tiles=most_tiles) for image in images
        ]
        counts = [grid.tokens(self.tile_tokens) for grid in grids]
        if conversation is not None:
            encoded = template.encode_conversation(
                conversation,
                counts,
                self.tokens,
                mask_prompt=self.mask_prompt,
                for_generation=inference_mode,
            )
            shown = template.display(conversation, system_prompt)
        else:
            shown = str(prompt)
            if apply_sft_format:
                shown = template.user_text(shown.strip())
            encoded = template.encode_raw(shown, counts, self.tokens, for_generation=inference_mode)
        used = encoded.images_used
        return ProcessedSample(
            sft_format=shown,
            input_ids=torch.tensor(encoded.ids),
            labels=torch.tensor(encoded.labels(self.ignore_id)),
            images_seq_mask=torch.tensor(encoded.image_mask),
            pixel_values=self._pixel_stack(images[:used], grids[:used]),
            images_spatial_crop=torch.tensor(
                [[grid.columns, grid.rows] for grid in grids[:used]] or [[0, 0]]
            ),
            num_image_tokens=counts[:used],
        )

    def batchify(self, samples: Sequence[ProcessedSample], padding: str = "left") -> BatchFeature:
        """Collate samples into a batch.

        Returns:
            ``input_ids``, ``labels`` [B, T] int64; ``attention_mask``, ``images_seq_mask``
            [B, T] bool; ``pixel_values`` [B, tiles, 3, S, S]; ``images_spatial_crop``
            [B, images, 2]. Missing tiles and crops are zeros.

        Raises:
            ValueError: ``padding`` is neither "left" nor "right".
        """
        if padding not in ("left", "right"):
            raise ValueError(f"padding is {padding!r}; use 'left' or 'right'")
        length = max(len(sample.input_ids) for sample in samples)

        def pad(row: Tensor, value: int | bool) -> Tensor:
            fill = torch.full((length - len(row),), value, dtype=row.dtype)
            return torch.cat([fill, row] if padding == "left" else [row, fill])

        return BatchFeature(
            {
                "input_ids": torch.stack([pad(s.input_ids, self.pad_id) for s in samples]),
                "attention_mask": torch.stack(
                    [pad(torch.ones_like(s.images_seq_mask), False) for s in samples]
                ),
                "labels": torch.stack([pad(s.labels, self.ignore_id) for s in samples]),
                "images_seq_mask": torch.stack([pad(s.images_seq_mask, False) for s in samples]),
                "pixel_values": _stack_padded([s.pixel_values for s in samples]),
                "images_spatial_crop": _stack_padded([s.images_spatial_crop for s in samples]),
            }
        )

    def __call__(
        self,
        images: Image | Sequence[Image] | Sequence[Sequence[Image]] | None = None,
        text: str | Sequence[str] | None = None,
        videos: None = None,
        audio: None = None,
        *,
        conversations: Conversation | Sequence[Conversation] | None = None,
        padding: bool | str = "left",
        return_tensors: str | None = None,
        add_special_tokens: bool = True,
        **options: Any,
    ) -> BatchFeature:
        """Process one or many prompts into a batch.

        Args:
            images: the pictures of the prompt: one, a list, or a list per prompt of a batch. One
                list for several prompts is shared out by their image tags.
            text: a raw prompt, or a list of them; or ``conversations``. The begin token is added
                where it does not stand there already.
            videos: None; the model reads none.
            audio: None; the model hears none.
            conversations: a conversation, or a list of them.
            padding: side on which short rows are filled; True and "longest" fill the left.
            return_tensors: "pt" or None; tensors are torch's either way.
            add_special_tokens: has no effect: every prompt begins with the begin token, once.
            options: as for ``process_one``.

        Raises:
            ValueError: another ``return_tensors``, videos or audio, prompts and lists of pictures
                that differ in number, or image tags and pictures that do.
        """
        del add_special_tokens
        if return_tensors not in (None, "pt"):
            raise ValueError(f"return_tensors is {return_tensors!r}; only 'pt' is made")
        if videos is not None or audio is not None:
            raise ValueError("the model takes text and pictures, no videos and no audio")
        name = "prompt" if conversations is None else "conversation"
        prompts: Any = text if conversations is None else conversations
        single = isinstance(prompts, str) or (
            conversations is not None and len(prompts) > 0 and isinstance(prompts[0], Mapping)
        )
        if single:
            prompts = [prompts]
        if conversations is None:
            prompts = [prompt.removeprefix(template.BOS) for prompt in prompts]
        samples = [
            self.process_one(images=own, **{name: prompt}, **options)
            for prompt, own in zip(prompts, self._shared(images, prompts), strict=True)
        ]
        if padding is False and len({len(sample.input_ids) for sample in samples}) > 1:
            raise ValueError("prompts of several lengths need padding: pass padding='left'")
        side = "left" if isinstance(padding, bool) or padding == "longest" else padding
        return self.batchify(samples, side)

    def _shared(self, images: Any, prompts: Sequence[Any]) -> Sequence[Sequence[Image]]:
        """The pictures of each prompt."""
        given: list[Any] = [images] if isinstance(images, Image) else list(images or [])
        if any(not isinstance(item, Image) for item in given):
            return given  # a list for each prompt
        if len(prompts) == 1:
            return [given]
        counts = [_tags(prompt, self.image_token) for prompt in prompts]
        if sum(counts) != len(given):
            raise ValueError(f"{sum(counts)} image tags for {len(given)} images in the batch")
        rest = iter(given)
        return [[next(rest) for _ in range(count)] for count in counts]

    def batch_decode(self, *args: Any, **kwargs: Any) -> list[str]:
        """Decode rows of ids; special tokens are kept unless asked otherwise."""
        kwargs.setdefault("skip_special_tokens", False)
        return self.tokenizer.batch_decode(*args, **kwargs)  # type: ignore[no-any-return]

    def decode(self, *args: Any, **kwargs: Any) -> str:
        """Decode ids; special tokens are kept unless asked otherwise."""
        kwargs.setdefault("skip_special_tokens", False)
        return self.tokenizer.decode(*args, **kwargs)  # type: ignore[no-any-return]

    def _pixel_stack(self, images: Sequence[Image], grids: Sequence[tiling.TileGrid]) -> Tensor:
        if not images:
            return torch.zeros(1, 3, self.tile_size, self.tile_size)
        return torch.cat([self.pixels(i, g) for i, g in zip(images, grids, strict=True)])


def _tags(prompt: Any, tag: str) -> int:
    """Image tags in a raw prompt, or in what users say in a conversation."""
    if isinstance(prompt, str):
        return prompt.count(tag)
    asked = (message for message in prompt if template.role_of(str(message["role"])) == "user")
    return sum(str(message["content"]).count(tag) for message in asked)


def _tokenizer(name_or_path: str, hub: dict[str, Any]) -> PreTrainedTokenizerFast:
    """From ``tokenizer.json``, with the settings of ``tokenizer_config.json`` if there is one."""
    has_settings = cached_file(
        name_or_path, "tokenizer_config.json", _raise_exceptions_for_missing_entries=False, **hub
    )
    if has_settings is not None:
        return PreTrainedTokenizerFast.from_pretrained(name_or_path, **hub)  # type: ignore[no-any-return]
    file = cached_file(name_or_path, "tokenizer.json", **hub)
    return PreTrainedTokenizerFast(tokenizer_file=str(file), clean_up_tokenization_spaces=False)


def _add_missing_tokens(tokenizer: PreTrainedTokenizerFast, pad: str, image: str) -> None:
    missing = missing_tokens(tokenizer.backend_tokenizer, pad, image)
    if missing:
        tokenizer.add_special_tokens({"additional_special_tokens": missing}, False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = pad


def _stack_padded(rows: Sequence[Tensor]) -> Tensor:
    longest = max(len(row) for row in rows)
    return torch.stack(
        [torch.cat([row, row.new_zeros(longest - len(row), *row.shape[1:])]) for row in rows]
    )


AutoProcessor.register(DeepseekVLV2Config, DeepseekVLV2Processor, exist_ok=True)
