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
from dvl2_cli.store.names import HubId
from dvl2_cli.store.shards import INDEX

_Value = TypeVar("_Value")

# Seconds before each new attempt after a failure that may pass: 5xx, cut or refused connections.
RETRY_WAITS = (1.0, 2.0, 4.0)
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

    def ask() -> Listing:
        info = HfApi().model_info(hub_id.text, revision=revision, files_metadata=True)
        if not info.sha or info.siblings is None:
            raise ValueError("no commit in the answer")
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
        listing = retry(ask)
    _check_listing(listing)
    return listing


def endpoint() -> str:
    """The address of the hub, as ``HF_ENDPOINT`` sets it."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def retry(action: Callable[[], _Value]) -> _Value:
    """The result of ``action``, tried again after failures that may pass."""
    for wait in RETRY_WAITS:
        try:
            return action()
        except Exception as error:
            if not _may_pass(error):
                raise
        time.sleep(wait)
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
        return error.response.status_code >= 500
    return isinstance(error, TransportError)


def _is_needed(name: str) -> bool:
    """Weights, configurations and the licence; never pickles or code, never a subfolder."""
    path = PurePosixPath(name)
    if len(path.parts) != 1 or name.startswith(".") or "\\" in name:
        return False
    return path.suffix in (".safetensors", ".json") or name in _LICENCES


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
