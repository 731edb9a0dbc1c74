"""The fields of ``processor_config.json`` with the defaults of the released class."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deepseek_vl_v2.format.architecture import Architecture
from deepseek_vl_v2.format.config_fields import IGNORED_INDEX, TILE_SIZE
from deepseek_vl_v2.format.rules import Rule, flag, whole, word
from deepseek_vl_v2.format.template import IMAGE_TAG, PAD

MAX_CANVASES = 4096
# Local tiles of one canvas; releases have 9. A mistyped side must not ask for gigabytes.
MAX_CANVAS_TILES = 1024

Canvases = list[list[int]] | tuple[tuple[int, int], ...]
Channels = list[float] | tuple[float, ...]


def _is_canvases(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and 0 < len(value) <= MAX_CANVASES
        and all(
            isinstance(pair, (list, tuple))
            and len(pair) == 2
            and all(type(side) is int and side > 0 for side in pair)
            for pair in value
        )
    )


def _is_channels(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 3
        and all(type(part) in (int, float) and abs(part) <= 1e6 for part in value)
    )


def _is_spread(value: Any) -> bool:
    return _is_channels(value) and all(part > 0 for part in value)


def _ruled(default: Any, wanted: str, accepts: Any) -> Any:
    return field(default=default, metadata={"rule": Rule(wanted, accepts, default)})


def _text(default: str) -> Any:
    return _ruled(
        default, "a token of up to 100 letters", lambda v: isinstance(v, str) and 0 < len(v) <= 100
    )


@dataclass(frozen=True)
class ProcessorFields:
    """``processor_config.json``; unknown fields are ignored, as upstream does."""

    candidate_resolutions: Canvases = _ruled(
        ((TILE_SIZE, TILE_SIZE),), "[width, height] pairs", _is_canvases
    )
    patch_size: int = whole(14, 1, 16384)
    downsample_ratio: int = whole(2, 1, 64)
    image_mean: Channels = _ruled((0.5, 0.5, 0.5), "three numbers", _is_channels)
    image_std: Channels = _ruled((0.5, 0.5, 0.5), "three positive numbers", _is_spread)
    normalize: bool = flag(True)
    image_token: str = _text(IMAGE_TAG)
    pad_token: str = _text(PAD)
    add_special_token: bool = flag(False)
    sft_format: str = word("deepseek", "deepseek")
    mask_prompt: bool = flag(True)
    ignore_id: int = whole(IGNORED_INDEX, -(2**31), -1)

    def faults(self, parts: Architecture) -> list[str]:
        """Where the tiles are not those that the model expects, in words after "FILE"."""
        found = []
        for name, wanted in (
            ("patch_size", parts.vision.patch_size),
            ("downsample_ratio", parts.projector.downsample_ratio),
        ):
            value = getattr(self, name)
            if value != wanted:
                found.append(f"has {name} = {value}, but config.json says {wanted}")
        tile = parts.vision.image_size
        canvases = self.candidate_resolutions
        if canvases[0][0] != tile:
            found.append(f"has candidate_resolutions that do not begin with a tile, {tile} wide")
        if any(side % tile for pair in canvases for side in pair):
            found.append(f"needs candidate_resolutions: [width, height] pairs, multiples of {tile}")
        elif any(width * height > MAX_CANVAS_TILES * tile**2 for width, height in canvases):
            found.append(f"has candidate_resolutions of more than {MAX_CANVAS_TILES} tiles")
        return found
