"""``dvl2 help``: short texts about one topic each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dvl2_cli import completing

if TYPE_CHECKING:
    from dvl2_cli.topics import Topic

app = typer.Typer(add_completion=False)


@app.command(name="help")
def show_help(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC|COMMAND",
            help="What to explain; all topics if left out.",
            autocompletion=completing.topics,
            show_default=False,
        ),
    ] = None,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Use no colour, as with NO_COLOR=1.")
    ] = False,
) -> None:
    """Explain a topic or a command, or list the topics.

    Of a command it shows the same as --help.

    Examples:
      dvl2 help
      dvl2 help memory
      dvl2 help ocr
    """
    from dvl2_cli.app import COMMANDS
    from dvl2_cli.topics import all_topics

    topics = {found.name: found for found in all_topics()}
    if topic is None:
        _list(list(topics.values()))
    elif topic in topics:
        _show(topics[topic], no_color)
    elif topic in COMMANDS:
        from dvl2_cli.app import app as whole

        whole([topic, "--help"], prog_name="dvl2")
    else:
        _refuse(topic, [*topics, *COMMANDS])


def _list(topics: list[Topic]) -> None:
    width = max(len(topic.name) for topic in topics)
    typer.echo("Topics, each shown by dvl2 help TOPIC:\n")
    for topic in topics:
        typer.echo(f"  {topic.name:<{width}}  {topic.summary}")
    typer.echo("\nThe options of a command: dvl2 COMMAND --help. Every command: dvl2 --help.")


def _show(topic: Topic, no_color: bool) -> None:
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.ui.console import Console
    from dvl2_cli.ui.output import Output

    console = Console(CommonOptions(no_color=no_color))
    if not console.out_is_tty:
        Output().text(topic.text)
        return
    from rich.markdown import Markdown

    console.rich_out().print(Markdown(topic.text, code_theme="ansi_dark"))


def _refuse(word: str, known: list[str]) -> None:
    import difflib

    from dvl2_cli.errors import UsageError

    near = difflib.get_close_matches(word, known, n=1)
    hint = f"Did you mean {near[0]}?" if near else "dvl2 help lists the topics."
    raise UsageError(f"there is no topic {word!r}", hint)
