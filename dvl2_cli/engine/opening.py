"""From a session to the engine that answers: a server, the warm process, or this one.

torch is only imported when the model is to run in this process.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dvl2_cli.engine.engine import Engine, ModelInfo
from dvl2_cli.engine.events import Notice
from dvl2_cli.engine.session import Session
from dvl2_cli.urls import without_login

if TYPE_CHECKING:
    from dvl2_cli.engine.local.loading import LoadedModel

# Rows of a step that share most of what they read, where experts are 64 of which each takes 6.
_PARALLEL = 8


def open_engine(session: Session) -> Engine:
    """The engine that the session asks for; its choice is told once.

    In this order: ``--server``, a warm process with the same model settings (with
    ``auto_serve`` one that is started for it), this process.

    Raises:
        UsageError: a setting is wrong.
        ModelError: the model is missing or not what it should be.
        OutOfMemoryError: the model does not fit.
    """
    settings, tell = session.settings, session.tell
    for name in sorted(settings.sources):
        value = getattr(settings, name)
        shown = without_login(value) if name == "server" else value
        tell(Notice(f"{name} is {shown} (from {settings.source(name)})", detail=True))
    engine = _open_elsewhere(session)
    if engine is not None:
        tell(Notice(f"model {engine.info.id} ({engine.info.reason})"))
        return engine
    before = time.monotonic()
    engine = open_local_engine(session)
    info, seconds = engine.info, time.monotonic() - before
    text = (
        f"{info.quant} weights on {info.device} ({info.reason}), context of "
        f"{info.context_length} tokens, opened in {seconds:.1f} s"
    )
    tell(Notice(text, detail=True))
    return engine


def open_lasting_engine(session: Session) -> Engine:
    """As `open_engine`; where a warm process answers that ends, the next one does, or this process.

    A batch outlives a process that is stopped, and a conversation one that was idle too long.
    """
    from dvl2_cli.engine.remote.daemon import DaemonEngine
    from dvl2_cli.engine.remote.fallback import FallbackEngine

    engine = open_engine(session)
    if not isinstance(engine, DaemonEngine):
        return engine
    return FallbackEngine(engine, lambda: open_lasting_engine(session))


def _open_elsewhere(session: Session) -> Engine | None:
    """The server or the warm model; None where neither is to answer."""
    if session.settings.server is not None:
        from dvl2_cli.engine.remote.openai import open_server

        return open_server(session.settings)
    from dvl2_cli.engine.remote.daemon import connect_running
    from dvl2_cli.engine.remote.places import explicit_socket

    # Who names a socket expects it to be used; else it is a detail.
    detail = explicit_socket() is None
    running = connect_running(session, lambda text: session.tell(Notice(text, detail=detail)))
    if running is not None or not session.settings.auto_serve:
        return running
    from dvl2_cli.engine.remote.starting import start_warm

    session.check_packages()
    if not start_warm(session):
        return None
    minutes = f"{session.settings.idle_minutes:g}"
    text = f"the model stays warm until it is idle for {minutes} minutes; dvl2 ps --stop ends it"
    session.tell(Notice(text))
    return connect_running(session)


def _parallel(loaded: LoadedModel, max_memory: str | None) -> int:
    """Requests at once that are answered sooner than one by one."""
    # Sequences that step one by one gain nothing, and pictures in waiting take memory.
    return _PARALLEL if loaded.decoder.batch_invariant and max_memory is None else 1


def open_local_engine(session: Session) -> Engine:
    """Load the model into this process; see ``open_engine``."""
    session.check_packages()
    requested = session.settings.device
    resolved, settings = session.resolved, session.settings
    session.tell(Notice(resolved.describe()))

    from dvl2_cli.engine.local.engine import LocalEngine
    from dvl2_cli.engine.local.kernel_choice import why_slow
    from dvl2_cli.engine.local.loading import load_model
    from dvl2_cli.engine.local.placement import choose_dtype, usable_device

    device = usable_device(requested, packed=resolved.packed)
    if device.instead_of is not None:
        text = (
            f"the {resolved.quant} copy runs on the CPU, not on {device.instead_of}: "
            "it is packed for the CPU"
        )
        session.tell(Notice(text))
    if device.name == "cpu" and (slow := why_slow()) is not None:
        session.tell(Notice(slow))
    loaded = load_model(
        session.checkpoint,
        device=device.name,
        dtype=choose_dtype(device.name, resolved.quant),
        adapter=settings.adapter,
        threads=settings.threads,
        max_memory=settings.max_memory,
        hardware=session.hardware,
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
            parallel=_parallel(loaded, settings.max_memory),
        ),
    )
