"""``dvl2 chat -p``: one question, one answer, exit."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dvl2_cli.chatting.code import extract_code
from dvl2_cli.chatting.conversation import MAX_TOKENS
from dvl2_cli.chatting.question import CODE_PRESETS, last_answer, question_of
from dvl2_cli.commands.chat_folder import Folder, is_folder_question
from dvl2_cli.commands.chat_setup import ChatOptions, start_session
from dvl2_cli.commands.reporter import Reporter
from dvl2_cli.engine.events import Finished
from dvl2_cli.engine.request import Constraint, Message, Request
from dvl2_cli.errors import Dvl2Error, NoUsableOutputError, UsageError
from dvl2_cli.history.keeping import keep_session
from dvl2_cli.inputs.pipes import has_waiting
from dvl2_cli.results import ChatResult, Source, UsageTotals
from dvl2_cli.results.confidence import confidence_warnings
from dvl2_cli.results.lines import json_line
from dvl2_cli.schema.source import AnswerSchema, read_schema
from dvl2_cli.tasks.ask import ask, counts
from dvl2_cli.tasks.endings import ending
from dvl2_cli.ui.stream import AnswerView, MarkdownView, PlainView, show_whole

if TYPE_CHECKING:
    from dvl2_cli.history.session import ChatSession
    from dvl2_cli.options import CommonOptions


def answer_once(options: ChatOptions, common: CommonOptions) -> None:
    """Ask, print the answer, keep the session."""
    schema = None
    if options.schema is not None:
        schema = read_schema(options.schema, is_lenient=options.schema_lenient)
    with Reporter(common, max_tokens=MAX_TOKENS, several=False) as reporter:
        for note in schema.notes if schema is not None else ():
            reporter.console.note(note)
        once = _Once(options, common, schema, reporter)
        try:
            result = once.result()
        except Dvl2Error as error:
            if not common.json or error.exit_code == 2:
                raise
            result = replace(once.partial, status="failed", error=error, model=reporter.model)
        if result is None:
            reporter.finish()
            return
        reporter.count(result, code=5 if result.finish_reason == "loop" else 0)
        if common.json:
            reporter.output.json(result.as_json())
        if "-" not in options.images and has_waiting(sys.stdin):  # it came too late to be refused
            reporter.console.warn("what came on stdin was not read")
        reporter.finish()


class _Once:
    """One answer; ``partial`` is what is known of its result when something fails."""

    def __init__(
        self,
        options: ChatOptions,
        common: CommonOptions,
        schema: AnswerSchema | None,
        reporter: Reporter,
    ) -> None:
        self.options, self.common, self.schema = options, common, schema
        self.reporter, self.settings = reporter, reporter.session.settings
        self.partial = ChatResult()

    def result(self) -> ChatResult | None:
        """Ask; None after --plan."""
        options, reporter = self.options, self.reporter
        folder = Folder(options, reporter) if is_folder_question(options) else None
        few = None if folder is None else folder.few()
        if folder is not None and few is None:
            return self._of_folder(folder)
        if few is not None:
            options = replace(options, images=())
        talk = start_session(options, self.settings, self.common)
        talk.pending[:0] = few or []
        sources = tuple(Source.of(picture) for picture in talk.pending)
        self.partial = ChatResult(source=sources[0] if sources else None, sources=sources)
        question = question_of(
            options.preset, options.prompt, steps=options.steps, pictures=len(talk.pictures())
        )
        request = self._request(talk.messages(question))
        if self.common.plan:
            reporter.plan(request, "prompt")
            return None
        notes = [note for picture in talk.pending for note in picture.notes]
        self._show_pictures(talk)
        answer = self._ask(request)
        result = self._answered(answer, notes)
        return replace(result, session=self._keep(talk, question, answer))

    def _of_folder(self, folder: Folder) -> ChatResult | None:
        """Ask about the best pages of many."""
        options = self.options
        if self.common.plan:
            raise UsageError(
                "which pages a question finds is known when they are read, and --plan reads none",
                "Plan a picture or a page: --pages 1-2.",
            )
        if options.clipboard:
            raise UsageError("--clipboard is a picture, and a folder is asked about", "Leave one.")
        talk = start_session(replace(options, images=()), self.settings, self.common)
        asked = question_of(None, options.prompt, steps=options.steps, pictures=0)
        shown = folder.choose(options.prompt or "", asked)
        sources = tuple(item.page.source for item in shown.pages)
        self.partial = ChatResult(
            source=sources[0], sources=sources, pages=shown.records(), pages_searched=shown.searched
        )
        talk.pending += [item.picture for item in shown.pages if item.picture is not None]
        self._show_pictures(talk)
        before = replace(talk, pending=[]).messages()
        answer = self._ask(self._request((*before, shown.message)))
        result = self._answered(answer, shown.warnings(answer.text))
        result = replace(result, pages=shown.records(answer.text))
        self._name_pages(result)
        return replace(result, session=self._keep(talk, shown.message.content, answer))

    def _name_pages(self, result: ChatResult) -> None:
        """Say under a printed answer which pages it names, or else which were shown."""
        if self.common.json or self.schema is not None or self.options.extract:
            return
        named = [page for page in result.pages if page.named]
        lines = [f"[{page.number}] {page.source.name}" for page in named or result.pages]
        head = "Pages:" if named else "Pages shown (the answer names none):"
        self.reporter.output.end_line()
        self.reporter.output.text("\n".join(["", head, *lines, ""]))

    def _answered(self, answer: Finished, notes: list[str]) -> ChatResult:
        """The result of an answer, with what -x or --schema wants of it."""
        options, reporter = self.options, self.reporter
        end = ending(answer.finish_reason, answer.usage.completion_tokens)
        result = replace(
            self.partial,
            status="partial" if end else "ok",
            model=reporter.context.model,
            usage=UsageTotals().plus(answer.usage),
            finish_reason=answer.finish_reason,
            raw=answer.raw,
            answer=(last_answer(answer.text) if options.steps else None) or answer.text,
            warnings=(*notes, *confidence_warnings(answer.confidence), *([end] if end else [])),
        )
        self.partial = result
        return self._data(result, answer)

    def _request(self, messages: tuple[Message, ...]) -> Request:
        constraint = Constraint("json_schema", self.schema.text) if self.schema else None
        if self.options.show_prompt:
            for message in messages:
                self.reporter.console.note(f"prompt, {message.role}: {message.shown}")
        return self.reporter.defaults.request(messages, constraint)

    def _show_pictures(self, talk: ChatSession) -> None:
        if not (self.options.show_image and self.reporter.console.colour and not self.common.json):
            return
        from dvl2_cli.ui.picture import TerminalPicture

        for picture in talk.pending:
            self.reporter.console.rich_out().print(TerminalPicture(picture.image))

    def _ask(self, request: Request) -> Finished:
        silent = self.common.json or self.schema is not None or self.options.extract
        context = self.reporter.context  # opened before the spinner: loading writes to stderr
        if silent or counts(context, request):
            answer = ask(context, request)
            if not silent:
                show_whole(self._view(), answer.text)
            return answer
        view = self._view()
        if isinstance(view, MarkdownView):
            self.reporter.console.progress.close()  # the view has a spinner of its own
        try:
            return ask(context, request, view.feed)
        finally:
            view.close()

    def _view(self) -> AnswerView:
        if self.reporter.console.colour and self.settings.markdown:
            return MarkdownView(self.reporter.console.rich_out())
        return PlainView(self.reporter.output)

    def _data(self, result: ChatResult, answer: Finished) -> ChatResult:
        """What -x or --schema wants of the answer, printed unless --json."""
        if answer.finish_reason == "cancelled":
            return result
        if self.schema is not None:
            data, broken = self._parsed(self.schema, answer)
            if not self.common.json:
                self.reporter.output.text(_pretty(data, indent=self.reporter.output.is_tty) + "\n")
            return replace(result, data=data, warnings=(*result.warnings, *broken))
        if self.options.extract:
            wanted = CODE_PRESETS.get(self.options.preset or "")
            block, oddities = extract_code(answer.text, wanted)
            if not self.common.json:
                self.reporter.output.text(block.code)
            return replace(
                result,
                code=block.code,
                language=block.language or None,
                warnings=(*result.warnings, *oddities),
            )
        if not answer.text and answer.finish_reason != "loop":
            raise NoUsableOutputError("the model answered nothing", "Try other words.")
        return result

    def _parsed(self, schema: AnswerSchema, answer: Finished) -> tuple[Any, list[str]]:
        try:
            return schema.read(answer.text)
        except NoUsableOutputError as error:
            end = ending(answer.finish_reason, answer.usage.completion_tokens)
            if end is None:
                raise
            raise NoUsableOutputError(f"no JSON that follows --schema: {end}") from error

    def _keep(self, talk: ChatSession, question: str, answer: Finished) -> str | None:
        talk.add(question, answer.text, answer.finish_reason)
        if self.options.keep and self.settings.history:
            keep_session(talk, self.reporter.context.model.id, self.reporter.console.note_once)
        return talk.id


def _pretty(data: Any, *, indent: bool) -> str:
    if indent:
        return json.dumps(data, indent=2, ensure_ascii=False)
    return json_line(data)
