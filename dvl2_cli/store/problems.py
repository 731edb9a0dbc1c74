"""What is wrong with a model folder, one line each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dvl2_cli.errors import ModelError

_HUB_CACHE_FOLDER = re.compile(r"^models--(?P<owner>.+?)--(?P<name>.+)$")


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: ``message`` names the file or key, ``hint`` says what to do about it."""

    message: str
    hint: str


def as_error(problems: list[Problem], folder: Path) -> ModelError:
    """The first problem as the error to raise, saying how many more there are."""
    first, *rest = problems
    if not rest:
        return ModelError(first.message, first.hint)
    more = f"{len(rest)} more problem{'s' if len(rest) > 1 else ''}"
    return ModelError(
        f"{first.message} (and {more})", f"{first.hint} `dvl2 show {folder}` lists everything."
    )


def fetch_again(folder: Path) -> str:
    """How to get a sound copy of the model in ``folder``."""
    for part in folder.absolute().parts:
        match = _HUB_CACHE_FOLDER.match(part)
        if match:
            return f"Fetch it again: dvl2 pull {match['owner']}/{match['name']}"
    return "Copy the file again from where the model came."
