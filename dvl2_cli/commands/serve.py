"""``dvl2 serve``: keep a model warm for the commands that follow."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dvl2_cli.commands.serve_http import HttpFlags, serve_http
from dvl2_cli.errors import UsageError
from dvl2_cli.options import ANSWERING, CommonOptions, with_common_options

if TYPE_CHECKING:
    from dvl2_cli.engine.engine import ModelInfo
    from dvl2_cli.engine.session import Session
    from dvl2_cli.ui.console import Console

_HTTP = "HTTP server"

app = typer.Typer(add_completion=False)


@app.command()
@with_common_options(without=ANSWERING)
def serve(
    socket: Annotated[
        bool, typer.Option("--socket", help="Listen on a unix socket (the default).")
    ] = False,
    at: Annotated[
        Path | None,
        typer.Option("--at", help="Path of the socket; others find it by DVL2_SOCKET."),
    ] = None,
    idle_minutes: Annotated[
        float | None,
        typer.Option("--idle-minutes", min=0.01, help="Stop after so long without a request."),
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(
            "--http",
            metavar="[HOST:]PORT",
            help="Answer OpenAI's requests; on 127.0.0.1 without a HOST.",
            rich_help_panel=_HTTP,
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            "--api-key-file", help="Keys that clients show, one a line.", rich_help_panel=_HTTP
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="A name that clients know it by.", rich_help_panel=_HTTP),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-origin",
            help="Web pages that may ask, as https://example.org.",
            rich_help_panel=_HTTP,
        ),
    ] = None,
    allow_urls: Annotated[
        bool,
        typer.Option(
            "--allow-urls", help="Fetch pictures from public URLs.", rich_help_panel=_HTTP
        ),
    ] = False,
    queue: Annotated[
        int,
        typer.Option(
            "--queue",
            min=1,
            max=4096,
            help="Requests that may be answered or wait; others are told to come again.",
            rich_help_panel=_HTTP,
        ),
    ] = 64,
    max_body: Annotated[
        str, typer.Option("--max-body", help="Largest request.", rich_help_panel=_HTTP)
    ] = "64MiB",
    *,
    common: CommonOptions,
) -> None:
    """Keep a model warm.

    dvl2 commands with the same model settings then answer through it and start in
    milliseconds. It stops by itself when idle; `dvl2 ps` shows it, and with --stop ends it.

    With --http it answers other programs over HTTP, until it is told to end.

    Examples:
      dvl2 serve &
      dvl2 serve -m tiny --idle-minutes 60
      dvl2 serve --http 8000
    """
    from dataclasses import replace

    from dvl2_cli.engine.session import Session
    from dvl2_cli.ui.console import Console

    console = Console(common)
    session = Session(common, console.tell)
    given = (api_key_file, allow_host, allow_origin, allow_urls)
    flags = HttpFlags(
        http or "", api_key_file, tuple(allow_host or ()), tuple(allow_origin or ()),
        allow_urls, queue, max_body,
    )  # fmt: skip
    if http is not None:
        if socket or at is not None or idle_minutes is not None:
            raise UsageError("--http does not go with --socket, --at or --idle-minutes")
        serve_http(session, common, flags)
        return
    if any(given):
        raise UsageError("options of the HTTP server were given without --http")
    if idle_minutes is not None:
        session.settings = replace(session.settings, idle_minutes=idle_minutes)
    _serve_socket(session, common, at, console)


def _serve_socket(
    session: Session, common: CommonOptions, at: Path | None, console: Console
) -> None:
    from dvl2_cli.engine.opening import open_local_engine
    from dvl2_cli.engine.remote.places import explicit_socket, socket_path
    from dvl2_cli.server.daemon import Daemon, claim

    settings, key = session.settings, session.key
    path = at or explicit_socket() or socket_path(key)
    with claim(path):  # before the model is loaded: another may already have it
        with console.busy("loading the model"):
            engine = open_local_engine(session)
        daemon = Daemon(engine, key, path, idle_seconds=settings.idle_minutes * 60)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: daemon.stop())

        def ready() -> None:
            if common.json:
                _print_ready(engine.info, path)
            if not common.quiet:
                minutes = f"{settings.idle_minutes:g}"
                print(f"dvl2: warm at {path}; stops after {minutes} idle minutes", file=sys.stderr)

        daemon.run(ready)


def _print_ready(info: ModelInfo, path: Path) -> None:
    from dvl2_cli.results.models import ServeRow, WarmModel
    from dvl2_cli.ui.output import Output

    model = WarmModel(info.id, info.revision, info.quant, info.device)
    Output().json(ServeRow(str(path), os.getpid(), model).as_json())
