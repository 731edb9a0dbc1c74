"""``dvl2 chat``: talk about images, or answer once."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dvl2_cli.chatting.arguments import split_question
from dvl2_cli.errors import UsageError
from dvl2_cli.inputs.pipes import has_waiting
from dvl2_cli.options import CommonOptions, PasswordOption, SchemaLenientOption, with_common_options
from dvl2_cli.texts import decode_text

app = typer.Typer(add_completion=False)

_STDIN = "-"
_LONGEST_PROMPT = 2**20


def _presets(incomplete: str) -> list[str]:
    from dvl2_cli.chatting.question import preset_names

    return [name for name in preset_names() if name.startswith(incomplete)]


@app.command()
@with_common_options
def chat(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE",
            help="Images, PDFs, folders or URLs; - is stdin. The last may be the question.",
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt", "-p", help="Answer this question and exit; - reads it from stdin."
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="Ask in the model's own words: describe, table, compare and others.",
            autocompletion=_presets,
        ),
    ] = None,
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema", help="Answer as JSON, by a schema file or a list: name, total float."
        ),
    ] = None,
    schema_lenient: SchemaLenientOption = False,
    extract: Annotated[
        bool, typer.Option("--extract", "-x", help="Print only the code in the answer.")
    ] = False,
    steps: Annotated[
        bool, typer.Option("--steps", help="Let the model think step by step first.")
    ] = False,
    system: Annotated[
        str | None, typer.Option("--system", help="Give the model this system prompt.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--continue", "-c", help="Go on with the last session.")
    ] = False,
    session: Annotated[
        str | None, typer.Option("--session", metavar="ID", help="Go on with this session.")
    ] = None,
    clipboard: Annotated[
        bool, typer.Option("--clipboard", help="Ask about the image on the clipboard.")
    ] = False,
    pages: Annotated[
        str | None, typer.Option("--pages", metavar="LIST", help="Pages of documents, as 1-4,7.")
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Look into subfolders.")
    ] = False,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            min=1,
            help="Of folders and documents: the best pages for the question, at most so many (5).",
        ),
    ] = None,
    pages_as: Annotated[
        str,
        typer.Option("--pages-as", help="Show those as pictures, as text, or auto."),
    ] = "auto",
    map_prompt: Annotated[
        str | None,
        typer.Option("--map", metavar="QUESTION", help="Ask this about every page by itself."),
    ] = None,
    reduce_prompt: Annotated[
        str | None,
        typer.Option("--reduce", metavar="QUESTION", help="Join the answers of --map by this."),
    ] = None,
    password: PasswordOption = None,
    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="Show what the model is asked, on stderr.")
    ] = False,
    show_image: Annotated[
        bool | None,
        typer.Option(
            "--show-image/--no-show-image",
            help="Show the images in the terminal, as a conversation does.",
            show_default=False,
        ),
    ] = None,
    no_history: Annotated[
        bool, typer.Option("--no-history", help="Do not keep this session.")
    ] = False,
    *,
    common: CommonOptions,
) -> None:
    """Talk about images, or answer one question.

    With a question, a --preset or text on stdin it answers once and exits; the answer is plain
    text in a pipe, and JSON with --json. Otherwise it is a conversation: type /help there.

    Examples:
      dvl2 chat photo.jpg
      dvl2 chat photo.jpg "What is this?"
      dvl2 chat before.png after.png --preset compare
      dvl2 chat report.pdf --map "Which dates are here?" --reduce "Sort them."
      dvl2 chat invoices/ "Which invoices are overdue?"
      dvl2 chat invoice.pdf --pages 1 -p "Who sent it?" --schema "name, total int"
    """
    from dvl2_cli.commands.chat_setup import ChatOptions

    if resume and session is not None:
        raise UsageError("--continue and --session name two sessions", "Leave one of them out.")
    if schema is not None and (extract or steps):
        other = "--extract" if extract else "--steps"
        raise UsageError(f"--schema and {other} want different answers", "Leave one of them out.")
    question = None
    if prompt is None:
        images, question = split_question(images or [])
    if schema_lenient and schema is None:
        raise UsageError("--schema-lenient is about --schema", "Give a --schema.")
    options = ChatOptions(
        images=tuple(images or ()),
        prompt=_prompt(prompt or question, images or [], preset or map_prompt),
        preset=preset,
        schema=schema,
        schema_lenient=schema_lenient,
        extract=extract,
        steps=steps,
        system=system,
        resume=resume,
        session=session,
        clipboard=clipboard,
        pages=pages,
        recursive=recursive,
        top=top,
        pages_as=pages_as,
        map_prompt=map_prompt,
        reduce_prompt=reduce_prompt,
        password=password,
        show_prompt=show_prompt,
        show_image=show_image,
        keep=not no_history,
    )
    if map_prompt is not None or reduce_prompt is not None:
        from dvl2_cli.commands.chat_map import answer_by_page

        answer_by_page(options, common)
        return
    if options.prompt is not None or preset is not None or common.plan:
        from dvl2_cli.commands.chat_once import answer_once

        answer_once(options, common)
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("there is nothing to ask", "Ask with -p, or choose a --preset.")
    for name, given in (
        ("--schema", schema),
        ("--extract", extract),
        ("--json", common.json),
        ("--top", top),
        ("--pages-as", pages_as != "auto"),
    ):
        if given:
            raise UsageError(f"{name} is for a single answer", "Ask with -p.")
    from dvl2_cli.commands.chat_repl import converse

    converse(options, common)


def _prompt(given: str | None, images: list[str], preset: str | None) -> str | None:
    """The question: of -p, or of stdin where nothing else is asked and it is piped."""
    piped_picture = _STDIN in images
    if given == _STDIN:
        if piped_picture:
            raise UsageError("- stands for both the image and the prompt", "Name one of them.")
        return _read_stdin()
    if piped_picture or sys.stdin.isatty():
        return given
    if given is not None or preset is not None:
        # In a loop it may be the list that the shell reads from, so it is not read unasked.
        if has_waiting(sys.stdin):
            raise UsageError(
                "there is text on stdin as well as a question",
                "Ask with -p - to read the question from stdin, or add < /dev/null.",
            )
        return given
    return _read_stdin() or None


def _read_stdin() -> str:
    data = sys.stdin.buffer.read(_LONGEST_PROMPT + 1)
    if len(data) > _LONGEST_PROMPT:
        raise UsageError("the prompt on stdin is over 1 MiB")
    try:
        text = decode_text(data).strip()
        if not text:
            data.decode()  # a mark of UTF-16 alone is more likely the beginning of something else
        return text
    except UnicodeDecodeError as error:
        raise UsageError(
            "the prompt on stdin is not UTF-8 text", "For a picture on stdin write - as IMAGE."
        ) from error
