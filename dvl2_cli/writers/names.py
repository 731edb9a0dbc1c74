"""Names of output files, made from the names of the inputs."""

from __future__ import annotations

import re
from pathlib import PurePath

from dvl2_cli.results.envelope import Source

_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')
_LONGEST = 150


def stem_of(source: Source | None) -> str:
    """The input's name without folder and suffix, with its page, fit for a file name."""
    path = source.path if source else "result"
    name = path.split("?")[0].rstrip("/").rsplit("/", 1)[-1] if "://" in path else path
    stem = {"-": "stdin"}.get(name) or usable(PurePath(name).stem)
    return f"{stem}.p{source.page}" if source and source.page is not None else stem


def usable(text: str) -> str:
    """``text`` as a part of a path: without separators and control characters, not too long."""
    return _UNSAFE.sub("_", text)[:_LONGEST].strip(". ") or "result"


class UniqueNames:
    """Hands out names; a name that was given before gets a number."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def take(self, name: str) -> str:
        """``name``, or ``name-2``, ``name-3`` … if it is taken (letter case is ignored)."""
        chosen, number = name, 2
        while chosen.casefold() in self._used:
            chosen, number = f"{name}-{number}", number + 1
        self._used.add(chosen.casefold())
        return chosen
