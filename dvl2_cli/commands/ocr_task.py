"""The work of ``dvl2 ocr``: read every page, locate lines, extract fields, write."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvl2_cli import prompts
from dvl2_cli.commands.documents import Documents
from dvl2_cli.commands.resuming import (
    KeptAnswers,
    entered,
    fingerprint,
    model_identity,
    state_journal,
)
from dvl2_cli.commands.run import Run, is_fatal
from dvl2_cli.engine.events import Finished
from dvl2_cli.engine.request import Constraint, Sampling
from dvl2_cli.errors import Dvl2Error, NoUsableOutputError, UsageError
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.journal import Journal, JournalInUseError
from dvl2_cli.results import OcrResult, Source
from dvl2_cli.results.envelope import UsageTotals
from dvl2_cli.results.ocr import Block
from dvl2_cli.schema.source import AnswerSchema, read_schema
from dvl2_cli.tasks.grounding.grammar import objects_grammar
from dvl2_cli.tasks.reading.evidence import unsupported, value_of
from dvl2_cli.tasks.reading.line_boxes import line_blocks, located_by_model, located_by_rapidocr
from dvl2_cli.tasks.reading.markdown import blocks_of, tables_of, to_text
from dvl2_cli.tasks.reading.page import OnText, PageReader, PageText
from dvl2_cli.tasks.reading.views import Enlarged
from dvl2_cli.user_folders import NoHomeError
from dvl2_cli.writers.pages import PageWriter, page_writer

if TYPE_CHECKING:
    from PIL.Image import Image

    from dvl2_cli.commands.sources import InputOptions
    from dvl2_cli.options import CommonOptions

MAX_TOKENS = 2048
_MAX_FIELD_TOKENS = 128
_MARKDOWN_FORMATS = ("md", "html", "csv")
_BOX_SOURCES = ("none", "model", "rapidocr")


@dataclass(slots=True)
class OcrTask:
    """One run of the command."""

    form: str | None
    output: Path | None = None
    boxes: str = "none"
    fields: str | None = None
    schema: str | None = None
    _names: list[str] = field(default_factory=list)
    _schema: AnswerSchema | None = None
    _answers: KeptAnswers = field(init=False)

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
        with (
            Run(
                common, max_tokens=MAX_TOKENS, several=inputs.several, show_prompt=show_prompt
            ) as run,
            contextlib.ExitStack() as stack,
        ):
            # A plan makes no folder and takes up no run.
            folder = None if common.plan else self.output
            documents = Documents(self._writer(run, inputs.several), folder, run)
            journal = None if common.plan else self._journal(files, run, stack)
            self._answers = KeptAnswers(run, journal)
            with documents:
                for found in inputs:
                    if common.plan:
                        self._plan(run, found)
                        continue
                    result = self._result(run, found, documents.stream_to(found))
                    documents.add(result)
                    unusable = result.quality.degenerate or self._lacks_fields(result.fields)
                    run.count(result, code=5 if unusable else 0)
                    if run.interrupts.stop:
                        break
            if journal is not None and not run.interrupts.stop:
                journal.complete()
            run.finish()

    def _journal(self, files: list[str], run: Run, stack: contextlib.ExitStack) -> Journal | None:
        """The answers of a killed run; None where they cannot be kept or another run has them."""
        name = (str(Path.cwd()), files)
        with contextlib.suppress(JournalInUseError, NoHomeError):
            journal = state_journal("ocr", name, fingerprint(model_identity(run.common)))
            return entered(journal, stack, run)
        return None

    def _check(self) -> None:
        """Refuse what cannot work before any page is read."""
        if self.boxes not in _BOX_SOURCES:
            raise UsageError(f"--boxes {self.boxes}", f"One of {', '.join(_BOX_SOURCES)}.")
        if self.fields is not None and self.schema is not None:
            raise UsageError("--fields and --schema both say what to extract", "Give one of them.")
        if self.fields is not None:
            self._names = [name.strip() for name in self.fields.split(",") if name.strip()]
            if not self._names:
                raise UsageError("--fields names no field", "Write --fields total,date.")
        if self.schema is not None:
            self._schema = read_schema(self.schema)

    def _writer(self, run: Run, several: bool) -> PageWriter:
        for note in self._schema.notes if self._schema is not None else ():
            run.console.note(note)
        if self.form is None:
            json_lines = self.output is None and (several or not run.output.is_tty)
            extracting = self._names or self._schema
            self.form = "json" if json_lines or (extracting and self.output is None) else "text"
        writer = page_writer(self.form)
        if writer.needs_boxes and self.boxes == "none":
            raise UsageError(
                f"-f {self.form} needs the place of every line, and no boxes were asked for",
                "Add --boxes model or --boxes rapidocr.",
            )
        return writer

    def _question(self) -> str:
        return prompts.PRESETS["markdown" if self.form in _MARKDOWN_FORMATS else "ocr"]

    def _plan(self, run: Run, found: Picture | Unreadable) -> None:
        if isinstance(found, Unreadable):
            run.count(OcrResult.failure(found.error, Source.of(found)))
            return
        name = found.path if found.page is None else f"{found.path} page {found.page}"
        for part, image in self._reader(run).pictures(found.image):
            run.plan(run.request(self._question(), [image]), f"{name} {part}".rstrip())

    def _result(self, run: Run, found: Picture | Unreadable, on_text: OnText | None) -> OcrResult:
        source = Source.of(found)
        if isinstance(found, Unreadable):
            return OcrResult.failure(found.error, source)
        try:
            read = self._reader(run).read(found.image, on_text)
            return self._complete(run, found, read)
        except Dvl2Error as error:
            if is_fatal(error):
                raise
            return OcrResult.failure(error, source, run.model)

    def _reader(self, run: Run) -> PageReader:
        def ask(
            image: Image,
            sampling: Sampling | None,
            on_text: OnText | None,
            zoom: float | None = None,
        ) -> Finished:
            request = run.request(self._question(), [image], sampling=sampling)
            request = request if zoom is None else dataclasses.replace(request, zoom=zoom)
            return self._answers.ask(request, on_text)

        views = Enlarged(run.tiles, lambda: run.policy.reads == "lines")
        return PageReader(ask, run.sampling, run.console.note, views)

    def _complete(self, run: Run, picture: Picture, read: PageText) -> OcrResult:
        """The result of a page whose text was read: blocks, boxes, tables, fields."""
        is_markdown = self.form in _MARKDOWN_FORMATS
        text = to_text(read.text) if is_markdown else read.text
        warnings = [*picture.notes, *_ending(read)]
        for answer in read.answers:
            warnings += [line for line in run.doubts(answer) if line not in warnings]
        usage = read.usage
        blocks = blocks_of(read.text) if is_markdown else line_blocks(read.text)
        if self.boxes != "none" and not run.interrupts.stop:
            blocks, usage, more = self._locate(run, picture, line_blocks(text), usage)
            warnings += more
        fields: dict[str, Any] | None = None
        if (self._names or self._schema) and not run.interrupts.stop:
            fields, usage, more = self._extract(run, picture, usage)
            warnings += more + unsupported(fields or {}, text)
        troubled = read.finish_reason != "stop" or self._lacks_fields(fields)
        return OcrResult(
            status="partial" if troubled else "ok",
            warnings=tuple(warnings),
            source=Source.of(picture),
            model=self._answers.model,
            usage=usage,
            finish_reason=read.finish_reason,
            raw=read.raw,
            text=text,
            markdown=read.text,
            tables=tables_of(read.text),
            blocks=tuple(blocks),
            fields=fields,
            quality=read.quality,
        )

    def _lacks_fields(self, fields: dict[str, Any] | None) -> bool:
        return fields is None and bool(self._names or self._schema)

    def _locate(
        self, run: Run, picture: Picture, blocks: list[Block], usage: UsageTotals
    ) -> tuple[list[Block], UsageTotals, list[str]]:
        if self.boxes == "rapidocr":
            located, warnings = located_by_rapidocr(blocks, picture.image)
            return located, usage, warnings
        spent = [usage]

        def locate(phrase: str) -> str:
            constraint = Constraint("lark", objects_grammar(1))
            request = run.request(prompts.locate(phrase), [picture.image], constraint=constraint)
            answer = self._answers.ask(request)
            spent[0] = spent[0].plus(answer.usage)
            return answer.raw

        located = located_by_model(blocks, (picture.width, picture.height), locate)
        missing = sum(1 for block in located if block.box is None)
        warnings = [f"{missing} of {len(located)} lines could not be located"] if missing else []
        return located, spent[0], warnings

    def _extract(
        self, run: Run, picture: Picture, usage: UsageTotals
    ) -> tuple[dict[str, Any] | None, UsageTotals, list[str]]:
        if self._schema is not None:
            return self._extract_by_schema(run, picture, usage, self._schema)
        sampling = dataclasses.replace(run.sampling, max_new_tokens=_MAX_FIELD_TOKENS)
        fields: dict[str, Any] = {}
        for name in self._names:
            question = prompts.extract_field(name)
            answer = self._answers.ask(run.request(question, [picture.image], sampling=sampling))
            usage = usage.plus(answer.usage)
            fields[name] = value_of(answer.text)
        return fields, usage, []

    def _extract_by_schema(
        self, run: Run, picture: Picture, usage: UsageTotals, schema: AnswerSchema
    ) -> tuple[dict[str, Any] | None, UsageTotals, list[str]]:
        names = ", ".join(schema.document.get("properties", {})) or "data"
        constraint = Constraint("json_schema", schema.text)
        question = f"Extract as JSON: {names}."
        answer = self._answers.ask(run.request(question, [picture.image], constraint=constraint))
        usage = usage.plus(answer.usage)
        try:
            value = schema.parse(answer.text)
        except NoUsableOutputError as error:
            return None, usage, [error.message]
        return value if isinstance(value, dict) else {"value": value}, usage, []


def _ending(read: PageText) -> list[str]:
    quality = read.quality
    warnings = []
    if quality.degenerate:
        warnings.append("degenerate: the answer is a repetition that no retry resolved")
    elif quality.loop_detected:
        warnings.append("a repetition was met and resolved by reading again")
    if quality.truncated:
        warnings.append("the answer met the token limit; --max-tokens raises it")
    if read.finish_reason == "cancelled":
        warnings.append("the answer was stopped by Ctrl-C")
    return warnings
