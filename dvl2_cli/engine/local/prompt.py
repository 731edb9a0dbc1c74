"""A request's conversation as ids, and the keys by which a KV cache is recognised again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from PIL.Image import Image

from deepseek_vl_v2.format.template import PromptError, Turn, Verbatim, encode_turns
from deepseek_vl_v2.format.tiling import TileGrid
from deepseek_vl_v2.literal_text import TokenizerError
from deepseek_vl_v2.prompting import PromptEncoder
from dvl2_cli.engine.events import PromptCost
from dvl2_cli.engine.request import Request
from dvl2_cli.errors import ContextOverflowError, ModelError, UsageError
from dvl2_cli.planning.print_size import shown_zoom
from dvl2_cli.planning.tile_budget import choose_tiles
from dvl2_cli.store.policy import PLAIN_POLICY, Policy

# A picture's digest, and the columns and rows of its tiles.
FeatureKey = tuple[bytes, int, int]


def picture_digest(picture: Image) -> bytes:
    """SHA-256 of a picture's size, mode and pixels."""
    digest = hashlib.sha256(f"{picture.mode} {picture.size}".encode())
    digest.update(picture.tobytes())
    return digest.digest()


@dataclass(frozen=True, slots=True)
class Prompt:
    """An encoded conversation.

    ``keys`` has one hashable per position: the id of a text token, or picture and offset of
    an image token. Two prompts with a common prefix of keys have a common prefix of the cache.
    """

    ids: list[int]
    image_mask: list[bool]
    keys: list[object]
    pictures: list[Image]
    grids: list[TileGrid]
    feature_keys: list[FeatureKey]
    cost: PromptCost


def grid_of(
    request: Request,
    processor: PromptEncoder,
    picture: Image,
    *,
    images: int,
    policy: Policy = PLAIN_POLICY,
) -> TileGrid:
    """The tiles that a picture among ``images`` is shown on."""
    zoom = shown_zoom(request.zoom, policy.print_height, picture)
    most = request.tiles
    if most == "auto":
        # What is to be enlarged cannot do with fewer.
        most = choose_tiles(picture) if zoom <= 1 else None
    return processor.grid(picture.size, images=images, most_tiles=most, zoom=zoom)


def build_prompt(
    request: Request,
    processor: PromptEncoder,
    context_length: int,
    *,
    policy: Policy = PLAIN_POLICY,
    hashed: bool = True,
) -> Prompt:
    """Encode a request.

    Args:
        request: its messages; an empty assistant turn is added for the answer.
        processor: of the checkpoint.
        context_length: most positions of the model.
        policy: of the checkpoint; says whether small print is enlarged.
        hashed: whether pictures are hashed for ``keys``; counting does not need them.

    Raises:
        UsageError: the conversation cannot be encoded, or asks nothing.
    """
    pictures = [picture for message in request.messages for picture in message.images]
    _check_not_empty(request)
    grids = [
        grid_of(request, processor, picture, images=len(pictures), policy=policy)
        for picture in pictures
    ]
    counts = [grid.tokens(processor.tile_tokens) for grid in grids]
    try:
        encoded = encode_turns(
            [*_turns(request, counts), ("assistant", ())],
            processor.tokens,
            mask_prompt=True,
            for_generation=True,
        )
    except PromptError as error:
        raise UsageError(str(error)) from error
    except TokenizerError as error:
        raise ModelError(str(error), "The model's tokenizer is faulty: fetch it again.") from error
    feature_keys = [
        (picture_digest(picture) if hashed else b"", grid.columns, grid.rows)
        for picture, grid in zip(pictures, grids, strict=True)
    ]
    return Prompt(
        ids=encoded.ids,
        image_mask=encoded.image_mask,
        keys=_keys(encoded.ids, encoded.image_mask, feature_keys, counts),
        pictures=pictures,
        grids=grids,
        feature_keys=feature_keys,
        cost=PromptCost(
            prompt_tokens=len(encoded.ids),
            image_tokens=sum(counts),
            context_length=context_length,
            tiles=tuple((grid.columns, grid.rows) for grid in grids),
        ),
    )


def _turns(request: Request, counts: list[int]) -> list[Turn]:
    """The messages, with the positions that its images take in place of each image."""
    takes = iter(counts)
    return [
        (
            message.role,
            [part if isinstance(part, str | Verbatim) else next(takes) for part in message.parts()],
        )
        for message in request.messages
    ]


def common_prefix(old: Sequence[object], new: Sequence[object]) -> int:
    """How many leading keys are equal."""
    for index, (left, right) in enumerate(zip(old, new, strict=False)):
        if left != right:
            return index
    return min(len(old), len(new))


def context_overflow(cost: PromptCost) -> ContextOverflowError:
    """The refusal of a prompt that leaves no room for an answer."""
    return ContextOverflowError(
        f"the prompt takes {cost.prompt_tokens} tokens ({cost.image_tokens} of them for images), "
        f"the model's context is {cost.context_length}",
        "Ask about fewer or smaller images, lower --tiles or --zoom, or shorten the text.",
    )


def _check_not_empty(request: Request) -> None:
    last = request.messages[-1] if request.messages else None
    if last is None or last.role != "user":
        raise UsageError("the conversation does not end with a question")
    if not last.content.strip() and not last.images:
        raise UsageError("the question is empty", "Say what you want to know, or attach a picture.")


def _keys(
    ids: list[int], image_mask: list[bool], pictures: list[FeatureKey], counts: list[int]
) -> list[object]:
    image_keys = iter(
        [
            (picture, offset)
            for picture, count in zip(pictures, counts, strict=True)
            for offset in range(count)
        ]
    )
    return [
        next(image_keys) if is_image else token
        for token, is_image in zip(ids, image_mask, strict=True)
    ]
