"""What the hub says about a model, and its failures in the user's words.

The hub is whatever ``HF_ENDPOINT`` names; huggingface_hub speaks to it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from dvl2_cli.errors import ModelError
from dvl2_cli.retrying import retry_seconds
from dvl2_cli.store.names import HubId, is_commit
from dvl2_cli.store.shards import INDEX
from dvl2_cli.urls import without_login

_Value = TypeVar("_Value")

# Seconds before each new attempt after a failure that may pass: 429, 5xx, cut or refused
# connections. The hub's own Retry-After counts where it is longer, up to five minutes.
RETRY_WAITS = (1.0, 2.0, 4.0)
_MAX_WAIT_SECONDS = 300.0
_PASSING_STATUS = (408, 429)
# Names are file names here: what no file system takes, or another reads as a device or a path.
_MAX_NAME_BYTES = 200
_FORBIDDEN_IN_NAMES = frozenset('\\/:*?"<>|')
# No released shard is near it; a listing beyond it is a mistake or an attack.
_MAX_FILE_BYTES = 2**43
_LICENCES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENSE-MODEL")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a listing: ``size`` in bytes, and the hash that the hub publishes for it.

    Files kept in large-file storage have a SHA-256, others git's SHA-1 of a blob; a mirror
    may give neither.
    """

    name: str
    size: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """The files that a model needs, at one commit."""

    hub_id: HubId
    commit: str
    licence: str | None
    files: tuple[HubFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


def list_model(hub_id: HubId, revision: str | None) -> Listing:
    """Ask the hub for the commit that ``revision`` names and for its files.

    Raises:
        ModelError: not found, gated, not reachable, or not a model that dvl2 can run.
    """
    from huggingface_hub import HfApi

    from dvl2_cli.store.hub_client import use_bounded_client

    def ask() -> Listing:
        info = HfApi().model_info(hub_id.text, revision=revision, files_metadata=True)
        if not info.sha or info.siblings is None:
            raise ValueError("no commit in the answer")
        if not is_commit(info.sha):
            raise ValueError("its commit is not 40 hexadecimal digits")
        files = tuple(
            HubFile(
                sibling.rfilename,
                int(sibling.size or 0),
                sibling.lfs.sha256 if sibling.lfs else None,
                None if sibling.lfs else sibling.blob_id,
            )
            for sibling in info.siblings
            if _is_needed(sibling.rfilename)
        )
        card = info.card_data
        licence = card.get("license_name") or card.get("license") if card else None
        return Listing(hub_id, info.sha, str(licence) if licence else None, files)

    with hub_errors(hub_id, revision):
        use_bounded_client()
        listing = retry(ask)
    _check_names(listing)
    _check_listing(listing)
    return listing


def endpoint() -> str:
    """The address of the hub, as ``HF_ENDPOINT`` sets it, without user and password."""
    from huggingface_hub import constants

    return without_login(str(constants.ENDPOINT))


def retry(action: Callable[[], _Value]) -> _Value:
    """The result of ``action``, tried again after failures that may pass."""
    for wait in RETRY_WAITS:
        try:
            return action()
        except Exception as error:
            if not _may_pass(error):
                raise
            asked = _retry_after(error)
        time.sleep(max(wait, min(asked, _MAX_WAIT_SECONDS)))
    return action()


@contextlib.contextmanager
def hub_errors(hub_id: HubId, revision: str | None) -> Iterator[None]:
    """Turn the failures of huggingface_hub into one line of what and what to do."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    name = hub_id.text
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise ModelError(
            f"{name} is not on this machine and HF_HUB_OFFLINE forbids fetching it",
            f"Unset HF_HUB_OFFLINE, then: dvl2 pull {hub_id.short}",
        ) from error
    except HfHubHTTPError as error:
        raise _answered(error, name, revision) from error
    except ImportError as error:  # httpx2 speaks SOCKS through a package of its own
        raise ModelError(
            f"a proxy of the environment needs a package that is missing: {_one_line(error)}",
            "Install it: pip install socksio",
        ) from error
    except HTTPError as error:
        raise ModelError(
            f"cannot reach {endpoint()}: {_one_line(error)}",
            "Check the network, or set HF_ENDPOINT to a mirror; what was fetched is kept.",
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{endpoint()} does not answer like a model hub: {_one_line(error)}",
            "Check HF_ENDPOINT.",
        ) from error


def _answered(error: Exception, name: str, revision: str | None) -> ModelError:
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    assert isinstance(error, HfHubHTTPError)  # noqa: S101
    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        return ModelError(
            f"{name} is gated: its owner must grant access (HTTP {status})",
            f"Ask for access at {endpoint()}/{name}, then log in: hf auth login",
        )
    if isinstance(error, RevisionNotFoundError):
        return ModelError(f"{name} has no revision {revision!r}", "Give a branch, tag or commit.")
    if isinstance(error, RepositoryNotFoundError) or status in (401, 403):
        return ModelError(
            f"{endpoint()} has no model {name}, or it is private (HTTP {status})",
            "Check the name; for a private model log in: hf auth login",
        )
    return ModelError(
        f"{endpoint()} answered HTTP {status} for {name}",
        "Try again later, or set HF_ENDPOINT to a mirror; what was fetched is kept.",
    )


def _may_pass(error: Exception) -> bool:
    from httpx2 import TransportError
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return status >= 500 or status in _PASSING_STATUS
    return isinstance(error, TransportError)


def _retry_after(error: Exception) -> float:
    """The seconds that the hub asks to wait; 0 where it names none."""
    response = getattr(error, "response", None)
    header = None if response is None else response.headers.get("Retry-After")
    return retry_seconds(header) or 0.0


def _is_needed(name: str) -> bool:
    """Weights, configurations and the licence; never pickles or code, never a subfolder."""
    path = PurePosixPath(name)
    if len(path.parts) != 1 or name.startswith(".") or "\\" in name:
        return False
    return path.suffix in (".safetensors", ".json") or name in _LICENCES


def _check_names(listing: Listing) -> None:
    """Refuse what would be written where it must not, or twice.

    Raises:
        ModelError: a name that is no plain file name, a name given twice, an impossible size.
    """
    seen: set[str] = set()
    for file in listing.files:
        what = None
        if not _is_plain(file.name):
            what = f"names a file {file.name[:60]!r}, which is no plain file name"
        elif file.name.casefold() in seen:
            what = f"names {file.name} twice"
        elif not 0 <= file.size <= _MAX_FILE_BYTES:
            what = f"gives {file.name} a size of {file.size} bytes"
        if what is not None:
            raise ModelError(f"{endpoint()} {what}; nothing was fetched", "Check HF_ENDPOINT.")
        seen.add(file.name.casefold())


def _is_plain(name: str) -> bool:
    printable = name.isprintable() and not _FORBIDDEN_IN_NAMES & set(name)
    return printable and len(name.encode("utf-8", "replace")) <= _MAX_NAME_BYTES


def _check_listing(listing: Listing) -> None:
    names = {file.name for file in listing.files}
    name = listing.hub_id.text
    if "config.json" not in names:
        raise ModelError(f"{name} has no config.json: it is not a model", "Check the name.")
    if not any(name.endswith(".safetensors") for name in names):
        raise ModelError(
            f"{name} has no safetensors weights{' but an index' if INDEX in names else ''}",
            "dvl2 never opens pickled weights: ask the owner for safetensors.",
        )


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__
