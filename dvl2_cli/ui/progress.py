"""What is being done, in one line on stderr's terminal: a spinner, and a bar for several inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dvl2_cli.ui.control import printable

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn, Task, TaskID
    from rich.text import Text

# A bar, the rate and the time left fit beside a name from so many columns on.
_WIDE = 70
# Columns that are not the name's: spinner and gap, with a count, and with all of it.
_SPINNER, _COUNT, _ALL = 2, 14, 50
_LONGEST_NAME = 24
_MAX_LISTED = 3
# Pages may take a minute each: the rate is that of the last quarter of an hour.
_RATE_SECONDS = 900.0


class Progress:
    """The line, shown by `show` until `pause` makes room for what others write.

    Args:
        console: makes the Rich console of stderr.
        shown: whether there is somebody to see it; if not, nothing is ever written.

    Attributes:
        shown: as given, and false once it is closed.
    """

    def __init__(self, console: Callable[[], RichConsole], *, shown: bool) -> None:
        self._console, self.shown = console, shown
        self._total = 0
        self._line: RichProgress | None = None
        self._task: TaskID | None = None

    @property
    def visible(self) -> bool:
        """Whether the line is on the terminal now."""
        return self._line is not None and self._line.live.is_started

    def expect(self, more: int) -> None:
        """So many more inputs will come; from two on they are counted, with a bar."""
        self._total += more
        if self._line is not None and self._task is not None:
            self._line.columns = self._columns(self._line.console)
            self._line.update(self._task, total=self._total)

    def show(self, text: str) -> None:
        """Show the line, with what is being done."""
        if not self.shown:
            return
        if self._line is None:
            self._line, self._task = self._made()
        assert self._task is not None  # noqa: S101  made together
        shown = printable(text).replace("\n", " ")
        room = self._line.console.width - self._taken(self._line.console)
        # At once: what is soon over would not be seen at the next beat.
        self._line.update(self._task, description=_within(room, shown), refresh=True)
        self._line.start()

    def advance(self) -> None:
        """One more input is finished."""
        if self._line is not None and self._task is not None:
            self._line.advance(self._task)

    def pause(self) -> None:
        """Take the line away."""
        if self._line is not None:
            self._line.stop()

    def resume(self) -> None:
        """Show the line again as it was."""
        if self._line is not None and self.shown:
            self._line.start()

    def close(self) -> None:
        """Take the line away for good: something else moves on the terminal now."""
        self.pause()
        self.shown = False

    def _made(self) -> tuple[RichProgress, TaskID]:
        from rich.progress import Progress as RichProgress

        console = self._console()
        line = RichProgress(
            *self._columns(console),
            console=console,
            transient=True,
            redirect_stdout=False,
            speed_estimate_period=_RATE_SECONDS,
        )
        return line, line.add_task("", total=self._total)

    def _taken(self, console: RichConsole) -> int:
        """Columns of the terminal beside the words."""
        if self._total <= 1:
            return _SPINNER
        return _ALL if console.width >= _WIDE else _COUNT

    def _columns(self, console: RichConsole) -> tuple[ProgressColumn, ...]:
        return _columns(counted=self._total > 1, wide=console.width >= _WIDE)


def short_name(path: str) -> str:
    """The end of a long path or URL, which tells more than its beginning."""
    if len(path) > _LONGEST_NAME:
        path = path.rstrip("/").rpartition("/")[2]
    return path if len(path) <= _LONGEST_NAME else f"…{path[1 - _LONGEST_NAME :]}"


def _columns(*, counted: bool, wide: bool) -> tuple[ProgressColumn, ...]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        SpinnerColumn,
        TextColumn,
    )
    from rich.table import Column
    from rich.text import Text

    def _one_line() -> Column:
        return Column(no_wrap=True)

    class Rate(ProgressColumn):
        """How fast inputs are finished."""

        def __init__(self) -> None:
            super().__init__(_one_line())

        def render(self, task: Task) -> Text:
            return Text(rate(task.speed))

    class Left(ProgressColumn):
        """How long the rest will take."""

        def __init__(self) -> None:
            super().__init__(_one_line())

        def render(self, task: Task) -> Text:
            return Text(time_left(task.time_remaining))

    name = TextColumn("{task.description}", markup=False)
    if not counted:
        return SpinnerColumn(), name
    if not wide:
        return SpinnerColumn(), MofNCompleteColumn(table_column=_one_line()), name
    count = MofNCompleteColumn(table_column=_one_line())
    return SpinnerColumn(), BarColumn(10), count, Rate(), Left(), name


def _within(room: int, words: str) -> str:
    """``words`` in so many columns; what is too much is left out."""
    from rich.text import Text

    text = Text(words)
    text.truncate(max(room, 1), overflow="ellipsis")
    return text.plain


def rate(per_second: float | None) -> str:
    """Inputs per second, or seconds for each where they take longer; empty while unknown."""
    if not per_second:
        return ""
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{1 / per_second:.1f} s each"


def time_left(seconds: float | None) -> str:
    """What is left of the time, as ``1:05 left``; empty while unknown."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
    return f"{clock} left"


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    rest = len(names) - _MAX_LISTED
    return ", ".join(names[:_MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")
