"""The files beside a picture that take its caption."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from dvl2_cli.errors import Dvl2Error, InputError, OutputError
from dvl2_cli.inputs.picture import Picture
from dvl2_cli.journal import Journal
from dvl2_cli.results import CaptionResult, Source
from dvl2_cli.writers.caption_sidecar import Sidecars
from dvl2_cli.writers.caption_xmp import with_description, xmp_path
from dvl2_cli.writers.folder import write_text


class CaptionFiles:
    """Text sidecars and XMP; each file is written once per run, even if the run is killed.

    A file takes the caption of one picture: ``a.jpg`` and ``a.png`` cannot share ``a.txt``.
    """

    def __init__(self, sidecars: Sidecars | None, xmp: bool, journal: Journal | None) -> None:
        self._sidecars = sidecars
        self._xmp = xmp
        self._journal = journal

    def targets(self, source: Source) -> list[Path]:
        """The files that the caption of ``source`` goes to."""
        found = []
        if self._sidecars is not None:
            found.append(self._sidecars.path_for(source.path, source.page))
        if self._xmp:
            found.append(xmp_path(source.path))
        return found

    def replaced(self, source: Source) -> list[Path]:
        """Those of ``targets`` that a run changes where they exist."""
        targets = self.targets(source)
        keeps = self._sidecars is not None and self._sidecars.existing in ("skip", "error")
        return targets[1:] if keeps else targets

    def reason_to_skip(self, source: Source) -> str | None:
        """Why ``source`` needs no caption, or None.

        Raises:
            InputError: there is no file beside which to write.
            OutputError: a sidecar exists and must not.
        """
        targets = self.targets(source)
        is_there = os.path.exists(source.path)  # noqa: PTH110  pathlib raises for long names
        if targets and not is_there and not _is_missing(source):
            raise InputError(f"{source.path} is no file, so nothing can be written beside it")
        if self._sidecars is None or self._was_written(targets[0], source.name):
            return None
        return f"{targets[0]} exists" if self._sidecars.skips(targets[0]) else None

    def write(self, result: CaptionResult, picture: Picture) -> CaptionResult:
        """Write the caption; a file that cannot be written makes the row a failure."""
        if result.status == "failed" or result.caption is None:
            return result
        if result.finish_reason == "cancelled":
            return result
        written: list[str] = []
        source = Source.of(picture)
        try:
            for target in self.targets(source):
                self._write(target, result.caption, source.name)
                written.append(str(target))
        except Dvl2Error as error:
            return dataclasses.replace(result, status="failed", error=error, written=tuple(written))
        return dataclasses.replace(result, written=tuple(written))

    def _write(self, target: Path, caption: str, owner: str) -> None:
        if self._was_written(target, owner):
            return
        other = self._journal.writer_of(target) if self._journal is not None else None
        if other not in (None, owner):
            raise OutputError(
                f"{target} has the caption of {other}", "Rename one of the two pictures."
            )
        if self._sidecars is not None and target.suffix == self._sidecars.suffix:
            text = self._sidecars.text_for(target, caption)
        else:
            text = with_description(target, caption)
        if self._journal is not None:
            self._journal.about_to_write(target, text, owner)
        write_text(target, text)

    def _was_written(self, target: Path, owner: str) -> bool:
        return self._journal is not None and self._journal.already_written(target, owner)


def _is_missing(source: Source) -> bool:
    """Whether reading ``source`` will say more clearly that there is no such file."""
    return source.sha256 is None and "://" not in source.path and source.path != "-"
