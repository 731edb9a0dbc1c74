"""How large the letters of a line are, and where they stand, by the boxes of its glyphs."""

from __future__ import annotations

import numpy as np

from dvl2_cli.tasks.reading.lines.components import Components

# Of the higher: glyphs that differ by less stand on one line, or are one height.
_SAME = 0.09
# Of the glyphs that stand on the baseline: higher ones are brackets and strokes.
_HIGHEST = 90


def baseline_of(glyphs: Components) -> float:
    """The row below the feet of most glyphs."""
    first = int(glyphs.bottom.min())
    counts = np.bincount(glyphs.bottom - first)
    reach = int(_slack(glyphs))
    window = np.ones(2 * reach + 1)
    # Most glyphs within reach; of several such rows, the one that most of them end at.
    near = np.convolve(counts, window)[reach:][: len(counts)] + counts / len(glyphs)
    return float(first + int(np.argmax(near)))


def cap_height_of(glyphs: Components, baseline: float) -> float:
    """Rows from ``baseline`` up to the top of capitals, or of the highest letters there are."""
    standing = np.abs(glyphs.bottom - baseline) <= _slack(glyphs)
    # An outline begins one row above its letter.
    heights = baseline - glyphs.top[standing] - 1
    return max(1.0, float(np.percentile(heights, _HIGHEST, method="lower")))


def _slack(glyphs: Components) -> float:
    return max(1.0, _SAME * float(np.max(glyphs.height)))
