"""The work of ``dvl2 ocr``: go through the pages, have each read, write."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from dvl2_cli.commands.documents import Documents, document_names
from dvl2_cli.commands.ocr_layers import Layers
from dvl2_cli.commands.ocr_pdf import PdfDocuments, PdfForm, check_pdf
from dvl2_cli.commands.parallel import Job, worked_on
from dvl2_cli.commands.reporter import Reporter
from dvl2_cli.commands.resuming import (
    JournaledEngine,
    entered,
    fingerprint,
    model_identity,
    state_journal,
)
from dvl2_cli.commands.sources import Inputs
from dvl2_cli.errors import Dvl2Error, UsageError
from dvl2_cli.inputs.page_name import page_name
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.journal import Journal, JournalInUseError
from dvl2_cli.options import AUTO, parallel_of
from dvl2_cli.packages import need_packages
from dvl2_cli.results import OcrResult, Source
from dvl2_cli.schema.source import AnswerSchema, read_schema
from dvl2_cli.tasks.context import OnText, TaskContext
from dvl2_cli.tasks.ocr import MAX_TOKENS, BoxSource, OcrOptions, ocr, page_requests
from dvl2_cli.user_folders import NoHomeError
from dvl2_cli.writers.collisions import check_outputs
from dvl2_cli.writers.pages import SUFFIXES, JsonArrayWriter, PageWriter, page_writer
from dvl2_cli.writers.target import OutputTarget, target_of

if TYPE_CHECKING:
    from dvl2_cli.commands.sources import InputOptions
    from dvl2_cli.options import CommonOptions

_NO_TARGET = OutputTarget()
_MARKDOWN_FORMATS = ("md", "html", "csv")


@dataclass
class OcrTask:
    """One run of the command."""

    form: str | None
    output: str | None = None
    boxes: str = "none"
    fields: str | None = None
    schema: str | None = None
    schema_lenient: bool = False
    text_layer: str = "ignore"
    parallel: str = AUTO
    _target: OutputTarget = _NO_TARGET
    _names: list[str] = field(default_factory=list)
    _schema: AnswerSchema | None = None

    @functools.cached_property
    def layers(self) -> Layers:
        """Which pages are answered by their text layers.

        Raises:
            UsageError: ``text_layer`` is no such choice.
        """
        return Layers(self.text_layer)

    def run(
        self,
        files: list[str],
        options: InputOptions,
        common: CommonOptions,
        *,
        show_prompt: bool,
    ) -> None:
        """Read every page that ``files`` name."""
        self._check()
        inputs = options.inputs(files, offline=common.offline)
        if self._target.file is not None and inputs.several:
            raise UsageError(
                f"-o {self.output} is one file, and there are several inputs",
                "Name a folder, as results/: it gets a file for each.",
            )
        with (
            Reporter(
                common, max_tokens=MAX_TOKENS, several=inputs.several, show_prompt=show_prompt
            ) as reporter,
            contextlib.ExitStack() as stack,
        ):
            inputs.limit(None if common.plan else reporter.session.picture_memory)
            writer = self._writer(reporter)
            if not self._target.is_stdout:
                check_outputs(self._outputs(writer, inputs), (*self._own_inputs(), *inputs.files()))
            self._check_boxes(writer, reporter)
            if common.plan:
                # A plan makes no folder and takes up no run.
                for found in inputs:
                    self._plan(reporter, found)
            else:
                journal = self._journal(files, reporter, stack)
                self._read(inputs, self._documents(writer, reporter, inputs), reporter)
                if journal is not None and not reporter.interrupts.stop:
                    journal.complete()
            self.layers.tell(reporter.console)
            reporter.conclude("read")
            reporter.finish()

    def _documents(
        self, writer: PageWriter | PdfForm, reporter: Reporter, inputs: Inputs
    ) -> Documents | PdfDocuments:
        if isinstance(writer, PdfForm):
            return PdfDocuments(self._target, reporter)
        return Documents(writer, self._target, reporter, named=inputs.several)

    def _read(
        self, inputs: Inputs, documents: Documents | PdfDocuments, reporter: Reporter
    ) -> None:
        options = self._options()
        with documents:
            jobs = (
                self._job(reporter, found, options, documents)
                for found in inputs.shown_by(reporter.console.progress)
            )
            several = inputs.several or not reporter.output.is_tty
            for _, result in worked_on(reporter, jobs, self.parallel, several=several):
                documents.add(result)
                lacking = options.extracts and result.fields is None
                reporter.count(result, code=5 if result.quality.degenerate or lacking else 0)

    def _journal(
        self, files: list[str], reporter: Reporter, stack: contextlib.ExitStack
    ) -> Journal | None:
        """The answers of a killed run; None where they cannot be kept or another run has them."""
        name = (str(Path.cwd()), files)
        try:
            journal = state_journal("ocr", name, fingerprint(model_identity(reporter.session)))
            kept = entered(journal, stack, reporter.console)
        except (JournalInUseError, NoHomeError):
            return None
        if kept is not None:
            give_up = reporter.console.note
            reporter.wrap = lambda engine: JournaledEngine(engine, kept, give_up)
        return kept

    def _check(self) -> None:
        """Refuse what cannot work before any page is read."""
        parallel_of(self.parallel)
        self._target = target_of(self.output, self.form, SUFFIXES)
        self.form = self._target.form
        if self.form == "pdf":
            check_pdf(self._target)
        if self.layers.only and (self.fields is not None or self.schema is not None):
            raise UsageError(
                "--text-layer only asks no model, and --fields and --schema ask one",
                "Use --text-layer auto.",
            )
        if self.boxes not in get_args(BoxSource):
            raise UsageError(f"--boxes {self.boxes}", f"One of {', '.join(get_args(BoxSource))}.")
        if self.boxes == "rapidocr":
            need_packages("--boxes rapidocr", "linebox", "rapidocr", "onnxruntime")
        if self.fields is not None and self.schema is not None:
            raise UsageError("--fields and --schema both say what to extract", "Give one of them.")
        if self.fields is not None:
            self._names = [name.strip() for name in self.fields.split(",") if name.strip()]
            if not self._names:
                raise UsageError("--fields names no field", "Write --fields total,date.")
        if self.schema is not None:
            self._schema = read_schema(self.schema, is_lenient=self.schema_lenient)
        elif self.schema_lenient:
            raise UsageError("--schema-lenient is about --schema", "Give a --schema.")

    @property
    def _wants_structure(self) -> bool:
        return self.form in _MARKDOWN_FORMATS

    def _options(self) -> OcrOptions:
        markdown = self._wants_structure
        boxes = cast("BoxSource", self.boxes)  # checked by _check
        return OcrOptions(markdown, boxes, tuple(self._names), self._schema)

    def _writer(self, reporter: Reporter) -> PageWriter | PdfForm:
        for note in self._schema.notes if self._schema is not None else ():
            reporter.console.note(note)
        if self.form is None:
            in_pipe = self._target.is_stdout and not reporter.output.is_tty
            self.form = "json" if in_pipe else "text"
        if self.form == "pdf":
            return PdfForm()
        writer = page_writer(self.form)
        file = self._target.file
        if self.form == "json" and file is not None and file.suffix.lower() == ".json":
            writer = JsonArrayWriter()
        return writer

    def _outputs(self, writer: PageWriter | PdfForm, inputs: Inputs) -> Iterable[Path]:
        """The files that may be replaced."""
        if self._target.folder is None:
            return [] if self._target.file is None else [self._target.file]
        return document_names(self._target.folder, writer.suffix, inputs.files())

    def _own_inputs(self) -> tuple[Path, ...]:
        """Files that the options name."""
        return () if self.schema is None else (Path(self.schema),)

    def _check_boxes(self, writer: PageWriter | PdfForm, reporter: Reporter) -> None:
        if not writer.needs_boxes or self.boxes != "none" or self.layers.only:
            return
        if not _finds_lines(reporter):
            raise UsageError(
                f"-f {self.form} needs the place of every line, and no boxes were asked for",
                "Add --boxes model or --boxes rapidocr.",
            )

    def _job(
        self,
        reporter: Reporter,
        found: Picture | Unreadable,
        options: OcrOptions,
        documents: Documents | PdfDocuments,
    ) -> Job[OcrResult]:
        """How a page is read; its text layer is looked at now."""
        if isinstance(found, Unreadable):
            reporter.begin(found)
            return Job(result=OcrResult.failure(found.error, Source.of(found)))

        def failed(error: Dvl2Error) -> OcrResult:
            if error.fatal:
                raise error
            return OcrResult.failure(error, Source.of(found), reporter.model)

        try:
            page, verdict = self.layers.page(
                found, reporter.console, structure=self._wants_structure
            )
            if self.layers.only or (page is not None and not options.extracts):
                reporter.begin(found)
                return Job(result=self.layers.alone(found, page, verdict))
        except Dvl2Error as error:
            return Job(result=failed(error))

        def work(context: Callable[[], TaskContext], on_text: OnText | None) -> OcrResult:
            try:
                result = ocr(context(), found, options, on_text, page)
                return replace(result, layer_fault=verdict.reason)
            except Dvl2Error as error:
                return failed(error)

        return Job(picture=found, work=work, stream=lambda: documents.stream_to(found))

    def _plan(self, reporter: Reporter, found: Picture | Unreadable) -> None:
        if isinstance(found, Unreadable):
            reporter.count(OcrResult.failure(found.error, Source.of(found)))
            return
        name = page_name(found.path, found.page)
        page, _ = self.layers.page(found, reporter.console, structure=self._wants_structure)
        if self.layers.only or (page is not None and not self._options().extracts):
            return
        policy = reporter.planner.policy.at_zoom(reporter.defaults.zoom)
        for part, request in page_requests(reporter.defaults, policy, found.image, self._options()):
            reporter.plan(request, f"{name} {part}".rstrip())


def _finds_lines(reporter: Reporter) -> bool:
    """Whether the model reads by lines, whose boxes are known before they are read."""
    if reporter.common.plan:
        return reporter.planner.policy.at_zoom(reporter.defaults.zoom).reads == "lines"
    return reporter.context.policy.reads == "lines"
