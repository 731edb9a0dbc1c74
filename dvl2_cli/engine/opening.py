"""From the shared options to the engine that answers: a server, the warm daemon, or local.

torch is only imported when the model is to run in this process.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from dvl2_cli.engine.engine import Engine, ModelInfo
from dvl2_cli.engine.request import MAX_ZOOM, MIN_ZOOM, Sampling
from dvl2_cli.errors import UsageError
from dvl2_cli.settings import Settings, load_settings, with_flags

if TYPE_CHECKING:
    from dvl2_cli.engine.request import Tiles, Zoom
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.ui.console import Console

DEVICES = ("auto", "cpu", "cuda", "mps")


def effective_settings(common: CommonOptions) -> Settings:
    """The settings with the command line's flags laid over them.

    Raises:
        UsageError: a value is not what its setting takes.
    """
    return with_flags(load_settings(), common)


def open_engine(common: CommonOptions) -> Engine:
    """The engine that the options and settings ask for; its choice is shown on stderr once.

    In this order: ``--server``, a warm daemon with the same model settings, this process.

    Raises:
        UsageError: a setting is wrong.
        ModelError: the model is missing or not what it should be.
        OutOfMemoryError: the model does not fit.
    """
    from dvl2_cli.engine.remote.http import shown_url
    from dvl2_cli.ui.console import Console

    settings = effective_settings(common)
    console = Console(common)
    for name in sorted(settings.sources):
        value = getattr(settings, name)
        shown = shown_url(value) if name == "server" else value
        console.detail(f"{name} is {shown} (from {settings.source(name)})")
    engine = _open_elsewhere(settings, common.revision, console)
    if engine is not None:
        console.note(f"model {engine.info.id} ({engine.info.reason})")
        return engine
    before = time.monotonic()
    engine = open_local_engine(settings, common.revision, quiet=common.quiet)
    info = engine.info
    console.detail(
        f"{info.quant} weights on {info.device} ({info.reason}), context of "
        f"{info.context_length} tokens, opened in {time.monotonic() - before:.1f} s"
    )
    return engine


def _open_elsewhere(settings: Settings, revision: str | None, console: Console) -> Engine | None:
    """The server or the warm model; None where neither is to answer."""
    if settings.server is not None:
        from dvl2_cli.engine.remote.openai import open_server

        return open_server(settings)
    from dvl2_cli.engine.remote.daemon import connect_running
    from dvl2_cli.engine.remote.places import explicit_socket

    # Who names a socket expects it to be used; else it is a detail.
    explain = console.detail if explicit_socket() is None else console.note
    return connect_running(settings, revision, explain)


def open_local_engine(
    settings: Settings, revision: str | None = None, *, quiet: bool = False
) -> Engine:
    """Load the model into this process; see ``open_engine``."""
    from dvl2_cli.store.resolve import announce, resolve, spec_from

    device_wish = checked_device(settings.device)
    resolved = resolve(spec_from(settings, revision))
    if not quiet:
        announce(resolved)

    from dvl2_cli.engine.local.engine import LocalEngine
    from dvl2_cli.engine.local.loading import load_model
    from dvl2_cli.engine.local.placement import choose_device, choose_dtype

    device = choose_device(device_wish, packed=resolved.packed)
    if device.instead_of is not None and not quiet:
        print(
            f"dvl2: the {resolved.quant} copy runs on the CPU, not on {device.instead_of}: "
            "it is packed for the CPU",
            file=sys.stderr,
        )
    loaded = load_model(
        resolved.folder,
        device=device.name,
        dtype=choose_dtype(device.name, resolved.quant),
        adapter=settings.adapter,
        threads=settings.threads,
        max_memory=settings.max_memory,
    )
    return LocalEngine(
        loaded,
        ModelInfo(
            id=resolved.id,
            revision=resolved.revision,
            quant=resolved.quant,
            device=device.name,
            context_length=loaded.context_length,
            is_nano=resolved.is_nano,
            reason=f"{resolved.reason}; {device.reason}",
            policy=loaded.policy,
        ),
    )


def sampling_of(settings: Settings, *, max_tokens: int) -> Sampling:
    """How to choose tokens; ``max_tokens`` is the command's own default."""
    return Sampling(
        temperature=0.0 if settings.temperature is None else settings.temperature,
        top_p=1.0 if settings.top_p is None else settings.top_p,
        seed=settings.seed,
        max_new_tokens=settings.max_tokens or max_tokens,
    )


def tiles_of(settings: Settings) -> Tiles:
    """The tile budget as a request takes it.

    Raises:
        UsageError: neither a whole number of tiles nor "auto".
    """
    if settings.tiles is None or settings.tiles == "auto":
        return None if settings.tiles is None else "auto"
    if not settings.tiles.isdecimal():
        raise UsageError(
            f"--tiles is {settings.tiles!r}", "Give a whole number of tiles, 0 to 9, or auto."
        )
    return int(settings.tiles)


def zoom_of(settings: Settings) -> Zoom:
    """The zoom as a request takes it.

    Raises:
        UsageError: neither a number within the limits nor "auto".
    """
    if settings.zoom is None or settings.zoom == "auto":
        return None if settings.zoom is None else "auto"
    try:
        zoom = float(settings.zoom)
    except ValueError:
        zoom = 0.0
    if not MIN_ZOOM <= zoom <= MAX_ZOOM:
        raise UsageError(
            f"--zoom is {settings.zoom!r}",
            f"Give a number from {MIN_ZOOM:g} to {MAX_ZOOM:g}, or auto; 1 is as the picture is.",
        )
    return zoom


def checked_device(device: str) -> str:
    """``device`` if it is the name of one.

    Raises:
        UsageError: it is none.
    """
    if device.split(":")[0] not in DEVICES:
        raise UsageError(f"--device is {device!r}", f"Use one of {', '.join(DEVICES)}, or cuda:N.")
    return device
