"""Where a page holds anything else than plain ground: print, rules, pictures.

The ground may be light or dark and change from place to place. It is where neighbouring pixels
are alike; what is not alike is the outline of something. So dark print on light ground and light
print on dark ground are found in one pass.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

# Grey levels between neighbours in a window of three pixels: less is ground, at least; and how
# many times the page's own noise.
_MIN_STEP, _NOISE_FACTOR = 28, 6.0
Mask = npt.NDArray[np.bool_]


def marks_of(page: Image.Image) -> Mask:
    """Pixels that belong to an outline, bool [H, W].

    Args:
        page: RGB.
    """
    channels = np.asarray(page, dtype=np.uint8)
    spread = np.zeros(channels.shape[:2], np.uint8)
    for channel in range(channels.shape[2]):
        np.maximum(spread, _spread(channels[:, :, channel]), out=spread)
    noise = float(np.median(spread))
    return np.asarray(spread >= max(_MIN_STEP, min(_NOISE_FACTOR * noise, 90.0)))


def _spread(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Largest minus smallest value of each pixel and the one right of and below it."""
    highest, lowest = values.copy(), values.copy()
    for axis in (1, 0):
        ahead, behind = _slices(axis)
        highest[behind] = np.maximum(highest[behind], highest[ahead].copy())
        lowest[behind] = np.minimum(lowest[behind], lowest[ahead].copy())
    return np.asarray(highest - lowest)


def _slices(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    whole = [slice(None), slice(None)]
    ahead, behind = list(whole), list(whole)
    ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
    return tuple(ahead), tuple(behind)
