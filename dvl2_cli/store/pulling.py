"""Pulling a model: listing, space, download, check, and only then the record that makes it one."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dvl2_cli.errors import ModelError, OutputError
from dvl2_cli.files import output_error
from dvl2_cli.locks import locked
from dvl2_cli.store.checkpoint import check_checkpoint
from dvl2_cli.store.download import DownloadProgress, bytes_present, download
from dvl2_cli.store.hub import Listing, list_model
from dvl2_cli.store.names import HubId
from dvl2_cli.store.places import ORIGINAL, PARTIAL, commit_folder, models_folder
from dvl2_cli.store.records import Record, find_record, write_record

# Left free on the disk beside the download, bytes.
_SPARE = 256 * 2**20


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What a pull would do. Sizes in bytes; ``extra`` is for the quantised copy after it."""

    listing: Listing
    folder: Path
    present: int
    extra: int
    free: int

    @property
    def missing(self) -> int:
        """Bytes that are still to be fetched."""
        return self.listing.size - self.present


def plan_pull(hub_id: HubId, revision: str | None, *, extra_share: float = 0.0) -> PullPlan:
    """Ask the hub what there is and the disk what fits.

    Args:
        hub_id: the model.
        revision: branch, tag or commit; None for the main branch.
        extra_share: size of the quantised copy to be made, as a share of the download.

    Raises:
        ModelError: the hub does not have the model or cannot be reached.
    """
    listing = list_model(hub_id, revision)
    folder = commit_folder(hub_id, listing.commit)
    present = max(
        bytes_present(listing, folder / PARTIAL), bytes_present(listing, folder / ORIGINAL)
    )
    free = shutil.disk_usage(_existing(models_folder())).free
    return PullPlan(listing, folder, present, int(listing.size * extra_share), free)


def check_space(plan: PullPlan) -> None:
    """Refuse a download that cannot fit.

    Raises:
        OutputError: too little space on the disk of the models folder.
    """
    from dvl2_cli.sizes import format_size

    needed = plan.missing + plan.extra + (_SPARE if plan.missing or plan.extra else 0)
    if needed > plan.free:
        raise OutputError(
            f"{plan.listing.hub_id.text} needs {format_size(needed)} more, but only "
            f"{format_size(plan.free)} are free at {_existing(models_folder())}",
            "Free some space, or set DVL2_MODELS to a folder on another disk.",
        )


def pull(plan: PullPlan, asked_revision: str | None, progress: DownloadProgress) -> Record:
    """Fetch what is missing, check everything and write the record.

    Raises:
        ModelError: the hub failed, a file is not what it should be, or the checkpoint is
            not one that dvl2 can load.
        OutputError: the disk is full or not writable.
    """
    with _one_at_a_time(plan):
        partial, original = plan.folder / PARTIAL, plan.folder / ORIGINAL
        # A run that was killed between the rename and the record left the whole folder.
        folder = original if original.is_dir() else partial
        files = download(plan.listing, folder, progress)
        check_checkpoint(folder)
        if folder is partial:
            partial.rename(original)
        record = Record(
            id=plan.listing.hub_id.text,
            revision=plan.listing.commit,
            asked_revision=asked_revision or "main",
            licence=plan.listing.licence,
            pulled_at=time.time(),
            files=files,
        )
        write_record(record)
        return record


def pull_offline(hub_id: HubId, revision: str | None) -> Record:
    """The model as it was pulled before.

    Raises:
        ModelError: it was not.
    """
    record = find_record(hub_id, revision)
    if record is not None:
        return record
    raise ModelError(
        f"{hub_id.text} is not on this machine and --offline forbids fetching it",
        f"With a network: dvl2 pull {hub_id.short}",
    )


@contextlib.contextmanager
def _one_at_a_time(plan: PullPlan) -> Iterator[None]:
    from filelock import Timeout

    lock = plan.folder.parent / f"{plan.folder.name}.lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with locked(lock):
            yield
    except Timeout as error:
        raise ModelError(
            f"another dvl2 process is fetching {plan.listing.hub_id.text}", "Wait for it to end."
        ) from error
    except OSError as error:
        raise output_error(lock.parent, error) from error


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
