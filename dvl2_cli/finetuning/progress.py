"""What a run tells while it runs: a line or a live bar on stderr, and a log of numbers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from dvl2_cli.errors import OutputError
from dvl2_cli.files import atomic_write, output_error

LOG = "log.jsonl"
# Seconds between plain lines where there is no terminal.
LINE_EVERY = 10.0


@dataclass(frozen=True, slots=True)
class StepReport:
    """Numbers of one step, over all processes; ``expert_load`` sums to 1 per layer."""

    stage: str
    step: int
    steps: int
    loss: float
    rate: float
    tokens: int
    tiles: int
    seconds: float
    losses: dict[str, float] = field(default_factory=dict)
    right: dict[str, float] = field(default_factory=dict)
    balance: float | None = None
    gradient: float | None = None
    expert_load: list[list[float]] = field(default_factory=list)


class RunLog:
    """Appends records to ``log.jsonl`` of the run; every line is whole."""

    def __init__(self, folder: Path, keep_until: int) -> None:
        """``keep_until``: records of later total steps are from before a kill, and go."""
        self.path = folder / LOG
        try:
            kept = [r for r in read_log(self.path) if int(str(r.get("total", 0))) <= keep_until]
            with atomic_write(self.path) as stream:
                stream.writelines(json.dumps(record) + "\n" for record in kept)
            self._stream: IO[str] = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise output_error(self.path, error) from error

    def write(self, total: int, kind: str, record: dict[str, object]) -> None:
        """Append one record and flush it."""
        line = json.dumps({"total": total, "kind": kind, **record})
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def read_log(path: Path) -> list[dict[str, object]]:
    """The records of a log, without a torn last line; empty when there is none."""
    if not path.is_file():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def report_record(report: StepReport) -> dict[str, object]:
    """A report for the log, without what was not measured."""
    return {k: v for k, v in asdict(report).items() if v not in (None, [], {})}


class TrainingProgress:
    """Shows reports: a live bar with rich on a terminal, else a plain line now and then."""

    def __init__(self, *, quiet: bool = False, live: bool | None = None) -> None:
        self.quiet = quiet
        self.live = sys.stderr.isatty() if live is None else live
        self._last_line = 0.0
        self._recent: list[StepReport] = []
        self._bar: object | None = None

    def show(self, report: StepReport) -> None:
        """Take in a step and show it when it is time to."""
        self._recent = [*[r for r in self._recent if r.stage == report.stage][-49:], report]
        if self.quiet:
            return
        if self.live:
            self._show_bar(report)
        elif time.monotonic() - self._last_line > LINE_EVERY or report.step in (1, report.steps):
            self._last_line = time.monotonic()
            print(summary_line(self._recent), file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """A line of its own."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the live bar."""
        stop = getattr(self._bar, "stop", None)
        if stop is not None:
            stop()
        self._bar = None

    def _show_bar(self, report: StepReport) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        if self._bar is None:
            bar = RichProgress(
                BarColumn(20), TextColumn("{task.description}"), console=Console(stderr=True)
            )
            bar.start()
            bar.add_task("", total=report.steps)
            self._bar = bar
        assert isinstance(self._bar, RichProgress)  # noqa: S101
        task = self._bar.task_ids[0]
        self._bar.update(
            task,
            completed=report.step,
            total=report.steps,
            description=summary_line(self._recent),
        )


def summary_line(recent: Sequence[StepReport]) -> str:
    """Means over ``recent`` steps of one stage, rates, router load and the time left."""
    last = recent[-1]
    seconds = sum(r.seconds for r in recent)
    parts = [
        f"{last.stage} {last.step}/{last.steps}",
        f"loss {_mean([r.loss for r in recent]):.3f}",
    ]
    for kind in sorted({kind for r in recent for kind in r.losses}):
        shown = [r for r in recent if kind in r.losses]
        text = f"{kind} {_mean([r.losses[kind] for r in shown]):.3f}"
        hits = [r.right[kind] for r in shown if kind in r.right]
        parts.append(f"{text} ({_mean(hits):.1%} right)" if hits else text)
    parts.append(f"{sum(r.tokens for r in recent) / seconds:.0f} tokens/s")
    if sum(r.tiles for r in recent):
        parts.append(f"{sum(r.tiles for r in recent) / seconds:.1f} tiles/s")
    if last.expert_load:
        share = [x * len(layer) for layer in last.expert_load for x in layer]
        parts.append(f"load {min(share):.2f}..{max(share):.2f}")
    left = (last.steps - last.step) * seconds / len(recent)
    parts.append(f"left {_duration(left)}")
    return " | ".join(parts)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"
