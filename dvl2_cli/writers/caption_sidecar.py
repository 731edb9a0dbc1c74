"""Caption files beside pictures, and what to do with those that exist."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dvl2_cli.errors import OutputError, UsageError
from dvl2_cli.files import output_error
from dvl2_cli.plain_file import read_plain_file
from dvl2_cli.texts import decode_text

Existing = Literal["skip", "overwrite", "append", "prepend", "error"]
EXISTING: tuple[Existing, ...] = ("skip", "overwrite", "append", "prepend", "error")
_LONGEST = 2**20


@dataclass(frozen=True, slots=True)
class Sidecars:
    """Names and fills ``photo.txt`` for ``photo.jpg``."""

    suffix: str
    existing: Existing = "skip"

    def check(self) -> None:
        """Refuse what is no suffix or would hit the picture.

        Raises:
            UsageError: so named.
        """
        if self.existing not in EXISTING:
            raise UsageError(f"--existing {self.existing}", f"One of {', '.join(EXISTING)}.")
        if not self.suffix.startswith(".") or len(self.suffix) < 2 or "/" in self.suffix:
            raise UsageError(f"--sidecar {self.suffix!r} is no suffix", "Write .txt or .caption.")

    def path_for(self, picture: str, page: int | None) -> Path:
        """Where the caption of ``picture`` goes; pages of a document get their number."""
        path = Path(picture)
        name = path.stem if page is None else f"{path.stem}.p{page}"
        target = path.with_name(name + self.suffix)
        if target == path:
            raise UsageError(
                f"--sidecar {self.suffix} is the suffix of {path.name} itself",
                "Write .txt or .caption.",
            )
        return target

    def skips(self, target: Path) -> bool:
        """Whether an existing ``target`` means that there is nothing to do.

        Raises:
            OutputError: it exists and the policy is "error".
        """
        if not _exists(target):
            return False
        if self.existing == "error":
            raise OutputError(f"{target} exists", "Choose --existing skip or overwrite.")
        return self.existing == "skip"

    def text_for(self, target: Path, caption: str) -> str:
        """What ``target`` is going to hold.

        Raises:
            OutputError: what it holds now has to be kept and cannot be read.
        """
        if self.existing not in ("append", "prepend") or not _exists(target):
            return caption + "\n"
        old = _read(target).strip("\n")
        pieces = (old, caption) if self.existing == "append" else (caption, old)
        return "\n".join(piece for piece in pieces if piece) + "\n"


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110  pathlib raises for names that are too long


def _read(path: Path) -> str:
    try:
        return decode_text(read_plain_file(path, _LONGEST))
    except OSError as error:
        raise output_error(path, error) from error
    except UnicodeDecodeError as error:
        raise OutputError(f"{path} is not UTF-8 text, so nothing can be added to it") from error
