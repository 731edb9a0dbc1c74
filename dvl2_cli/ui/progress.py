"""Progress of a batch on stderr: a bar with rate and time left on a terminal, else nothing."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from dvl2_cli.ui.control import printable

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from dvl2_cli.ui.console import Console


class Progress:
    """Counts finished inputs. ``total`` is None where it is not known in advance."""

    def __init__(self, console: Console, what: str, total: int | None, *, shown: bool) -> None:
        self._console = console
        self._what = what
        self._total = total
        self._shown = shown and console.err_is_tty and not console.quiet
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Progress:
        if not self._shown:
            return self
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            SpinnerColumn(),
            TextColumn(self._what, markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[current]}", markup=False),
            console=self._console.rich_err(),
            transient=True,
        )
        self._task = self._bar.add_task(self._what, total=self._total, rate="", current="")
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, current: str) -> None:
        """One more is finished; ``current`` names it."""
        if self._bar is None or self._task is None:
            return
        task = self._bar.tasks[self._task]
        elapsed = task.elapsed or 0.0
        rate = f"{(task.completed + 1) / elapsed:.2f}/s" if elapsed > 0 else ""
        name = printable(current).replace("\n", " ")[-40:]
        self._bar.update(self._task, advance=1, rate=rate, current=name)
