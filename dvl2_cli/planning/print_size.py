"""``--zoom auto``: how much larger a picture has to be shown for its print to be read.

A tile shows 384 pixels of a picture as they are, however small its print. Print stands in lines
with paper between them: in narrow strips of the picture, rows with ink and rows without take
turns, and the rows with ink are as many as letters are high.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image


# Pixels across a strip: some letters of any size, so few that slanted lines stay apart.
_STRIP = 96
# Grey levels that the ink differs from the paper by, at least; and the share of the largest
# difference in a strip from which on a pixel is ink.
_MIN_CONTRAST, _INK = 40, 0.4
# Letters leave gaps: from this share of ink on it is a bar.
_SOLID = 0.8
# Lines lower than this are dirt, and fewer than so many are no print.
_MIN_HEIGHT, _MIN_LINES = 5, 8
# Most lines have letters that stand high or hang low, some have not.
_TYPICAL = 70
# Of the lines of print so many are about as high as the typical one.
_ALIKE = 0.7
# Print lower than SMALL is shown LARGE pixels high, but at most MAX_PRINT_ZOOM times as large.
SMALL, LARGE, MAX_PRINT_ZOOM = 17.5, 26.0, 2.0


def shown_zoom(
    zoom: float | Literal["auto"] | None, wanted_height: float | None, image: Image
) -> float:
    """How many times as large ``image`` is shown.

    Args:
        zoom: as in ``Request``; None leaves it to the checkpoint's policy.
        wanted_height: the policy's ``print_height``.
        image: upright RGB picture of any size.
    """
    if zoom is None and wanted_height is not None:
        return print_zoom(image, wanted_height)
    if zoom == "auto":
        return print_zoom(image, wanted_height or LARGE)
    return 1.0 if zoom is None else zoom


def print_zoom(image: Image, wanted_height: float = LARGE) -> float:
    """How many times as large to show ``image``, 1..MAX_PRINT_ZOOM; 1 without small print.

    Args:
        image: upright RGB picture of any size.
        wanted_height: pixels that small print should be shown high.
    """
    return zoom_for(print_height(image), wanted_height)


def zoom_for(height: float | None, wanted_height: float = LARGE) -> float:
    """The same for print of ``height`` pixels, None for none."""
    if height is None or height >= SMALL * wanted_height / LARGE:
        return 1.0
    return min(MAX_PRINT_ZOOM, wanted_height / height)


def print_height(image: Image) -> float | None:
    """Pixels from the top of high letters to the bottom of hanging ones; None without print."""
    grey = np.asarray(image.convert("L"), dtype=np.int16)
    strips = [grey[:, x : x + _STRIP] for x in range(0, grey.shape[1], _STRIP)]
    heights = np.concatenate([_line_heights(strip) for strip in strips])
    if len(heights) < _MIN_LINES:
        return None
    typical = float(np.percentile(heights, _TYPICAL))
    alike = (heights > 0.6 * typical) & (heights < 1.5 * typical)
    return typical if alike.mean() >= _ALIKE else None


def _ink(strip: npt.NDArray[np.int16]) -> npt.NDArray[np.bool_]:
    """Ink in grey levels [H, W]; none where nothing stands out."""
    contrast = np.abs(strip - np.median(strip))
    most = np.percentile(contrast, 99)
    if most < _MIN_CONTRAST:
        return np.zeros(strip.shape, np.bool_)
    return np.asarray(contrast > _INK * most)


def _line_heights(strip: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    """Rows of every run of rows with ink in grey levels [H, W], without those that are cut off
    and solid bars.
    """
    ink = _ink(strip).mean(axis=1)
    starts, ends = _runs_of(ink > 0)
    heights = ends - starts
    whole = (starts > 0) & (ends < len(ink)) & (heights >= _MIN_HEIGHT)
    before = np.concatenate([[0.0], ink.cumsum()])
    share = (before[ends] - before[starts]) / heights
    lines: npt.NDArray[np.int64] = heights[whole & (share < _SOLID)]
    return lines


def _runs_of(
    marked: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where runs of True start, and where they end (exclusive)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return edges[::2], edges[1::2]
