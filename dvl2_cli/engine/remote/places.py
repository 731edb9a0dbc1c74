"""Which warm model serves which settings, and where its socket is."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dvl2_cli import __version__, user_folders
from dvl2_cli.errors import ModelError

if TYPE_CHECKING:
    from dvl2_cli.settings import Settings

_WEIGHTS = (".safetensors", ".json")
_LONGEST = 100  # bytes of a socket's path that every Unix takes (sun_path)


@dataclass(frozen=True, slots=True)
class ModelKey:
    """What has to be equal for two commands to share one loaded model.

    ``fingerprint`` is of the names, sizes and times of the folder's files: a folder that was
    trained or pulled again is another model. ``version`` is dvl2's own.
    """

    folder: str
    fingerprint: str
    quant: str
    device: str
    adapter: str | None
    adapter_fingerprint: str | None
    max_memory: str | None
    threads: int | None
    version: str = __version__

    @classmethod
    def of(cls, folder: Path, settings: Settings) -> ModelKey:
        """The key of the resolved model ``folder`` under ``settings``."""
        adapter = Path(settings.adapter).expanduser().resolve() if settings.adapter else None
        return cls(
            str(folder.resolve()),
            _fingerprint(folder),
            settings.quant,
            settings.device,
            str(adapter) if adapter else None,
            _fingerprint(adapter) if adapter else None,
            settings.max_memory,
            settings.threads,
        )

    def digest(self) -> str:
        """16 hexadecimal digits that stand for the key in a file name."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def runtime_folder() -> Path:
    """The folder of the sockets: only its owner may enter.

    Raises:
        ModelError: it cannot be made, or belongs to somebody else.
    """
    folder = user_folders.runtime_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise ModelError(
            f"cannot make {folder}: {error.strerror}", "Set XDG_RUNTIME_DIR."
        ) from error
    # Under /tmp somebody else could have made it first and would see what is asked.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise ModelError(f"{folder} is not your own folder", "Set XDG_RUNTIME_DIR.")
    if status.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def socket_path(key: ModelKey) -> Path:
    """Where the warm model with this key listens."""
    return checked_path(runtime_folder() / f"{key.digest()}.sock")


def checked_path(path: Path) -> Path:
    """``path`` if a socket can have it.

    Raises:
        ModelError: the path is too long for a socket.
    """
    if len(os.fsencode(path)) > _LONGEST:
        raise ModelError(
            f"the socket's path {path} is over {_LONGEST} bytes",
            "Choose a shorter one with --at, or set XDG_RUNTIME_DIR.",
        )
    return path


def explicit_socket() -> Path | None:
    """The socket that DVL2_SOCKET names."""
    chosen = os.environ.get("DVL2_SOCKET")
    return Path(chosen) if chosen else None


def any_socket() -> bool:
    """Whether any warm model may be running; makes no folder and raises nothing."""
    try:
        return any(user_folders.runtime_folder().glob("*.sock"))
    except user_folders.NoHomeError:
        return False


def all_sockets() -> list[Path]:
    """Every socket in the runtime folder, by name; some may be stale."""
    return sorted(runtime_folder().glob("*.sock"))


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    try:
        with os.scandir(folder) as entries:
            listing = sorted(
                (entry.name, entry.stat().st_size, entry.stat().st_mtime_ns)
                for entry in entries
                if entry.name.endswith(_WEIGHTS)
            )
    except OSError:
        listing = []  # whoever loads the folder reports what is wrong with it
    for row in listing:
        digest.update(repr(row).encode())
    return digest.hexdigest()[:16]
