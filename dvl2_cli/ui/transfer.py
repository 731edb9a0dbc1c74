"""The progress of a download: a bar on a terminal, silence elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dvl2_cli.ui.control import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from dvl2_cli.ui.console import Console


class TransferBar:
    """One bar over all files, in bytes, with the file at work, rate and time left."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def file(self, name: str) -> None:
        """The work now is on the file ``name``."""
        self._progress.update(self._task, description=printable(name))

    def advance(self, count: int) -> None:
        """``count`` more bytes are done; negative to take some back."""
        self._progress.advance(self._task, count)

    def at(self, done: int, total: int) -> None:
        """``done`` of ``total`` bytes are done."""
        self._progress.update(self._task, completed=done, total=total)


class NoBar:
    """Reports nothing."""

    def file(self, name: str) -> None:
        """Nothing to show."""

    def advance(self, count: int) -> None:
        """Nothing to show."""

    def at(self, done: int, total: int) -> None:
        """Nothing to show."""


@contextlib.contextmanager
def transfer_bar(console: Console, total: int) -> Iterator[TransferBar | NoBar]:
    """A bar on stderr while the block runs; none with --quiet or without a terminal."""
    if console.quiet or not console.err_is_tty:
        yield NoBar()
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console.rich_err(), transient=True) as progress:
        yield TransferBar(progress, progress.add_task("", total=total))
