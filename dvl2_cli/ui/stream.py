"""Showing an answer while it is written: Markdown on a terminal, plain text elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from dvl2_cli.ui.control import printable
from dvl2_cli.ui.markdown import markdown, split_complete

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.live import Live
    from rich.segment import Segment

    from dvl2_cli.ui.output import Output

_WAITING = "reading"
_REDRAW_SECONDS = 1 / 12


class AnswerView(Protocol):
    """Takes an answer piece by piece; `close` is called exactly once, also after a failure."""

    def feed(self, piece: str) -> None:
        """More of the answer."""

    def close(self) -> None:
        """No more will come."""


def show_whole(view: AnswerView, answer: str) -> None:
    """Show an answer that is known already."""
    try:
        view.feed(answer)
    finally:
        view.close()


class PlainView:
    """Writes pieces as they come, without blanks before the first word, and a last newline."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._begun = False

    def feed(self, piece: str) -> None:
        """More of the answer."""
        if not self._begun:
            piece = piece.lstrip()
        if piece:
            self._output.text(piece)
            self._begun = True

    def close(self) -> None:
        """End the last line."""
        self._output.end_line()


class MarkdownView:
    """Prints each block once it is complete; only the last one is drawn anew as it grows.

    So a long answer scrolls by as normal output, and drawing costs the same however long
    the answer is.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tail = ""
        self._printed = False
        self._waiting = True
        self._drawn = time.monotonic()
        self._live = _live(console, _spinner(), animated=True)
        self._live.start()

    def feed(self, piece: str) -> None:
        """More of the answer."""
        self._tail += printable(piece) if self._tail else printable(piece).lstrip()
        if self._waiting and self._tail:
            self._stop_waiting()
        if "\n" in piece:
            complete, self._tail = split_complete(self._tail)
            self._print(complete)
        if not self._waiting and time.monotonic() - self._drawn > _REDRAW_SECONDS:
            self._draw()

    def close(self) -> None:
        """Print what is left."""
        tail, self._tail = self._tail, ""
        self._live.stop()
        self._print(tail)

    def _print(self, text: str) -> None:
        if not text.strip():
            return
        if self._live.is_started:
            self._draw()  # what was the tail must not be drawn again below the block
        self._console.print(_Block(text, after_blank=self._printed), end="")
        self._printed = True

    def _stop_waiting(self) -> None:
        # Rich draws a moving Live from a second thread, and what is printed meanwhile can then
        # come out twice: the answer is drawn from this one alone.
        self._live.stop()
        self._waiting = False
        self._live = _live(self._console, "", animated=False)
        self._live.start()

    def _draw(self) -> None:
        room = max(self._console.height - 2, 1)
        tail = _Block(self._tail, after_blank=self._printed, most=room)
        self._live.update(tail, refresh=True)
        self._drawn = time.monotonic()


class _Block:
    """A block of Markdown without blank lines around it; its last ``most`` lines if given."""

    def __init__(self, text: str, *, after_blank: bool, most: int | None = None) -> None:
        self._text, self._after_blank, self._most = text, after_blank, most

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        lines = console.render_lines(markdown(self._text), options.update(height=None), pad=False)
        while lines and _is_blank(lines[-1]):
            lines.pop()
        start = next((at for at, line in enumerate(lines) if not _is_blank(line)), len(lines))
        if self._after_blank and start < len(lines):
            yield Segment.line()
        for line in lines[start:][-(self._most or len(lines)) :]:
            yield from line
            yield Segment.line()


def _is_blank(line: list[Segment]) -> bool:
    return not any(segment.text.strip() for segment in line)


def _live(console: Console, shown: RenderableType, *, animated: bool) -> Live:
    from rich.live import Live

    return Live(
        shown,
        console=console,
        transient=True,
        auto_refresh=animated,
        refresh_per_second=12,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _spinner() -> RenderableType:
    from rich.spinner import Spinner

    return Spinner("dots", _WAITING, style="dim")
