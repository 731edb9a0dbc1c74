"""The fields of ``processor_config.json`` with the defaults of the released class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepseek_vl_v2.format.architecture import Architecture
from deepseek_vl_v2.format.config_fields import IGNORED_INDEX, Canvases, canvases
from deepseek_vl_v2.format.rules import flag, other, whole, word
from deepseek_vl_v2.format.template import IMAGE_TAG, PAD

# Local tiles of one canvas; releases have 9. A mistyped side must not ask for gigabytes.
MAX_CANVAS_TILES = 1024

Channels = list[float] | tuple[float, ...]


def _is_channels(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 3
        and all(type(part) in (int, float) and abs(part) <= 1e6 for part in value)
    )


def _is_spread(value: Any) -> bool:
    return _is_channels(value) and all(part > 0 for part in value)


def _text(default: str) -> Any:
    return other(
        default, "a token of up to 100 letters", lambda v: isinstance(v, str) and 0 < len(v) <= 100
    )


@dataclass(frozen=True)
class ProcessorFields:
    """``processor_config.json``; unknown fields are ignored, as upstream does."""

    candidate_resolutions: Canvases = canvases()
    patch_size: int = whole(14, 1, 16384)
    downsample_ratio: int = whole(2, 1, 64)
    image_mean: Channels = other((0.5, 0.5, 0.5), "three numbers", _is_channels)
    image_std: Channels = other((0.5, 0.5, 0.5), "three positive numbers", _is_spread)
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
        shown = self.candidate_resolutions
        if shown[0][0] != tile:
            found.append(f"has candidate_resolutions that do not begin with a tile, {tile} wide")
        if any(side % tile for pair in shown for side in pair):
            found.append(f"needs candidate_resolutions: [width, height] pairs, multiples of {tile}")
        elif any(width * height > MAX_CANVAS_TILES * tile**2 for width, height in shown):
            found.append(f"has candidate_resolutions of more than {MAX_CANVAS_TILES} tiles")
        return found
