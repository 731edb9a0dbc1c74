"""The work of ``dvl2 caption``: batches in, rows out, in order, resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from dvl2_cli.commands.caption_answers import Answerer
from dvl2_cli.commands.caption_files import CaptionFiles
from dvl2_cli.commands.resuming import entered, model_identity, state_journal
from dvl2_cli.commands.run import Run, is_fatal
from dvl2_cli.commands.sources import InputOptions, Inputs
from dvl2_cli.errors import CancelledError, Dvl2Error, UsageError
from dvl2_cli.files import is_no_file
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.journal import Journal
from dvl2_cli.results import CaptionResult, Source
from dvl2_cli.tasks.captioning.sidecar import Sidecars
from dvl2_cli.tasks.captioning.tables import CaptionTable, check_table_format
from dvl2_cli.tasks.captioning.wording import Wording
from dvl2_cli.ui.progress import Progress
from dvl2_cli.user_folders import NoHomeError
from dvl2_cli.writers.captions import caption_line, csv_head, csv_row
from dvl2_cli.writers.folder import check_output

if TYPE_CHECKING:
    from dvl2_cli.inputs.sources import Source as InputSource
    from dvl2_cli.options import CommonOptions

MAX_TOKENS = 512
_STDOUT_FORMATS = ("text", "ndjson", "csv")

# A picture to caption, or a row that is final without the model.
Slot = Picture | CaptionResult


@dataclass(slots=True)
class Tally:
    """How many rows ended how."""

    captioned: int = 0
    skipped: int = 0
    failed: int = 0
    started: float = field(default_factory=time.monotonic)

    def take(self, result: CaptionResult) -> None:
        """Count one row."""
        if result.status == "failed":
            self.failed += 1
        elif result.skipped is not None:
            self.skipped += 1
        else:
            self.captioned += 1

    def summary(self) -> str:
        """One line for the end of the run."""
        seconds = max(time.monotonic() - self.started, 1e-6)
        minutes, rest = divmod(round(seconds), 60)
        rate = self.captioned / seconds
        return (
            f"{self.captioned} captioned, {self.skipped} skipped, {self.failed} failed "
            f"in {minutes}:{rest:02d} ({rate:.2f} per second)"
        )


@dataclass(slots=True)
class CaptionTask:
    """One run of the command."""

    wording: Wording
    sidecars: Sidecars | None = None
    form: str | None = None
    output: Path | None = None
    xmp: bool = False
    dedupe: bool = False
    batch_size: int = 1
    dry_run: bool = False
    _seen: dict[tuple[str, int | None], str] = field(default_factory=dict)
    _csv_started: bool = False
    _streamed: bool = False

    def run(
        self, paths: list[str], options: InputOptions, common: CommonOptions, *, show_prompt: bool
    ) -> None:
        """Caption every picture that ``paths`` name."""
        self._check()
        inputs = options.inputs(paths, offline=common.offline)
        with (
            Run(
                common, max_tokens=MAX_TOKENS, several=inputs.several, show_prompt=show_prompt
            ) as run,
            ExitStack() as stack,
        ):
            self._choose_form(run, inputs)
            if common.plan:
                self._plan(run, inputs)
                return
            journal = None
            if inputs.several and not self.dry_run:
                journal = self._journal(paths, run, stack)
            files = CaptionFiles(self.sidecars, self.xmp, journal)
            self._work(run, inputs, files, Answerer(run, self.wording, journal))
            if journal is not None:
                journal.complete()
            run.finish()

    def _check(self) -> None:
        self.wording.check()
        if self.sidecars is not None:
            self.sidecars.check()
        if self.output is not None:
            self.form = self.form or {".csv": "csv", ".parquet": "parquet"}.get(
                self.output.suffix.lower(), "ndjson"
            )
            check_table_format(self.form)
            check_output(self.output)
        elif self.form is not None and self.form not in _STDOUT_FORMATS:
            check_table_format(self.form)
            raise UsageError(f"-f {self.form} is a file", "Add -o FILE.")

    def _choose_form(self, run: Run, inputs: Inputs) -> None:
        if self.dry_run and self.output is not None:
            self.form = None  # nothing is written to the table: show the rows instead
        if self.form is None:
            pretty = run.output.is_tty and (not inputs.several or self.sidecars is not None)
            self.form = "text" if pretty else "ndjson"

    def _journal(self, paths: Sequence[str], run: Run, stack: ExitStack) -> Journal | None:
        fingerprint = self.wording.fingerprint(
            model=model_identity(run.common),
            sampling=run.sampling,
            tiles=run.tiles,
            zoom=run.zoom,
            sidecars=self.sidecars,
        )
        if self.output is None:
            name = (str(Path.cwd()), list(paths), self.sidecars, self.xmp)
            with suppress(NoHomeError):
                return entered(state_journal("captions", name, fingerprint), stack, run)
            return None
        if is_no_file(self.output):
            return None
        # Beside the table: where the one cannot be written, neither can the other.
        path = self.output.with_name(f".{self.output.name}.journal")
        return entered(Journal(path, fingerprint), stack, run, needed=True)

    def _work(self, run: Run, inputs: Inputs, files: CaptionFiles, answerer: Answerer) -> None:
        tally = Tally()
        shows_rows = (self.output is None or self.dry_run) and run.output.is_tty
        sources = inputs.sources()
        total = None
        if inputs.several and not shows_rows and run.console.err_is_tty:
            listed = list(sources)
            sources, total = iter(listed), len(listed)
        with ExitStack() as stack:
            table = None
            if self.output is not None and not self.dry_run:
                table = stack.enter_context(CaptionTable(self.output, self.form or "ndjson"))
            shown = inputs.several and not shows_rows
            bar = stack.enter_context(Progress(run.console, "captions", total, shown=shown))
            slots = self._slots(inputs, sources, files)
            while batch := list(islice(slots, self.batch_size)):
                for result in self._results(run, batch, files, answerer, several=inputs.several):
                    run.count(result, code=5 if result.finish_reason == "loop" else 0)
                    tally.take(result)
                    if table is not None:
                        table.add(result)
                    else:
                        self._show(run, result, inputs.several)
                    bar.advance(result.source.path if result.source else "")
                if run.interrupts.stop:
                    hint = "The same command goes on from here." if inputs.several else None
                    raise CancelledError(f"cancelled: {tally.summary()}", hint)
        if inputs.several:
            run.console.note(tally.summary())

    def _slots(
        self, inputs: Inputs, sources: Iterator[InputSource | Unreadable], files: CaptionFiles
    ) -> Iterator[Slot]:
        """Pictures to caption, and rows that need no model, in the order of the inputs."""
        for source in sources:
            done = None if isinstance(source, Unreadable) else self._early(source, files)
            if done is not None:
                yield done
                continue
            for found in inputs.read(source):
                yield self._slot(found, files)

    def _early(self, source: InputSource, files: CaptionFiles) -> CaptionResult | None:
        """A row for a source that need not even be read."""
        if not source.is_file or source.name.lower().endswith((".pdf", ".tif", ".tiff")):
            return None
        return self._checked(Source(source.name), files)

    def _slot(self, found: Picture | Unreadable, files: CaptionFiles) -> Slot:
        source = Source.of(found)
        if isinstance(found, Unreadable):
            return CaptionResult.failure(found.error, source)
        done = self._checked(source, files)
        if done is not None:
            return done
        key = (found.sha256, found.page)
        if self.dedupe and key in self._seen:
            return CaptionResult(
                source=source, length=self.wording.length, skipped=f"equal to {self._seen[key]}"
            )
        if self.dedupe:
            self._seen[key] = found.path
        if self.dry_run:
            targets = tuple(str(path) for path in files.targets(source))
            return CaptionResult(
                source=source, length=self.wording.length, written=targets, skipped="dry run"
            )
        return found

    def _checked(self, source: Source, files: CaptionFiles) -> CaptionResult | None:
        try:
            reason = files.reason_to_skip(source)
        except Dvl2Error as error:
            if is_fatal(error):
                raise
            return CaptionResult.failure(error, source)
        if reason is None:
            return None
        return CaptionResult(source=source, length=self.wording.length, skipped=reason)

    def _results(
        self,
        run: Run,
        batch: list[Slot],
        files: CaptionFiles,
        answerer: Answerer,
        *,
        several: bool,
    ) -> Iterator[CaptionResult]:
        """The rows of a batch: its pictures are asked together, its order is kept."""
        pictures = [slot for slot in batch if isinstance(slot, Picture)]
        answered = iter(answerer.results(pictures, self._stream(run, several)))
        for slot in batch:
            if isinstance(slot, Picture):
                yield files.write(next(answered), slot)
            else:
                yield slot

    def _stream(self, run: Run, several: bool) -> Callable[[str], None] | None:
        """Shows a lone caption while it is written, where nothing is put around it."""
        plain = self.wording == Wording(self.wording.length)
        if several or not plain or not run.output.is_tty or self.form != "text":
            return None

        def show(text: str) -> None:
            self._streamed = True
            run.output.text(text)

        return show

    def _show(self, run: Run, result: CaptionResult, several: bool) -> None:
        if self.form == "ndjson":
            run.output.json(result.as_json())
        elif self.form == "csv":
            if not self._csv_started:
                run.output.text(csv_head())
                self._csv_started = True
            run.output.text(csv_row(result))
        elif self._streamed:
            self._streamed = False
            run.output.end_line()
        elif result.status != "failed":
            run.output.text(caption_line(result, several))

    def _plan(self, run: Run, inputs: Inputs) -> None:
        for found in inputs:
            if isinstance(found, Unreadable):
                run.count(CaptionResult.failure(found.error, Source.of(found)))
            else:
                run.plan(run.request(self.wording.question, [found.image]), found.path)
        run.finish()
