"""``ocr``: the text of one page, with its lines located and fields extracted where asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dvl2_cli import prompts
from dvl2_cli.engine.events import Finished, Notice
from dvl2_cli.engine.request import Constraint, Request, RequestDefaults, Sampling
from dvl2_cli.errors import NoUsableOutputError
from dvl2_cli.inputs.picture import Picture
from dvl2_cli.results import OcrResult, Source
from dvl2_cli.results.confidence import confidence_warnings
from dvl2_cli.results.envelope import UsageTotals
from dvl2_cli.results.ocr import Block
from dvl2_cli.tasks.context import OnText, TaskContext, question_about
from dvl2_cli.tasks.endings import ending_of
from dvl2_cli.tasks.grounding.grammar import objects_grammar
from dvl2_cli.tasks.reading.evidence import unsupported, value_of
from dvl2_cli.tasks.reading.fields import Kind, is_of_kind, kind_of, look_up
from dvl2_cli.tasks.reading.line_boxes import line_blocks, located_by_model, located_by_rapidocr
from dvl2_cli.tasks.reading.lines.pack import Canvas, Layout
from dvl2_cli.tasks.reading.lines.reader import read_by_lines, shown_of
from dvl2_cli.tasks.reading.lines.text import page_text
from dvl2_cli.tasks.reading.markdown import blocks_of, tables_of, to_text
from dvl2_cli.tasks.reading.page import PageReader, PageText
from dvl2_cli.tasks.reading.slices import slices_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from dvl2_cli.schema.source import AnswerSchema
    from dvl2_cli.store.policy import Policy

MAX_TOKENS = 2048
# A strip of a line holds about 40 characters.
MAX_LINE_TOKENS = 96
BoxSource = Literal["none", "model", "rapidocr"]
_MAX_FIELD_TOKENS = 128
_KIND_NAMES: dict[Kind, str] = {
    "date": "date", "amount": "amount", "code": "number", "text": "text"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OcrOptions:
    """What to read of a page.

    Attributes:
        markdown: ask for Markdown instead of plain text.
        boxes: who locates the lines.
        fields: names of values to extract, one question each.
        schema: of the values to extract, in place of ``fields``.
    """

    markdown: bool = False
    boxes: BoxSource = "none"
    fields: tuple[str, ...] = ()
    schema: AnswerSchema | None = None

    @property
    def question(self) -> str:
        """The words that ask for the text."""
        return prompts.PRESETS["markdown" if self.markdown else "ocr"]

    @property
    def extracts(self) -> bool:
        """Whether values are asked for beside the text."""
        return bool(self.fields or self.schema)


_TEXT_ALONE = OcrOptions()


def ocr(
    context: TaskContext,
    picture: Picture,
    options: OcrOptions = _TEXT_ALONE,
    on_text: OnText | None = None,
    layer: PageText | None = None,
) -> OcrResult:
    """Read ``picture``; ``on_text`` sees its text as it comes, where it comes in order.

    ``layer`` is its text where that is known already, and only values are asked for.

    Raises:
        Dvl2Error: a question cannot be answered.
    """
    if layer is not None:
        options = dataclasses.replace(options, boxes="none")  # the layer's are exact
        result = _Page(context, picture, options).result(layer)
        return dataclasses.replace(result, text_source="layer")
    read = read_page(context, picture.image, on_text, question=options.question)
    return _Page(context, picture, options).result(read)


def read_page(
    context: TaskContext,
    page: Image,
    on_text: OnText | None = None,
    *,
    question: str = _TEXT_ALONE.question,
) -> PageText:
    """The text of ``page`` (upright, RGB) alone, whole or by its lines, and how it went.

    ``question`` asks for the text of a page that is shown whole.
    """
    if context.policy.reads == "lines":
        layout = _layout(context.policy)

        def answer_lines(canvas: Canvas) -> Finished:
            return context.answer(_line_request(context.defaults, canvas, layout))

        return page_text(read_by_lines(page, layout, answer_lines, on_text))

    def answer(image: Image, sampling: Sampling | None, on_text: OnText | None) -> Finished:
        request = question_about(context.defaults, question, [image])
        if sampling is not None:
            request = dataclasses.replace(request, sampling=sampling)
        return context.answer(request, on_text)

    def again(text: str) -> None:
        context.on_event(Notice(text))

    return PageReader(answer, context.defaults.sampling, again).read(page, on_text)


def page_requests(
    defaults: RequestDefaults, policy: Policy, image: Image, options: OcrOptions
) -> Iterator[tuple[str, Request]]:
    """What is asked about ``image`` at first, and about which part ("" for all of it)."""
    if policy.reads != "lines":
        slices = slices_of(image)
        for number, shown in enumerate(slices, 1):
            name = f"slice {number} of {len(slices)}" if len(slices) > 1 else ""
            yield name, question_about(defaults, options.question, [shown])
        return
    layout = _layout(policy)
    canvases = shown_of(image, layout).canvases
    for number, canvas in enumerate(canvases, 1):
        part = f"lines {number} of {len(canvases)}" if len(canvases) > 1 else ""
        yield part, _line_request(defaults, canvas, layout)


def _layout(policy: Policy) -> Layout:
    return Layout() if policy.print_height is None else Layout.for_print(policy.print_height)


def _line_request(defaults: RequestDefaults, canvas: Canvas, layout: Layout) -> Request:
    """Ask for the lines of ``canvas``, and for no more."""
    count = len(canvas.strips)
    request = question_about(defaults, prompts.PRESETS["ocr"], [canvas.image])
    most = min(defaults.sampling.max_new_tokens, count * MAX_LINE_TOKENS)
    return dataclasses.replace(
        request,
        sampling=dataclasses.replace(request.sampling, max_new_tokens=most),
        tiles=layout.columns * layout.rows,
        zoom=1.0,
        max_lines=count,
    )


@dataclass(slots=True)
class _Page:
    """From the text of one page to its result; ``usage`` counts every further question."""

    context: TaskContext
    picture: Picture
    options: OcrOptions
    usage: UsageTotals = dataclasses.field(default_factory=UsageTotals)
    warnings: list[str] = dataclasses.field(default_factory=list)

    def result(self, read: PageText) -> OcrResult:
        """Blocks, boxes, tables and fields of what was read."""
        options, self.usage = self.options, read.usage
        whole = read.blocks is None
        text = to_text(read.text) if options.markdown and whole else read.text
        markdown = read.text if read.markdown is None else read.markdown
        self.warnings += [*self.picture.notes, *_ending(read), *_confidence_warnings(read)]
        if read.blocks is not None:
            blocks = list(read.blocks)
        else:
            blocks = blocks_of(read.text) if options.markdown else line_blocks(read.text)
        if options.boxes != "none" and not self.context.cancelled:
            blocks = self._located(line_blocks(text))
        fields: dict[str, Any] | None = None
        if options.extracts and not self.context.cancelled:
            fields = self._extracted(text)
            self.warnings += unsupported(fields or {}, text)
        lacking = fields is None and options.extracts
        return OcrResult(
            status="partial" if read.finish_reason != "stop" or lacking else "ok",
            warnings=tuple(self.warnings),
            source=Source.of(self.picture),
            model=self.context.model,
            usage=self.usage,
            finish_reason=read.finish_reason,
            raw=read.raw,
            text=text,
            markdown=markdown,
            tables=tables_of(markdown),
            blocks=tuple(blocks),
            fields=fields,
            quality=read.quality,
        )

    def _located(self, blocks: list[Block]) -> list[Block]:
        if self.options.boxes == "rapidocr":
            located, warnings = located_by_rapidocr(blocks, self.picture.image)
            self.warnings += warnings
            return located
        constraint = Constraint("lark", objects_grammar(1))

        def locate(phrase: str) -> str:
            return self._answer(prompts.locate.about(phrase), constraint=constraint).raw

        located = located_by_model(blocks, (self.picture.width, self.picture.height), locate)
        missing = sum(1 for block in located if block.box is None)
        if missing:
            self.warnings.append(f"{missing} of {len(located)} lines could not be located")
        return located

    def _extracted(self, text: str) -> dict[str, Any] | None:
        if self.options.schema is not None:
            return self._by_schema(self.options.schema)
        return {name: self._field(name, text) for name in self.options.fields}

    def _field(self, name: str, text: str) -> str | None:
        """The value beside the field's label in ``text``, which is surer than an answer about the
        whole page; else that answer, if it is such a thing as the field asks for.
        """
        by_lines = self.context.policy.reads == "lines"
        found = look_up(name, text) if by_lines else None
        if found is not None:
            return found
        sampling = dataclasses.replace(
            self.context.defaults.sampling, max_new_tokens=_MAX_FIELD_TOKENS
        )
        answer = self._answer(prompts.extract_field.about(name), sampling=sampling)
        value = value_of(answer.text)
        if value is None:
            return None
        kind = kind_of(name)
        if by_lines and not is_of_kind(kind, value):
            self.warnings.append(f"field {name}: no {_KIND_NAMES[kind]} was found on the page")
            return None
        self.warnings += confidence_warnings(answer.confidence, f"field {name}")
        return value

    def _by_schema(self, schema: AnswerSchema) -> dict[str, Any] | None:
        names = ", ".join(schema.document.get("properties", {})) or "data"
        constraint = Constraint("json_schema", schema.text)
        answer = self._answer(prompts.extract_json.about(names), constraint=constraint)
        try:
            value, broken = schema.read(answer.text)
        except NoUsableOutputError as error:
            self.warnings.append(error.message)
            return None
        self.warnings += broken
        self.warnings += confidence_warnings(answer.confidence, "the values of --schema")
        return value if isinstance(value, dict) else {"value": value}

    def _answer(
        self,
        question: prompts.Question,
        *,
        constraint: Constraint | None = None,
        sampling: Sampling | None = None,
    ) -> Finished:
        """A further answer about the whole page."""
        defaults = self.context.defaults
        if sampling is not None:
            defaults = dataclasses.replace(defaults, sampling=sampling)
        request = question_about(defaults, question, [self.picture.image], constraint)
        answer = self.context.answer(request)
        self.usage = self.usage.plus(answer.usage)
        return answer


def _confidence_warnings(read: PageText) -> list[str]:
    """Why the text should be checked, each reason once."""
    if read.warnings is not None:
        return list(read.warnings)
    found = [line for answer in read.answers for line in confidence_warnings(answer.confidence)]
    return list(dict.fromkeys(found))


def _ending(read: PageText) -> list[str]:
    """What a reader has to know of how the reading went."""
    quality = read.quality
    warnings = []
    if quality.degenerate:
        warnings.append("degenerate: the answer is a repetition that no retry resolved")
    elif quality.loop_detected:
        warnings.append("a repetition was met and resolved by reading again")
    if read.finish_reason == "cancelled" or quality.truncated:
        end = ending_of([item for item in read.answers if item.finish_reason != "loop"])
        warnings += [end] if end else []
    return warnings
