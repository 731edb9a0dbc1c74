"""``dvl2 chat --map --reduce``: every page is asked, and the answers are joined."""

from __future__ import annotations

import contextlib
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from dvl2_cli.chatting.conversation import MAX_TOKENS
from dvl2_cli.commands.chat_setup import ChatOptions
from dvl2_cli.commands.reporter import Reporter
from dvl2_cli.commands.resuming import (
    JournaledEngine,
    entered,
    fingerprint,
    model_identity,
    state_journal,
)
from dvl2_cli.commands.sources import InputOptions
from dvl2_cli.engine.request import Message, Request
from dvl2_cli.errors import Dvl2Error, NoUsableOutputError, UsageError
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.journal import Journal, JournalInUseError
from dvl2_cli.results import ChatResult, Source, UsageTotals
from dvl2_cli.results.chat import PageShown, ShownAs, TextSource
from dvl2_cli.results.confidence import confidence_warnings
from dvl2_cli.tasks.endings import ending
from dvl2_cli.tasks.folder.joining import Joiner
from dvl2_cli.tasks.folder.pack import fits, named_pages
from dvl2_cli.tasks.reading.layer import page_of
from dvl2_cli.tasks.reading.layer_verdict import judge_layer
from dvl2_cli.user_folders import NoHomeError

if TYPE_CHECKING:
    from dvl2_cli.options import CommonOptions


def check_map(options: ChatOptions, common: CommonOptions) -> None:
    """Refuse what does not go with --map.

    Raises:
        UsageError: it does not.
    """
    if options.map_prompt is None:
        raise UsageError("--reduce joins the answers of --map", 'Add --map "…".')
    others = {
        "--prompt": options.prompt, "--preset": options.preset, "--top": options.top,
        "--schema": options.schema, "--extract": options.extract, "--steps": options.steps,
        "--continue": options.resume, "--session": options.session,
        "--clipboard": options.clipboard, "--plan": common.plan,
    }  # fmt: skip
    for name, given in others.items():
        if given:
            raise UsageError(f"--map asks every page, and {name} is for one question", "Leave one.")
    if not options.images:
        raise UsageError("--map asks about pages, and none are named", "Name a folder or a PDF.")


def answer_by_page(options: ChatOptions, common: CommonOptions) -> None:
    """Ask every page, print the answers or what joins them."""
    check_map(options, common)
    with (
        Reporter(
            common, max_tokens=MAX_TOKENS, several=True, show_prompt=options.show_prompt
        ) as reporter,
        contextlib.ExitStack() as stack,
    ):
        journal = _journal(options, reporter, stack)
        _ByPage(options, reporter).run()
        if journal is not None and not reporter.interrupts.stop:
            journal.complete()
        reporter.finish()


class _ByPage:
    def __init__(self, options: ChatOptions, reporter: Reporter) -> None:
        self.options, self.reporter = options, reporter
        self.question = options.map_prompt or ""
        self.answers: list[tuple[PageShown, str]] = []
        self.failed = 0

    def run(self) -> None:
        options, reporter = self.options, self.reporter
        inputs = InputOptions(
            options.pages,
            recursive=options.recursive,
            password=options.password,
            text_layers=options.pages_as != "pictures",
        ).inputs(options.images, offline=reporter.common.offline)
        inputs.limit(reporter.session.picture_memory)
        for found in inputs:
            self._take(self._page(found))
            if reporter.interrupts.stop:
                return
        if options.reduce_prompt is not None:
            self._reduce(options.reduce_prompt)

    def _page(self, found: Picture | Unreadable) -> ChatResult:
        source = Source.of(found)
        if isinstance(found, Unreadable):
            return ChatResult.failure(found.error, source)
        reporter = self.reporter
        try:
            context = reporter.context
            request, text_source = self._request(found)
            answer = context.answer(request)
        except Dvl2Error as error:
            if error.fatal:
                raise
            return ChatResult.failure(error, source, reporter.model)
        end = ending(answer.finish_reason, answer.usage.completion_tokens)
        text = answer.text.strip()
        number = len(self.answers) + 1
        shown_as: ShownAs = "text" if text_source == "layer" else "picture"
        page = PageShown(number, source, shown_as, text_source, 0.0, "all")
        self.answers.append((page, text))
        return ChatResult(
            status="partial" if end else "ok",
            source=source,
            sources=(source,),
            model=context.model,
            usage=UsageTotals().plus(answer.usage),
            finish_reason=answer.finish_reason,
            raw=answer.raw,
            answer=text,
            warnings=(
                *found.notes, *confidence_warnings(answer.confidence), *([end] if end else [])
            ),
        )  # fmt: skip

    def _request(self, picture: Picture) -> tuple[Request, TextSource]:
        """The question with the page's text where its layer is sound and fits, or its picture."""
        context = self.reporter.context
        layer = page_of(judge_layer(picture)) if picture.text_layer is not None else None
        if layer is not None:
            message = Message("user", f"{layer.text}\n\n{self.question}")
            request = context.defaults.request((*self._system(), message))
            if fits(context.engine, request):
                return request, "layer"
        message = Message("user", self.question, (picture.image,))
        return context.defaults.request((*self._system(), message)), "pixels"

    def _take(self, result: ChatResult) -> None:
        reporter = self.reporter
        self.failed += result.status == "failed"
        reporter.count(result, code=5 if result.finish_reason == "loop" else 0)
        if reporter.common.json:
            reporter.output.json(result.as_json())
        elif self.options.reduce_prompt is None and result.status != "failed":
            assert result.source is not None  # noqa: S101  every page has one
            reporter.output.text(f"{result.source.name}:\n{result.answer}\n\n")

    def _reduce(self, question: str) -> None:
        reporter = self.reporter
        if not self.answers:
            raise NoUsableOutputError("no page was answered, so there is nothing to join")
        joiner = Joiner(reporter.context, question, reporter.console.note)
        answer = joiner.join(
            [
                f"[{page.number}] {PurePath(page.source.name).name}:\n{text}"
                for page, text in self.answers
            ]
        )
        right, wrong = named_pages(answer.text, len(self.answers))
        warnings = [f"the answer names [{number}], and there is no such page" for number in wrong]
        if self.failed:
            warnings.append(f"{self.failed} pages failed and are missing from the answer")
        end = ending(answer.finish_reason, answer.usage.completion_tokens)
        pages = tuple(
            PageShown(
                page.number, page.source, page.shown_as, page.text_source, 0.0, "all",
                page.number in right,
            )
            for page, _ in self.answers
        )  # fmt: skip
        result = ChatResult(
            status="partial" if end or self.failed else "ok",
            sources=tuple(page.source for page, _ in self.answers),
            model=reporter.context.model,
            usage=joiner.usage,
            finish_reason=answer.finish_reason,
            raw=answer.raw,
            answer=answer.text.strip(),
            warnings=(*warnings, *([end] if end else [])),
            pages=pages,
            pages_searched=len(self.answers) + self.failed,
        )
        reporter.count(result, code=5 if answer.finish_reason == "loop" else 0)
        if reporter.common.json:
            reporter.output.json(result.as_json())
            return
        reporter.output.line(result.answer)
        named = [f"[{page.number}] {page.source.name}" for page in pages if page.named]
        if named:
            reporter.output.text("\n".join(["", "Pages:", *named, ""]))

    def _system(self) -> tuple[Message, ...]:
        system = self.options.system or self.reporter.session.settings.system
        return (Message("system", system),) if system else ()


def _journal(
    options: ChatOptions, reporter: Reporter, stack: contextlib.ExitStack
) -> Journal | None:
    """The answers of a killed run; None where they cannot be kept or another run has them."""
    what = (str(Path.cwd()), options.images, options.map_prompt, options.reduce_prompt)
    try:
        journal = state_journal("chat", what, fingerprint(model_identity(reporter.session)))
        kept = entered(journal, stack, reporter.console)
    except (JournalInUseError, NoHomeError):
        return None
    if kept is not None:
        give_up = reporter.console.note
        reporter.wrap = lambda engine: JournaledEngine(engine, kept, give_up)
    return kept
