"""The work of ``dvl2 serve --http``: check what was asked for, load the model, serve."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dvl2_cli.errors import UsageError
from dvl2_cli.packages import install_command

if TYPE_CHECKING:
    from dvl2_cli.engine.engine import ModelInfo
    from dvl2_cli.engine.session import Session
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.server.http.options import HttpOptions
    from dvl2_cli.server.http.running import HttpServer

_PACKAGES = {
    "starlette": "starlette",
    "uvicorn": "uvicorn",
    "sse_starlette": "sse-starlette",
    "prometheus_client": "prometheus-client",
    "python_multipart": "python-multipart",
    "pydantic": "pydantic",
}


@dataclass(frozen=True, slots=True)
class HttpFlags:
    """The options of ``--http`` as they were given."""

    http: str
    api_key_file: Path | None = None
    allow_host: tuple[str, ...] = ()
    allow_origin: tuple[str, ...] = ()
    allow_urls: bool = False
    queue: int = 64
    max_body: str = "64MiB"

    def options(self) -> HttpOptions:
        """The same, checked.

        Raises:
            UsageError: something is not what it takes.
        """
        from dvl2_cli.server.http.options import (
            ApiKeys,
            HttpLimits,
            HttpOptions,
            parse_address,
            read_keys,
        )
        from dvl2_cli.sizes import parse_size

        keys = ApiKeys([]) if self.api_key_file is None else read_keys(self.api_key_file)
        options = HttpOptions(
            parse_address(self.http),
            keys,
            self.allow_host,
            self.allow_origin,
            self.allow_urls,
            HttpLimits(body_bytes=parse_size(self.max_body), queue=self.queue),
        )
        options.check()
        return options


def serve_http(session: Session, common: CommonOptions, flags: HttpFlags) -> None:
    """Serve over HTTP until a signal ends it.

    Raises:
        UsageError: a package is missing, or something is not what it takes.
        ModelError: the model cannot be loaded.
    """
    _check_packages()
    options = flags.options()
    from dvl2_cli.engine.opening import open_local_engine
    from dvl2_cli.inputs.load import Reading
    from dvl2_cli.server.http.running import HttpServer
    from dvl2_cli.server.http.service import Service

    session.defaults(max_tokens=1)  # refuses wrong settings at once
    _ = session.resolved  # a model that is not there is no reason to listen
    reading = Reading(limits=options.limits.inputs, offline=session.settings.offline)
    service = Service(
        options,
        lambda max_tokens: session.defaults(max_tokens=max_tokens),
        reading.within(session.picture_memory),
        session.settings.model,
    )
    server = HttpServer(service, lambda: open_local_engine(session))
    server.run(lambda: _say_ready(service.info, server, common))


def _say_ready(info: ModelInfo, server: HttpServer, common: CommonOptions) -> None:
    if common.json:
        from dvl2_cli.results.models import ServeRow, WarmModel
        from dvl2_cli.ui.output import Output

        model = WarmModel(info.id, info.revision, info.quant, info.device)
        Output().json(ServeRow(server.address.url, os.getpid(), model).as_json())
    if not common.quiet:
        print(f"dvl2: serving {server.address.url}; Ctrl-C ends it", file=sys.stderr)


def _check_packages() -> None:
    missing = [
        package for module, package in _PACKAGES.items() if not importlib.util.find_spec(module)
    ]
    if missing:
        raise UsageError(
            f"--http needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            "not installed",
            f"Install what it needs: {install_command('server')}",
        )
