"""Page ranges as users write them: ``1-4,7``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dvl2_cli.errors import UsageError

_RANGE = re.compile(r"\s*(\d{1,9})\s*(?:(-)\s*(\d{1,9})?\s*)?")


@dataclass(frozen=True, slots=True)
class PageRanges:
    """1-based, inclusive ranges in the order given; an end of None runs to the last page."""

    ranges: tuple[tuple[int, int | None], ...]

    @classmethod
    def parse(cls, text: str) -> PageRanges:
        """Read ``1-4,7`` or ``3-``.

        Raises:
            UsageError: not a list of pages, page 0, or a range that runs backwards.
        """
        ranges = []
        for part in text.split(","):
            match = _RANGE.fullmatch(part)
            if match is None:
                raise UsageError(f"--pages {text!r}: {part!r} is not a page", "Write 1-4,7 or 3-.")
            start = int(match[1])
            end = (int(match[3]) if match[3] else None) if match[2] else start
            if start < 1 or (end is not None and end < start):
                raise UsageError(
                    f"--pages {text!r}: {part!r} is not a range of pages",
                    "Pages count from 1 and ranges run upwards, as in 1-4,7.",
                )
            ranges.append((start, end))
        return cls(tuple(ranges))

    def select(self, count: int) -> Iterator[int]:
        """The pages of a document of ``count`` pages, each once, in the order asked for."""
        seen: set[int] = set()
        for start, end in self.ranges:
            for page in range(start, min(end or count, count) + 1):
                if page not in seen:
                    seen.add(page)
                    yield page

    def beyond(self, count: int) -> list[int]:
        """First page of each range that asks for pages past the last."""
        return [
            max(start, count + 1)
            for start, end in self.ranges
            if start > count or (end is not None and end > count)
        ]


ALL_PAGES = PageRanges(((1, None),))
