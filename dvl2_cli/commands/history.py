"""``dvl2 history``: list, show, search and delete the kept sessions."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dvl2_cli.errors import CancelledError, UsageError
from dvl2_cli.results.records import DeletedRow, SessionRow, TurnRow

if TYPE_CHECKING:
    from dvl2_cli.history.store import History, Hit, SessionSummary
    from dvl2_cli.ui.output import Output

app = typer.Typer(add_completion=False)

_LONGEST_TITLE = 60


class HistoryAction(StrEnum):
    """What to do with the sessions."""

    list = "list"
    show = "show"
    search = "search"
    delete = "delete"


@app.command()
def history(
    action: Annotated[
        HistoryAction, typer.Argument(metavar="ACTION", help="What to do.")
    ] = HistoryAction.list,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID|WORD", help="Sessions, or words to search."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete every session.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="List at most N.")] = 50,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete all without asking.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List, show, search and delete the sessions that chat has kept.

    The start of an id is enough. To keep none: `dvl2 config set history false`.

    Examples:
      dvl2 history
      dvl2 history search invoice
      dvl2 history delete 3f2a
      dvl2 chat -c
    """
    from dvl2_cli.history.store import History
    from dvl2_cli.ui.output import Output

    given = words or []
    if action is HistoryAction.delete and bool(given) == everything:
        raise UsageError("say which sessions to delete", "dvl2 history delete ID..., or --all.")
    if action in (HistoryAction.show, HistoryAction.search) and not given:
        wanted = "ID" if action is HistoryAction.show else "WORD"
        raise UsageError(f"history {action} needs more", f"dvl2 history {action} {wanted}")
    output = Output()
    with History() as kept:
        if action is HistoryAction.list:
            _list(kept.summaries(limit), output, json=json)
        elif action is HistoryAction.search:
            _hits(kept.search(" ".join(given), limit), output, json=json)
        elif action is HistoryAction.show:
            for session_id in given:
                _show(kept, session_id, output, json=json)
        else:
            if everything and not yes:
                _ask(len(kept.summaries()))
            gone = _delete(kept, given)
            if json:
                output.json(DeletedRow(gone).as_json())
            elif everything:
                print(f"dvl2: deleted {len(gone)} sessions", file=sys.stderr)


def _ask(count: int) -> None:
    """Let a person at a terminal confirm; a script has said --all and means it."""
    if not sys.stdin.isatty():
        return
    if not typer.confirm(f"Delete all {_counted(count, 'session')}?", err=True):
        raise CancelledError("nothing was deleted")


def _delete(kept: History, given: list[str]) -> list[str]:
    """Delete the sessions that ``given`` names, or all if it names none; the whole ids."""
    if not given:
        return kept.delete_all()
    # All are looked for before any goes.
    found = list(dict.fromkeys(kept.find(session_id) for session_id in given))
    for session_id in found:
        kept.delete(session_id)
    return found


def _list(summaries: list[SessionSummary], output: Output, *, json: bool) -> None:
    for summary in summaries:
        if json:
            output.json(summary.as_json())
        else:
            questions = summary.turns // 2
            output.line(
                f"{summary.id}  {_local(summary.updated)}  {_counted(questions, 'question'):>13}  "
                f"{_counted(summary.images, 'image'):>9}  {_title(summary.title)}"
            )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _hits(hits: list[Hit], output: Output, *, json: bool) -> None:
    colour = output.is_tty and not os.environ.get("NO_COLOR")
    for hit in hits:
        plain = hit.excerpt.replace("\x01", "").replace("\x02", "")
        if json:
            output.json(replace(hit, excerpt=plain).as_json())
            continue
        head = f"{hit.session}  {_local(hit.updated)}  {hit.role}: "
        if not colour:
            output.line(head + " ".join(plain.split()))
            continue
        from rich.console import Console
        from rich.text import Text

        Console(highlight=False).print(Text(head) + _marked(hit.excerpt), soft_wrap=True)


def _marked(excerpt: str) -> Any:
    from rich.text import Text

    from dvl2_cli.ui.control import printable

    text = Text()
    for index, piece in enumerate(excerpt.split("\x01")):
        found, _, rest = piece.partition("\x02") if index else ("", "", piece)
        text.append(printable(found).replace("\n", " "), "bold")
        text.append(printable(rest).replace("\n", " "))
    return text


def _show(kept: History, session_id: str, output: Output, *, json: bool) -> None:
    session = kept.load(session_id)
    if json:
        turns = [
            TurnRow(turn.role, turn.text, turn.finish_reason, [p.path for p in turn.pictures])
            for turn in session.turns
        ]
        output.json(SessionRow(session.id or session_id, session.system, turns).as_json())
        return
    output.line(f"session {session.id}")
    if session.system:
        output.line(f"system: {session.system}")
    for turn in session.turns:
        for picture in turn.pictures:
            output.line(f"image: {picture.path} ({picture.width} x {picture.height})")
        output.line(f">>> {turn.text}" if turn.role == "user" else f"{turn.text}\n")


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TITLE else line[: _LONGEST_TITLE - 1] + "…"


def _local(moment: str) -> str:
    from datetime import datetime

    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
