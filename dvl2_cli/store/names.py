"""What a user may call a model: a short name, a hub id, or a folder."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from dvl2_cli.errors import ModelError

NANO = "nano"
NANO_ID = "dvl2-nano"

# Short name to hub id, smallest first.
RELEASED = {
    "tiny": "deepseek-ai/deepseek-vl2-tiny",
    "small": "deepseek-ai/deepseek-vl2-small",
    "base": "deepseek-ai/deepseek-vl2",
}
_OTHER_NAMES = {
    "27b": "base",
    "vl2": "base",
    "deepseek-vl2-tiny": "tiny",
    "deepseek-vl2-small": "small",
    "deepseek-vl2": "base",
    "dvl2-nano": NANO,
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubId:
    """A repository on the hub, ``owner/name``."""

    text: str

    @property
    def folder_name(self) -> str:
        """The id as one path component; reversible, since ids hold no double dash."""
        return self.text.replace("/", "--")

    @property
    def short(self) -> str:
        """The shortest name that `dvl2 pull` understands."""
        return next((name for name, hub in RELEASED.items() if hub == self.text), self.text)


def parse_name(name: str) -> HubId | Path | None:
    """What ``name`` means: a hub id, an existing or written-out folder, or None for nano.

    A folder that exists wins over a hub id that is spelt the same.

    Raises:
        ModelError: neither a known name, nor a folder, nor an id.
    """
    word = _OTHER_NAMES.get(name.lower(), name.lower())
    if word == NANO:
        return None
    if word in RELEASED:
        return HubId(RELEASED[word])
    folder = Path(name).expanduser()
    if name and (folder.is_dir() or name.startswith((".", "/", "~"))):
        return folder
    if _HUB_ID.fullmatch(name) and "--" not in name and ".." not in name:
        return HubId(name)
    near = difflib.get_close_matches(word, [NANO, *RELEASED, *_OTHER_NAMES], n=1)
    suggestion = f"Did you mean {near[0]}? " if near else ""
    raise ModelError(
        f"no model is called {name!r}",
        f"{suggestion}Give one of {NANO}, {', '.join(RELEASED)}, a folder, or a hub id such as "
        f"{RELEASED['tiny']}.",
    )


def is_commit(revision: str) -> bool:
    """Whether ``revision`` is a full commit hash and so can never change its meaning."""
    return _COMMIT.fullmatch(revision) is not None
