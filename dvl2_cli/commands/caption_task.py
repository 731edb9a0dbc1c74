"""The work of ``dvl2 caption``: batches in, rows out, in order, resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dvl2_cli.commands.caption_files import CaptionFiles
from dvl2_cli.commands.parallel import Job, worked_on
from dvl2_cli.commands.reporter import Reporter
from dvl2_cli.commands.resuming import JournaledEngine, entered, model_identity, state_journal
from dvl2_cli.commands.sources import InputOptions, Inputs
from dvl2_cli.errors import CancelledError, Dvl2Error, UsageError
from dvl2_cli.files import is_no_file
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.journal import Journal
from dvl2_cli.options import AUTO, parallel_of
from dvl2_cli.results import CaptionResult, Source
from dvl2_cli.tasks.caption import MAX_TOKENS, caption, caption_request
from dvl2_cli.tasks.captioning.wording import Wording
from dvl2_cli.tasks.context import OnText, TaskContext
from dvl2_cli.ui.progress import listed
from dvl2_cli.user_folders import NoHomeError
from dvl2_cli.writers.caption_sidecar import Sidecars
from dvl2_cli.writers.caption_tables import CaptionTable, caption_line, check_table_format
from dvl2_cli.writers.captions import csv_head, csv_row
from dvl2_cli.writers.collisions import check_outputs
from dvl2_cli.writers.target import target_of

if TYPE_CHECKING:
    from dvl2_cli.inputs.sources import InputSource
    from dvl2_cli.options import CommonOptions

_STDOUT_FORMATS = ("text", "ndjson", "csv")
_SUFFIXES = {
    ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".csv": "csv",
    ".parquet": "parquet", ".txt": "text",
}  # fmt: skip

# A picture to caption, or a row that is final without the model.
Slot = Picture | CaptionResult


@dataclass(slots=True)
class CaptionCounts:
    """How many rows ended how."""

    captioned: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def take(self, result: CaptionResult) -> None:
        """Count one row."""
        if result.status == "failed":
            self.failed.append(result.source.path if result.source else "")
        elif result.skipped is not None:
            self.skipped += 1
        else:
            self.captioned += 1

    def summary(self) -> str:
        """One line for the end of the run."""
        seconds = max(time.monotonic() - self.started, 1e-6)
        minutes, rest = divmod(round(seconds), 60)
        rate = self.captioned / seconds
        names = f": {listed(self.failed)}" if self.failed else ""
        return (
            f"{self.captioned} captioned, {self.skipped} skipped, {len(self.failed)} failed "
            f"in {minutes}:{rest:02d} ({rate:.2f} per second){names}"
        )


@dataclass(slots=True)
class CaptionTask:
    """One run of the command."""

    wording: Wording
    sidecars: Sidecars | None = None
    form: str | None = None
    output: str | None = None
    xmp: bool = False
    dedupe: bool = False
    parallel: str = AUTO
    dry_run: bool = False
    _table: Path | None = None
    _seen: dict[tuple[str, int | None], str] = field(default_factory=dict)
    _csv_started: bool = False
    _streamed: bool = False

    def run(
        self, paths: list[str], options: InputOptions, common: CommonOptions, *, show_prompt: bool
    ) -> None:
        """Caption every picture that ``paths`` name."""
        self._check()
        inputs = options.inputs(paths, offline=common.offline)
        if not common.plan:
            check_outputs(self._outputs(inputs), inputs.files())
        with (
            Reporter(
                common, max_tokens=MAX_TOKENS, several=inputs.several, show_prompt=show_prompt
            ) as reporter,
            ExitStack() as stack,
        ):
            inputs.limit(None if common.plan else reporter.session.picture_memory)
            self._choose_form(reporter)
            if common.plan:
                self._plan(reporter, inputs)
                return
            journal = None
            if inputs.several and not self.dry_run:
                journal = self._journal(paths, reporter, stack)
            if journal is not None:
                kept = journal
                reporter.wrap = lambda engine: JournaledEngine(engine, kept)
            files = CaptionFiles(self.sidecars, self.xmp, journal)
            self._work(reporter, inputs, files)
            if journal is not None:
                journal.complete()
            reporter.finish()

    def _check(self) -> None:
        parallel_of(self.parallel)
        self.wording.check()
        if self.sidecars is not None:
            self.sidecars.check()
        target = target_of(self.output, self.form, _SUFFIXES, to_folders=False)
        self.form, self._table = target.form, target.file
        if target.folder is not None:
            raise UsageError(
                f"-o {self.output} is a folder, and captions go to one file",
                "Name it, as captions.csv, or write a file beside each picture: --sidecar .txt",
            )
        if self._table is not None:
            self.form = self.form or "ndjson"
            check_table_format(self.form)
        elif self.form == "json":  # as other commands print it: an object on each line
            self.form = "ndjson"
        elif self.form is not None and self.form not in _STDOUT_FORMATS:
            check_table_format(self.form)
            raise UsageError(f"-f {self.form} is a file", "Add -o FILE.")

    def _outputs(self, inputs: Inputs) -> Iterator[Path]:
        """The files that may be replaced, as far as they can be named before pages are counted."""
        if self._table is not None:
            yield from (self._table, _journal_beside(self._table))
        if self.sidecars is not None or self.xmp:
            files = CaptionFiles(self.sidecars, self.xmp, None)
            for path in inputs.files():
                yield from files.replaced(Source(path))

    def _choose_form(self, reporter: Reporter) -> None:
        if self.dry_run and self._table is not None:
            self.form = None  # nothing is written to the table: show the rows instead
        if self.form is None:
            self.form = "text" if reporter.output.is_tty else "ndjson"

    def _journal(
        self, paths: Sequence[str], reporter: Reporter, stack: ExitStack
    ) -> Journal | None:
        fingerprint = self.wording.fingerprint(
            model=model_identity(reporter.session),
            sampling=reporter.defaults.sampling,
            tiles=reporter.defaults.tiles,
            zoom=reporter.defaults.zoom,
            sidecars=self.sidecars,
        )
        if self._table is None:
            name = (str(Path.cwd()), list(paths), self.sidecars, self.xmp)
            with suppress(NoHomeError):
                journal = state_journal("captions", name, fingerprint)
                return entered(journal, stack, reporter.console)
            return None
        if is_no_file(self._table):
            return None
        # Beside the table: where the one cannot be written, neither can the other.
        journal = Journal(_journal_beside(self._table), fingerprint)
        return entered(journal, stack, reporter.console, needed=True)

    def _work(self, reporter: Reporter, inputs: Inputs, files: CaptionFiles) -> None:
        counts = CaptionCounts()
        inputs.expected_by(reporter.console.progress)
        with ExitStack() as stack:
            table = None
            if self._table is not None and not self.dry_run:
                table = stack.enter_context(
                    CaptionTable(self._table, self.form or "ndjson", named=inputs.several)
                )
            for result in self._results(reporter, inputs, files):
                reporter.count(result, code=5 if result.finish_reason == "loop" else 0)
                counts.take(result)
                if table is not None:
                    table.add(result)
                else:
                    self._show(reporter, result, inputs.several)
            if reporter.interrupts.stop:
                hint = "The same command goes on from here." if inputs.several else None
                raise CancelledError(f"cancelled: {counts.summary()}", hint)
        if inputs.several:
            reporter.console.progress.close()
            reporter.console.note(counts.summary())

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
            if error.fatal:
                raise
            return CaptionResult.failure(error, source)
        if reason is None:
            return None
        return CaptionResult(source=source, length=self.wording.length, skipped=reason)

    def _results(
        self, reporter: Reporter, inputs: Inputs, files: CaptionFiles
    ) -> Iterator[CaptionResult]:
        """The rows, in the order of the inputs."""
        slots = self._slots(inputs, inputs.sources(), files)
        jobs = (self._job(reporter, slot, several=inputs.several) for slot in slots)
        for job, result in worked_on(reporter, jobs, self.parallel, several=inputs.several):
            yield result if job.picture is None else files.write(result, job.picture)

    def _job(self, reporter: Reporter, slot: Slot, *, several: bool) -> Job[CaptionResult]:
        if not isinstance(slot, Picture):
            return Job(result=slot)

        def work(context: Callable[[], TaskContext], on_text: OnText | None) -> CaptionResult:
            try:
                return caption(context(), slot, self.wording, on_text)
            except Dvl2Error as error:
                if error.fatal:
                    raise
                return CaptionResult.failure(error, Source.of(slot), reporter.model)

        return Job(picture=slot, work=work, stream=lambda: self._stream(reporter, several))

    def _stream(self, reporter: Reporter, several: bool) -> OnText | None:
        """Shows a lone caption while it is written, where nothing is put around it."""
        plain = self.wording == Wording(self.wording.length)
        if several or not plain or not reporter.output.is_tty or self.form != "text":
            return None

        def show(text: str) -> None:
            self._streamed = True
            reporter.output.text(text)

        return show

    def _show(self, reporter: Reporter, result: CaptionResult, several: bool) -> None:
        if self.form == "ndjson":
            reporter.output.json(result.as_json())
        elif self.form == "csv":
            if not self._csv_started:
                reporter.output.text(csv_head())
                self._csv_started = True
            reporter.output.text(csv_row(result))
        elif self._streamed:
            self._streamed = False
            reporter.output.end_line()
        elif result.status != "failed":
            reporter.output.text(caption_line(result, several))

    def _plan(self, reporter: Reporter, inputs: Inputs) -> None:
        for found in inputs:
            if isinstance(found, Unreadable):
                reporter.count(CaptionResult.failure(found.error, Source.of(found)))
            else:
                reporter.plan(caption_request(reporter.defaults, found, self.wording), found.path)
        reporter.finish()


def _journal_beside(table: Path) -> Path:
    return table.with_name(f".{table.name}.journal")
