"""What each visual token should know about objects: which one covers its cell, and its box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dvl2_cli.finetuning.layout import CELLS
from nano_lab.pretraining.glyph_labels import CELL, TILE, placement
from nano_lab.rendering.catalogue import COLOURS, EMOJI, SHAPES
from nano_lab.rendering.sample import SceneObject

# Class 0 is background.
NAME_CLASSES = ("", *sorted({emoji.name for emoji in EMOJI} | set(SHAPES)))
COLOUR_CLASSES = ("", *sorted({*COLOURS, *(emoji.colour for emoji in EMOJI if emoji.colour)}))
_NAME_OF = {name: index for index, name in enumerate(NAME_CLASSES)}
_COLOUR_OF = {name: index for index, name in enumerate(COLOUR_CLASSES)}
# name, colour, then the distances from the cell's centre to the box's sides
FIELDS = 6

Labels = npt.NDArray[np.float32]


def name_class(name: str) -> int:
    """The class of an object's name; 0 for one that is not listed."""
    return _NAME_OF.get(name, 0)


def colour_class(colour: str | None) -> int:
    """The class of an object's colour; 0 for none."""
    return _COLOUR_OF.get(colour or "", 0)


def shown_objects(
    objects: Sequence[SceneObject], size: tuple[int, int], columns: int, rows: int
) -> Labels:
    """Labels of the thumbnail, which shows the whole picture, and of all local tiles."""
    thumbnail = object_labels(objects, size, 1, 1)
    return np.concatenate([thumbnail, object_labels(objects, size, columns, rows)])


def object_labels(
    objects: Sequence[SceneObject], size: tuple[int, int], columns: int, rows: int
) -> Labels:
    """Labels of all local tiles: float32 [rows * columns, 196, 6]; distances in tiles.

    Where objects overlap, the later one is on top. The corners of a box show background as
    often as the object, so cells outside of the box's ellipse are unknown: -1.
    """
    scale, left, top = placement(size, columns, rows)
    x = _centres(columns)
    y = _centres(rows)
    grid = np.zeros((rows * CELLS, columns * CELLS, FIELDS), np.float32)
    for item in objects:
        x0, y0, x1, y1 = (
            value * scale + shift
            for value, shift in zip(item.box, (left, top, left, top), strict=True)
        )
        across = (x >= x0) & (x <= x1)
        down = (y >= y0) & (y <= y1)
        area = np.ix_(down, across)
        cells = np.zeros((int(down.sum()), int(across.sum()), FIELDS), np.float32)
        cells[..., 0] = name_class(item.name)
        cells[..., 1] = colour_class(item.colour)
        cells[..., 2] = (x[across][None, :] - x0) / TILE
        cells[..., 3] = (y[down][:, None] - y0) / TILE
        cells[..., 4] = (x1 - x[across][None, :]) / TILE
        cells[..., 5] = (y1 - y[down][:, None]) / TILE
        from_middle = _square(x[across], x0, x1)[None, :] + _square(y[down], y0, y1)[:, None]
        cells[from_middle > 1] = -1
        grid[area] = cells
    tiles = grid.reshape(rows, CELLS, columns, CELLS, FIELDS).transpose(0, 2, 1, 3, 4)
    return tiles.reshape(rows * columns, CELLS * CELLS, FIELDS)


def _square(values: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.float64]:
    """The square of the distance from the middle, 1 at the ends."""
    squares: npt.NDArray[np.float64] = ((values - (low + high) / 2) / ((high - low) / 2)) ** 2
    return squares


def _centres(tiles: int) -> npt.NDArray[np.float64]:
    inside = np.arange(CELLS) * CELL + CELL / 2
    # The last cell of a tile is seen only in its first half.
    inside[-1] -= CELL / 4
    return (np.arange(tiles)[:, None] * TILE + inside[None]).reshape(-1)
