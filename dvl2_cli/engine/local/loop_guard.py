"""Noticing that an answer repeats itself without end, while it is written."""

from __future__ import annotations

from collections.abc import Sequence

# (longest period, fewest repeats, fewest repeated tokens): short periods need more repeats,
# because rules, dot leaders and empty table cells repeat for good reason.
LIMITS = ((1, 64, 64), (4, 24, 72), (16, 12, 96), (64, 8, 128), (256, 5, 256))
_WINDOW = 256 * 6


def repeated_tail(tokens: Sequence[int]) -> int:
    """How many tokens at the end only repeat what stands before them; 0 for no loop.

    A loop is a block of up to 256 tokens that fills the end of ``tokens`` more often than
    ``LIMITS`` allows. One copy of the block is not counted.
    """
    tail = list(tokens[-_WINDOW:])
    for period in range(1, LIMITS[-1][0] + 1):
        _, repeats, total = next(limit for limit in LIMITS if period <= limit[0])
        least = max(period * repeats, total)
        if least > len(tail):
            continue
        same = _matching_run(tail, period)
        if same + period >= least:
            return same
    return 0


def _matching_run(tail: Sequence[int], period: int) -> int:
    run = 0
    for index in range(len(tail) - 1, period - 1, -1):
        if tail[index] != tail[index - period]:
            break
        run += 1
    return run
