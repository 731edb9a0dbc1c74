"""An answer's text as it may be shown while it is written."""

from __future__ import annotations

import re
from collections.abc import Sequence

# The model's control tokens; each comes as a piece of its own.
_CONTROL = re.compile(r"<[|｜][^<>]*[|｜]>")


class VisibleText:
    """Takes an answer's pieces, and gives what of them is sure to be part of its text.

    What may be the start of a stop string, and white space that may be at the end, is held back.
    The pieces given, joined, are the text of the finished answer.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stop = [text for text in stop if text]
        self._all = ""
        self._given = 0

    def feed(self, piece: str) -> str:
        """What can be shown after ``piece`` came."""
        if not _CONTROL.fullmatch(piece):
            self._all += piece if self._all else piece.lstrip()
        end = len(self._all)
        for text in self._stop:
            found = self._all.find(text)
            end = min(end, found if found >= 0 else len(self._all) - _begun(self._all, text))
        return self._until(len(self._all[:end].rstrip()))

    def finish(self, text: str) -> str:
        """What is left of the whole ``text``; nothing where other text was shown already."""
        if not text.startswith(self._all[: self._given]):
            return ""
        self._all = text
        return self._until(len(text))

    def _until(self, end: int) -> str:
        start, self._given = self._given, max(self._given, end)
        return self._all[start : self._given]


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of ``text`` start ``stop``."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
