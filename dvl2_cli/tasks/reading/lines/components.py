"""Connected components of a mask, by runs of pixels; numpy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Components:
    """Bounding boxes (ends exclusive) and pixel counts of components, one entry each."""

    left: Ints
    top: Ints
    right: Ints
    bottom: Ints
    area: Ints

    def __len__(self) -> int:
        """How many there are."""
        return len(self.left)

    @property
    def width(self) -> Ints:
        """Columns of each."""
        return self.right - self.left

    @property
    def height(self) -> Ints:
        """Rows of each."""
        return self.bottom - self.top

    def where(self, kept: npt.NDArray[np.bool_] | Ints) -> Components:
        """Those that a mask or indices choose."""
        return Components(
            self.left[kept], self.top[kept], self.right[kept], self.bottom[kept], self.area[kept]
        )


@dataclass(frozen=True, slots=True)
class Runs:
    """Maximal horizontal runs of set pixels, in raster order; ``label`` numbers components."""

    row: Ints
    start: Ints
    end: Ints
    label: Ints


def runs_of(marked: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Where runs of True start, and where they end (exclusive)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return edges[::2], edges[1::2]


def labelled_runs(mask: npt.NDArray[np.bool_]) -> Runs:
    """The runs of ``mask`` [H, W], labelled so that runs which touch share a label.

    Diagonal neighbours touch.
    """
    height, width = mask.shape
    # A column of False between the rows keeps runs apart in the flat array.
    padded = np.zeros((height, width + 1), np.bool_)
    padded[:, :width] = mask
    starts, ends = runs_of(padded.ravel())
    row = starts // (width + 1)
    first, last = starts - row * (width + 1), ends - row * (width + 1)
    above, below = _touching(row, first, last, width)
    return Runs(row, first, last, merged_labels(len(row), above, below))


def components_of(runs: Runs) -> Components:
    """The boxes of labelled runs."""
    count = int(runs.label.max()) + 1 if len(runs.label) else 0
    left = np.full(count, np.iinfo(np.int64).max)
    top = left.copy()
    right = np.zeros(count, np.int64)
    bottom, area = right.copy(), right.copy()
    np.minimum.at(left, runs.label, runs.start)
    np.minimum.at(top, runs.label, runs.row)
    np.maximum.at(right, runs.label, runs.end)
    np.maximum.at(bottom, runs.label, runs.row + 1)
    np.add.at(area, runs.label, runs.end - runs.start)
    return Components(left, top, right, bottom, area)


def merged_labels(count: int, one: Ints, other: Ints) -> Ints:
    """Labels 0.. of ``count`` items so that ``one[i]`` and ``other[i]`` share theirs."""
    parent = np.arange(count)
    while len(one):
        roots, others = parent[one], parent[other]
        apart = roots != others
        if not apart.any():
            break
        one, other = one[apart], other[apart]
        high = np.maximum(roots[apart], others[apart])
        low = np.minimum(roots[apart], others[apart])
        np.minimum.at(parent, high, low)
        parent = _compressed(parent)
    return np.unique(parent, return_inverse=True)[1].astype(np.int64)


def _compressed(parent: Ints) -> Ints:
    """Every item points at its root."""
    while True:
        grand = parent[parent]
        if (grand == parent).all():
            return parent
        parent = grand


def _touching(row: Ints, first: Ints, last: Ints, width: int) -> tuple[Ints, Ints]:
    """Pairs of runs in neighbouring rows that touch."""
    if not len(row):
        return row, row
    # Runs in one number line: those of the row above a run are found by two searches.
    stride = width + 3
    low = np.searchsorted(row * stride + last, (row - 1) * stride + first, side="left")
    high = np.searchsorted(row * stride + first, (row - 1) * stride + last, side="right")
    counts = np.maximum(high - low, 0)
    below = np.repeat(np.arange(len(row)), counts)
    offsets = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    return low[below] + offsets, below
