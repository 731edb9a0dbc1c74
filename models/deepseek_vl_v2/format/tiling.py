"""Dynamic tiling (arXiv 2412.10302, section 2.1): pictures to 384 px tiles, and token counts.

Pure geometry and pixels; knows nothing about tokens' ids or the network. Float operations
keep upstream's order, because truncation decides ties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

Resolution = tuple[int, int]
PAD_FRACTION = 0.5
# Above this many images in a conversation nothing is tiled.
MAX_TILED_IMAGES = 2
# So many times as large a zoomed picture must at least be shown.
LARGER = 1.1


@dataclass(frozen=True, slots=True)
class TileGrid:
    """Local tiles of one image, besides its thumbnail."""

    columns: int
    rows: int

    @property
    def count(self) -> int:
        """Tiles in all, the thumbnail included."""
        return 1 + self.columns * self.rows

    def tokens(self, side: int) -> int:
        """Tokens that the image takes when a tile has ``side`` x ``side`` of them."""
        thumbnail = side * (side + 1)
        local = self.rows * side * (self.columns * side + 1)
        return thumbnail + 1 + local


def best_resolution(width: int, height: int, candidates: Sequence[Resolution]) -> Resolution:
    """The canvas that keeps most of a picture's pixels and, among equals, wastes fewest.

    Args:
        width: picture width in pixels, at least 1.
        height: picture height in pixels, at least 1.
        candidates: (width, height) canvases; the first of equals wins.
    """
    best, best_kept, best_waste = candidates[0], 0, float("inf")
    for canvas_width, canvas_height in candidates:
        scale = min(canvas_width / width, canvas_height / height)
        scaled = int(width * scale) * int(height * scale)
        kept = min(scaled, width * height)
        waste = canvas_width * canvas_height - kept
        if kept > best_kept or (kept == best_kept and waste < best_waste):
            best, best_kept, best_waste = (canvas_width, canvas_height), kept, waste
    return best


def limited(
    candidates: Sequence[Resolution], tile: int, most_tiles: int | None
) -> list[Resolution]:
    """The candidates of at most ``most_tiles`` tiles; None for all, never fewer than one tile."""
    if most_tiles is None:
        return list(candidates)
    area = tile * tile * max(most_tiles, 1)
    return [(w, h) for w, h in candidates if w * h <= area] or [(tile, tile)]


def tile_grid(
    size: Resolution,
    candidates: Sequence[Resolution],
    tile: int,
    *,
    images: int = 1,
    most_tiles: int | None = None,
    zoom: float = 1.0,
) -> TileGrid:
    """The grid for a picture of ``size`` when the conversation holds ``images`` pictures.

    With a ``zoom`` other than 1 (which upstream does not know) it is the grid of a picture that
    many times as wide and high: small print is then shown larger, as far as the candidates go.
    A grid that shows it hardly larger is not worth its tiles.
    """
    if images > MAX_TILED_IMAGES or most_tiles == 0:
        return TileGrid(1, 1)
    allowed = limited(candidates, tile, most_tiles)
    canvas = best_resolution(*size, allowed)
    if zoom != 1:
        zoomed = (max(1, round(size[0] * zoom)), max(1, round(size[1] * zoom)))
        other = best_resolution(*zoomed, allowed)
        if zoom < 1 or _scale(size, other) >= LARGER * _scale(size, canvas):
            canvas = other
    return TileGrid(canvas[0] // tile, canvas[1] // tile)


def _scale(size: Resolution, canvas: Resolution) -> float:
    return min(canvas[0] / size[0], canvas[1] / size[1])


def cut_tiles(picture: Image.Image, grid: TileGrid, tile: int) -> npt.NDArray[np.uint8]:
    """Thumbnail, then local tiles row by row: uint8 [1 + rows * columns, 3, tile, tile].

    The picture is resized with bicubic filtering to fit and centred on a grey canvas.
    """
    thumbnail = _on_canvas(picture, (tile, tile))
    if (grid.columns, grid.rows) == (1, 1):
        return np.stack([thumbnail, thumbnail])
    canvas = _on_canvas(picture, (grid.columns * tile, grid.rows * tile))
    local = canvas.reshape(3, grid.rows, tile, grid.columns, tile)
    local = local.transpose(1, 3, 0, 2, 4).reshape(-1, 3, tile, tile)
    return np.concatenate([thumbnail[None], local])


def normalise(
    tiles: npt.NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]
) -> npt.NDArray[np.float32]:
    """uint8 [N, 3, S, S] -> float32 ``(x / 255 - mean) / std``, in that order of operations."""
    scaled = tiles.astype(np.float32) / np.float32(255)
    shape = (1, 3, 1, 1)
    scaled -= np.asarray(mean, np.float32).reshape(shape)
    scaled /= np.asarray(std, np.float32).reshape(shape)
    return scaled


def _on_canvas(picture: Image.Image, size: Resolution) -> npt.NDArray[np.uint8]:
    grey = int(PAD_FRACTION * 255)
    padded = ImageOps.pad(picture, size, method=Image.Resampling.BICUBIC, color=(grey, grey, grey))
    return np.asarray(padded, dtype=np.uint8).transpose(2, 0, 1)
