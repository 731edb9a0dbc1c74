"""``dvl2 ps``: the models that are kept warm."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from dvl2_cli.ui.output import Output

if TYPE_CHECKING:
    from dvl2_cli.engine.remote.wire import SlowError
    from dvl2_cli.results.models import Server

app = typer.Typer(add_completion=False)

_HEADINGS = ("model", "quant", "device", "memory", "requests", "up", "stops in", "pid")
_STOP_SECONDS = 15.0


@app.command()
def ps(
    stop: Annotated[bool, typer.Option("--stop", help="Stop every warm model.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the warm models: their memory, their requests, and when they stop.

    `dvl2 serve` keeps a model warm for the commands that follow.

    Examples:
      dvl2 ps
      dvl2 ps --stop
    """
    from dvl2_cli.engine.remote.places import all_sockets, explicit_socket
    from dvl2_cli.results.models import PsRow, PsStopRow

    named = explicit_socket()
    running, silent = _asked([*all_sockets(), *([named] if named else [])])
    if stop:
        _stop(list(running))
        if json:
            Output().json(PsStopRow(list(running)).as_json())
        elif running or not silent:
            _say_stopped(len(running))
    elif json:
        rows = [{"socket": str(path), **status} for path, status in running.items()]
        Output().json(PsRow(cast("list[Server]", rows)).as_json())
    elif running:
        _print_table([_row(status) for status in running.values()])
    elif not silent:
        typer.echo("no model is kept warm; start one: dvl2 serve --socket", err=True)
    for error in silent[1:]:
        typer.echo(f"dvl2: {error.message}", err=True)
    if silent:
        raise silent[0]


def _asked(paths: list[Path]) -> tuple[dict[Path, dict[str, Any]], list[SlowError]]:
    """What every server says of itself, and those that do not answer."""
    from dvl2_cli.engine.remote.daemon import daemon_status
    from dvl2_cli.engine.remote.wire import SlowError

    running: dict[Path, dict[str, Any]] = {}
    silent = []
    for path in paths:
        try:
            status = daemon_status(path)
        except SlowError as error:
            silent.append(error)
        else:
            if status is not None:
                running[path] = status
    return running, silent


def _stop(paths: list[Path]) -> None:
    from dvl2_cli.engine.remote.daemon import daemon_status, stop_daemon
    from dvl2_cli.errors import ModelError

    for path in paths:
        stop_daemon(path)
    deadline = time.monotonic() + _STOP_SECONDS
    while (left := [path for path in paths if path.exists() and daemon_status(path)]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.05)
    if left:
        raise ModelError(f"the model server at {left[0]} is still busy", "It stops when done.")


def _say_stopped(count: int) -> None:
    stopped = f"stopped {count} warm model{'s' if count > 1 else ''}"
    typer.echo(f"dvl2: {stopped if count else 'no model is kept warm'}", err=True)


def _row(status: dict[str, Any]) -> tuple[str, ...]:
    from dvl2_cli.ui.control import printable

    info = status["info"]
    left = max(status["stops_after_seconds"] - status["idle_seconds"], 0)
    cells = (
        info["id"],
        info["quant"],
        info["device"],
        f"{status['resident_bytes'] / 2**20:,.0f} MiB",
        status["requests"],
        _duration(status["uptime_seconds"]),
        _duration(left),
        status["pid"],
    )
    return tuple(printable(str(cell)) for cell in cells)


def _print_table(rows: list[tuple[str, ...]]) -> None:
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.ui.console import Console
    from dvl2_cli.ui.tables import print_table

    print_table(Console(CommonOptions()).rich_out(), _HEADINGS, rows)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
