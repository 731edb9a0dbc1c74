"""Fetching one model's files: resumable to the byte, and hashed before they count.

huggingface_hub moves the bytes (retries, Range requests, redirects, credentials). Its own
cache throws a partial file away when the process ends, and a shard of a released model
has gigabytes, so here a partial file stays and the next run continues it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self, cast

from dvl2_cli.errors import ModelError
from dvl2_cli.files import output_error
from dvl2_cli.store.hub import HubFile, Listing, endpoint, hub_errors, retry
from dvl2_cli.store.records import StoredFile

_HASH_CHUNK = 1 << 22
_INCOMPLETE = ".incomplete"


class DownloadProgress(Protocol):
    """Where a download reports."""

    def file(self, name: str) -> None:
        """The work now is on the file ``name``."""

    def advance(self, count: int) -> None:
        """``count`` more bytes are on disk; negative when a server made us start again."""


def bytes_present(listing: Listing, folder: Path) -> int:
    """Bytes of ``listing`` that earlier runs left in ``folder``."""
    return sum(
        min(_size(path), file.size) for file in listing.files for path in _both(folder, file)
    )


def download(listing: Listing, folder: Path, progress: DownloadProgress) -> tuple[StoredFile, ...]:
    """Bring every file of ``listing`` into ``folder``, which may hold parts from earlier runs.

    Returns:
        the files with the SHA-256 that each was seen to have on disk.

    Raises:
        ModelError: the hub failed or a file's content is not what the hub publishes.
        OutputError: the disk is full or not writable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(_fetch(listing, file, folder, progress) for file in listing.files)


def _fetch(listing: Listing, file: HubFile, folder: Path, progress: DownloadProgress) -> StoredFile:
    progress.file(file.name)
    target = folder / file.name
    if target.exists():
        with _disk_errors(target):
            found = _sha256(target)
            if _difference(file, target, found) is None:
                progress.advance(file.size)
                return StoredFile(file.name, file.size, found)
            target.unlink()  # damaged since an earlier run had checked it
    partial = folder / f"{file.name}{_INCOMPLETE}"
    with _disk_errors(partial):
        if not partial.exists():
            _take_from_hub_cache(listing, file, partial)
            if partial.exists() and _difference(file, partial, _sha256(partial)) is not None:
                partial.unlink()
        if _size(partial) > file.size:
            partial.unlink()
        _transfer(listing, file, partial, progress)
        digest = _verified(listing, file, partial)
        partial.rename(target)
    return StoredFile(file.name, file.size, digest)


def _transfer(listing: Listing, file: HubFile, partial: Path, progress: DownloadProgress) -> None:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    url = hf_hub_url(listing.hub_id.text, file.name, revision=listing.commit)
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}

    def attempt() -> None:
        reporter = _Reporter(progress)
        with partial.open("ab") as stream, reporter:
            present = stream.tell()
            with _size_checked_later():
                http_get(
                    url,
                    cast(BinaryIO, _BoundedFile(stream, file.size)),
                    resume_size=present,
                    headers=dict(headers),
                    expected_size=file.size,
                    tqdm_class=reporter.as_bar,  # type: ignore[arg-type]
                )
            os.fsync(stream.fileno())
        if present == file.size:  # there was nothing to ask for, so nothing was reported
            progress.advance(file.size)

    try:
        with hub_errors(listing.hub_id, listing.commit), _library_silent():
            retry(attempt)
    except _TooLongError as error:
        partial.unlink()
        raise _not_as_published(listing, file, "size") from error


def _verified(listing: Listing, file: HubFile, partial: Path) -> str:
    """The SHA-256 of ``partial``; the file is deleted if it is not what the hub publishes."""
    digest = _sha256(partial)
    what = _difference(file, partial, digest)
    if what is not None:
        partial.unlink()
        raise _not_as_published(listing, file, what)
    return digest


def _not_as_published(listing: Listing, file: HubFile, what: str) -> ModelError:
    return ModelError(
        f"{file.name} of {listing.hub_id.text} from {endpoint()} does not have the {what} "
        "that the hub publishes; it was deleted",
        f"Fetch it again: dvl2 pull {listing.hub_id.short} (with HF_ENDPOINT unset if it "
        "names a mirror)",
    )


def _difference(file: HubFile, path: Path, digest: str) -> str | None:
    """What of ``path``, whose SHA-256 is ``digest``, the hub publishes otherwise; None if nothing.

    A mirror that gives no hashes still gives the size.
    """
    if _size(path) != file.size:
        return "size"
    wrong_hash = file.sha256 is not None and digest != file.sha256
    wrong_blob = file.git_sha1 is not None and _git_sha1(path) != file.git_sha1
    return "hash" if wrong_hash or wrong_blob else None


def _take_from_hub_cache(listing: Listing, file: HubFile, partial: Path) -> None:
    """Use the copy that another tool left in huggingface_hub's cache, if there is one."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(listing.hub_id.text, file.name, revision=listing.commit)
    if not isinstance(cached, str):
        return
    source = Path(cached).resolve()
    if _size(source) != file.size:
        return
    try:
        # Never written to: it has its full size already.
        partial.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, partial)


class _TooLongError(Exception):
    """A body goes on beyond the size that the hub publishes."""


class _BoundedFile:
    """A file that takes at most one byte more than ``limit``; what http_get asks of a file."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream, self._limit = stream, limit

    def write(self, piece: bytes) -> int:
        """Write ``piece``.

        Raises:
            _TooLongError: the file is longer now than it may be.
        """
        room = self._limit + 1 - self._stream.tell()
        written = self._stream.write(piece[: max(room, 0)])
        if len(piece) >= room:
            raise _TooLongError
        return written

    def tell(self) -> int:
        """The position, in bytes."""
        return self._stream.tell()

    def seek(self, position: int) -> int:
        """Go to ``position``."""
        return self._stream.seek(position)

    def truncate(self) -> int:
        """Cut the file at the position."""
        return self._stream.truncate()


class _Reporter:
    """Stands in for the progress bar that http_get makes; takes a failed attempt's count back."""

    def __init__(self, progress: DownloadProgress) -> None:
        self._progress = progress
        self._count = 0

    def as_bar(self, *_: Any, initial: int = 0, **__: Any) -> Self:
        """What http_get calls to make its bar."""
        self.update(initial)
        return self

    def update(self, count: int) -> None:
        """``count`` more bytes were written."""
        self._count += count
        self._progress.advance(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.update(-self._count)


@contextlib.contextmanager
def _size_checked_later() -> Iterator[None]:
    """Let http_get's complaint about the size pass: the caller compares size and hash itself."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise


@contextlib.contextmanager
def _library_silent() -> Iterator[None]:
    """Keep huggingface_hub's own warnings off stderr; its failures are reported as ours."""
    from huggingface_hub.utils.logging import get_logger

    logger = get_logger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise output_error(path, error) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _git_sha1(path: Path) -> str:
    digest = hashlib.sha1(f"blob {_size(path)}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _both(folder: Path, file: HubFile) -> tuple[Path, Path]:
    return folder / file.name, folder / f"{file.name}{_INCOMPLETE}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
