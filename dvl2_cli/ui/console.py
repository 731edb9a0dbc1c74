"""Who may write what where: data on stdout, everything else on stderr, colour on a TTY only."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dvl2_cli.sizes import format_size
from dvl2_cli.ui.control import one_line
from dvl2_cli.ui.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

    from dvl2_cli.engine.events import Notice, Started, Usage
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.ui.output import Output

_NANO_NOTICE = "answers come from nano, a small model to try; better: dvl2 pull tiny"
_DAY_SECONDS = 24 * 3600
_DIM, _YELLOW = "2", "33"

# Names of files and models may look like Rich's markup or an emoji's name.
_NO_MARKUP: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}


class Console:
    """One run's way of speaking to the user.

    Lines on stderr start with "dvl2: ", have no control characters, and obey --quiet and
    --verbose. ``rich_out`` and ``rich_err`` are Rich consoles that take text as it is, plain
    where NO_COLOR, --no-color, TERM=dumb or a pipe ask for that.
    """

    def __init__(self, common: CommonOptions) -> None:
        self.quiet = common.quiet
        self.verbose = common.verbose
        self._stats = common.stats
        self._no_color = common.no_color or bool(os.environ.get("NO_COLOR"))
        self.out_is_tty = _is_tty(sys.stdout)
        self.err_is_tty = _is_tty(sys.stderr)
        self._said: set[str] = set()
        self._streaming: Output | None = None
        is_shown = self.err_is_tty and not self.quiet and os.environ.get("TERM") != "dumb"
        self.progress = Progress(self.rich_err, shown=is_shown)

    @property
    def colour(self) -> bool:
        """Whether stdout may carry colour."""
        return self.out_is_tty and not self._no_color and os.environ.get("TERM") != "dumb"

    @property
    def _colours_stderr(self) -> bool:
        return self.err_is_tty and not self._no_color and os.environ.get("TERM") != "dumb"

    def follow(self, output: Output) -> None:
        """Start messages on a line of their own where ``output`` streams to the same terminal."""
        if self.out_is_tty and self.err_is_tty:
            self._streaming = output
            output.before_write = self.progress.pause

    def doing(self, text: str) -> None:
        """Show on a terminal what is being done, until something else is written there."""
        if self._streaming is None or not self._streaming.mid_line:
            self.progress.show(text)

    @contextlib.contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Show what is being done as long as that takes."""
        self.doing(text)
        try:
            yield
        finally:
            self.progress.pause()

    def note(self, text: str) -> None:
        """Something worth knowing; silent with --quiet."""
        if not self.quiet:
            self._line(f"dvl2: {text}", _DIM)

    def note_once(self, text: str) -> None:
        """As `note`, but each text only once per run."""
        if text not in self._said:
            self._said.add(text)
            self.note(text)

    def note_nano(self) -> None:
        """That the bundled model answers: once a day."""
        if not self.quiet and _is_first_today():
            self.note_once(_NANO_NOTICE)

    def detail(self, text: str) -> None:
        """A choice and its reason; only with --verbose."""
        if self.verbose:
            self._line(f"dvl2: {text}", _DIM)

    def tell(self, notice: Notice) -> None:
        """A notice of whoever works below the commands."""
        if notice.detail:
            self.detail(notice.text)
        else:
            self.note(notice.text)

    def warn(self, text: str) -> None:
        """Something that makes a result doubtful; silent with --quiet."""
        if not self.quiet:
            self._line(f"dvl2: warning: {text}", _YELLOW)

    def error(self, text: str, hint: str | None = None) -> None:
        """A failure of one input; always shown."""
        self._line(f"dvl2: {text}")
        if hint:
            self._line(f"  {hint}")

    def introduce(self, described: str, *, is_nano: bool) -> None:
        """Name the model that answers and why it was chosen, once."""
        self.note_once(f"model {described}")
        if is_nano:
            self.note_nano()

    def started(self, event: Started) -> None:
        """What the prompt of an answer takes; only with --verbose."""
        cost = event.cost
        if not (self.verbose and cost.prompt_tokens):
            return  # a server counts only when it is through
        tiles = ", ".join(f"{columns}x{rows} tiles + thumbnail" for columns, rows in cost.tiles)
        self.detail(
            f"prompt of {cost.prompt_tokens} tokens of {cost.context_length}, "
            f"{cost.image_tokens} of images ({tiles or 'none'}), {event.reused_tokens} reused"
        )

    def stats(self, usage: Usage, what: str = "") -> None:
        """Timing of one answer; only with --stats."""
        if not self._stats:
            return
        rate = usage.completion_tokens / usage.decode_seconds if usage.decode_seconds > 0 else 0.0
        subject = f"{what}: " if what else ""
        self._line(
            f"dvl2: {subject}{usage.prompt_tokens} prompt tokens "
            f"({usage.image_tokens} of images) in {usage.prefill_seconds:.2f} s, "
            f"{usage.completion_tokens} tokens in {usage.decode_seconds:.2f} s "
            f"({rate:.1f} per second){_beside(usage)}"
        )

    def _line(self, text: str, colour: str | None = None) -> None:
        was_visible = self.progress.visible
        self.progress.pause()
        if self._streaming is not None:
            self._streaming.end_line()
        shown = one_line(text)
        if colour and self._colours_stderr:
            shown = f"\x1b[{colour}m{shown}\x1b[0m"
        # Messages that nobody can take, as on a closed pipe, must not stop the work.
        with contextlib.suppress(OSError):
            sys.stderr.write(shown + "\n")
            sys.stderr.flush()
        if was_visible:
            self.progress.resume()

    def rich_out(self) -> RichConsole:
        """A Rich console on stdout."""
        from rich.console import Console as RichConsole

        if self.out_is_tty:
            self.progress.pause()
        return RichConsole(no_color=not self.colour, **_NO_MARKUP)

    def rich_err(self) -> RichConsole:
        """A Rich console on stderr."""
        from rich.console import Console as RichConsole

        return RichConsole(stderr=True, no_color=self._no_color, **_NO_MARKUP)


def _is_tty(stream: object) -> bool:
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, ValueError):
        return False


def _is_first_today() -> bool:
    """Whether the notice was not shown for a day; from here on it was."""
    from dvl2_cli.user_folders import NoHomeError, state_folder

    with contextlib.suppress(NoHomeError, OSError):
        mark = state_folder() / "nano_notice"
        with contextlib.suppress(FileNotFoundError):
            if 0 <= time.time() - mark.stat().st_mtime < _DAY_SECONDS:
                return False
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    return True


def _beside(usage: Usage) -> str:
    """How many answers shared the model, where it was not one."""
    if usage.running == 1:
        return ""
    return f", {usage.running} answers at once with caches of {format_size(usage.cache_bytes)}"
