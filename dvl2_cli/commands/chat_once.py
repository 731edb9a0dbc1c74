"""``dvl2 chat -p``: one question, one answer, exit."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dvl2_cli.chatting.code import extract_code
from dvl2_cli.chatting.conversation import MAX_TOKENS
from dvl2_cli.chatting.question import CODE_PRESETS, last_answer, question_of
from dvl2_cli.commands.chat_setup import ChatOptions, start_session
from dvl2_cli.commands.run import Run
from dvl2_cli.engine.events import Finished
from dvl2_cli.engine.request import Constraint, Request
from dvl2_cli.errors import Dvl2Error, NoUsableOutputError
from dvl2_cli.history.keeping import keep_session
from dvl2_cli.results import ChatResult, Source, UsageTotals
from dvl2_cli.results.lines import json_line
from dvl2_cli.schema.source import AnswerSchema, read_schema
from dvl2_cli.tasks.grounding.counting import asks_how_many, count
from dvl2_cli.ui.stream import AnswerView, MarkdownView, PlainView, show_whole

if TYPE_CHECKING:
    from dvl2_cli.history.session import Session
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.settings import Settings


def answer_once(options: ChatOptions, common: CommonOptions) -> None:
    """Ask, print the answer, keep the session."""
    from dvl2_cli.engine.opening import effective_settings

    settings = effective_settings(common)
    schema = read_schema(options.schema) if options.schema is not None else None
    with Run(common, max_tokens=MAX_TOKENS, several=False) as run:
        for note in schema.notes if schema is not None else ():
            run.console.note(note)
        once = _Once(options, common, settings, schema, run)
        try:
            result = once.result()
        except Dvl2Error as error:
            if not common.json or error.exit_code == 2:
                raise
            result = replace(once.partial, status="failed", error=error, model=run.model)
        if result is None:
            run.finish()
            return
        run.count(result, code=5 if result.finish_reason == "loop" else 0)
        if common.json:
            run.output.json(result.as_json())
        run.finish()


class _Once:
    """One answer; ``partial`` is what is known of its result when something fails."""

    def __init__(
        self,
        options: ChatOptions,
        common: CommonOptions,
        settings: Settings,
        schema: AnswerSchema | None,
        run: Run,
    ) -> None:
        self.options, self.common, self.settings = options, common, settings
        self.schema, self.run = schema, run
        self.partial = ChatResult()

    def result(self) -> ChatResult | None:
        """Ask; None after --plan."""
        options, run = self.options, self.run
        session = start_session(options, self.settings, self.common)
        sources = tuple(Source.of(picture) for picture in session.pending)
        self.partial = ChatResult(source=sources[0] if sources else None, sources=sources)
        question = question_of(
            options.preset, options.prompt, steps=options.steps, pictures=len(session.pictures())
        )
        request = self._request(session, question)
        if self.common.plan:
            run.plan(request, "prompt")
            return None
        notes = [note for picture in session.pending for note in picture.notes]
        self._show_pictures(session)
        answer = self._ask(request)
        endings = _endings(answer, run)
        result = replace(
            self.partial,
            status="partial" if endings else "ok",
            model=run.model,
            usage=UsageTotals().plus(answer.usage),
            finish_reason=answer.finish_reason,
            raw=answer.raw,
            answer=(last_answer(answer.text) if options.steps else None) or answer.text,
            warnings=(*notes, *run.doubts(answer), *endings),
        )
        self.partial = result
        result = self._data(result, answer)
        return replace(result, session=self._keep(session, question, answer))

    def _request(self, session: Session, question: str) -> Request:
        constraint = Constraint("json_schema", self.schema.text) if self.schema else None
        messages = session.messages(question)
        if self.options.show_prompt:
            for message in messages:
                self.run.console.note(f"prompt, {message.role}: {message.shown}")
        return Request(messages, self.run.sampling, constraint, self.run.tiles, self.run.zoom)

    def _show_pictures(self, session: Session) -> None:
        if not (self.options.show_image and self.run.console.colour and not self.common.json):
            return
        from dvl2_cli.ui.picture import TerminalPicture

        for picture in session.pending:
            self.run.console.rich_out().print(TerminalPicture(picture.image))

    def _ask(self, request: Request) -> Finished:
        silent = self.common.json or self.schema is not None or self.options.extract
        _ = self.run.engine  # opened before the spinner: loading writes to stderr
        if asks_how_many(request) and self.run.policy.count_by_boxes:
            answer = count(request, self.run.ask)
            if not silent:
                show_whole(self._view(), answer.text)
            return answer
        if silent:
            return self.run.ask(request)
        view = self._view()
        return self.run.ask(request, view.feed, view.close)

    def _view(self) -> AnswerView:
        if self.run.console.colour and self.settings.markdown:
            return MarkdownView(self.run.console.rich_out())
        return PlainView(self.run.output)

    def _data(self, result: ChatResult, answer: Finished) -> ChatResult:
        """What -x or --schema wants of the answer, printed unless --json."""
        if answer.finish_reason == "cancelled":
            return result
        if self.schema is not None:
            data = self._parsed(self.schema, answer)
            if not self.common.json:
                self.run.output.text(_pretty(data, indent=self.run.output.is_tty) + "\n")
            return replace(result, data=data)
        if self.options.extract:
            wanted = CODE_PRESETS.get(self.options.preset or "")
            block, oddities = extract_code(answer.text, wanted)
            if not self.common.json:
                self.run.output.text(block.code)
            return replace(
                result,
                code=block.code,
                language=block.language or None,
                warnings=(*result.warnings, *oddities),
            )
        if not answer.text and answer.finish_reason != "loop":
            raise NoUsableOutputError("the model answered nothing", "Try other words.")
        return result

    def _parsed(self, schema: AnswerSchema, answer: Finished) -> Any:
        try:
            return schema.parse(answer.text)
        except NoUsableOutputError as error:
            endings = _endings(answer, self.run)
            if not endings:
                raise
            raise NoUsableOutputError(f"no JSON that follows --schema: {endings[0]}") from error

    def _keep(self, session: Session, question: str, answer: Finished) -> str | None:
        session.add(question, answer.text, answer.finish_reason)
        if self.options.keep and self.settings.history:
            keep_session(session, self.run.engine.info.id, self.run.console)
        return session.id


def _endings(answer: Finished, run: Run) -> list[str]:
    """Why an answer may not be whole."""
    if answer.finish_reason == "loop":
        return ["the answer repeated itself and was stopped"]
    if answer.finish_reason == "length":
        return [
            f"the answer was cut at {answer.usage.completion_tokens} tokens; "
            f"--max-tokens sets the limit, now {run.sampling.max_new_tokens}"
        ]
    return []


def _pretty(data: Any, *, indent: bool) -> str:
    if indent:
        return json.dumps(data, indent=2, ensure_ascii=False)
    return json_line(data)
