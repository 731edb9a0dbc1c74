"""Going on after a kill: which model's answers are kept, where, and asking only for the rest."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvl2_cli.engine.events import (
    Confidence,
    Event,
    Finished,
    LineConfidence,
    PromptCost,
    Usage,
)
from dvl2_cli.engine.request import Request
from dvl2_cli.errors import Dvl2Error, OutputError
from dvl2_cli.journal import Journal, JournalInUseError
from dvl2_cli.results import ModelRecord
from dvl2_cli.user_folders import state_folder

if TYPE_CHECKING:
    from dvl2_cli.engine.engine import Engine, ModelInfo
    from dvl2_cli.engine.session import Session
    from dvl2_cli.ui.console import Console

# Journals of runs that nobody took up again hold what was read: they are not kept for ever.
_KEPT_SECONDS = 30 * 24 * 3600


class JournalWriteError(OutputError):
    """A journal that cannot be written: no picture is at fault, and the next would fail too."""

    fatal = True


def model_identity(session: Session) -> list[object]:
    """What has to be equal for two runs to get the same answers from "the" model."""
    settings = session.settings
    if settings.server is not None:
        return [settings.server, settings.model]
    try:
        key = session.key
    except Dvl2Error:
        return [settings.model]  # it will be said when the model is needed
    return [key.folder, key.fingerprint, key.quant, key.adapter, key.adapter_fingerprint]


def state_journal(kind: str, what: object, fingerprint: str) -> Journal:
    """A journal in the user's state folder for the runs of ``kind`` about ``what``.

    Raises:
        NoHomeError: the user has no such folder.
    """
    digest = hashlib.sha256(repr(what).encode("utf-8", "replace")).hexdigest()[:24]
    folder = state_folder() / kind
    _drop_old(folder)
    return Journal(folder / f"{digest}.journal", fingerprint)


def entered(
    journal: Journal, stack: contextlib.ExitStack, console: Console, *, needed: bool = False
) -> Journal | None:
    """``journal``, in use until ``stack`` ends; None where it cannot be written.

    Raises:
        JournalInUseError: another run has it.
        OutputError: it cannot be written, and it is ``needed``.
    """
    try:
        stack.enter_context(journal)
    except OutputError as error:
        if needed or isinstance(error, JournalInUseError):
            raise
        console.note(f"{error.message}: if this run is killed, it starts over")
        return None
    if journal.resumed:
        console.note(f"going on after {journal.resumed} answers of a killed run")
    return journal


class JournaledEngine:
    """Implements `Engine`: asks ``engine``, but for what the journal has; new answers go into it.

    An answer belongs to its whole request, pixels included: after a kill the same questions
    come again in the same order, retries too, and get what they got.

    Args:
        engine: is asked for the rest.
        journal: entered.
        give_up: is told why the journal cannot be written, and the run goes on without it; None
            makes that a JournalWriteError.
    """

    def __init__(
        self, engine: Engine, journal: Journal, give_up: Callable[[str], None] | None = None
    ) -> None:
        self._engine, self._journal, self._give_up = engine, journal, give_up
        self._writable = True

    @property
    def info(self) -> ModelInfo:
        """The model that is asked."""
        return self._engine.info

    def cost(self, request: Request) -> PromptCost:
        """As `Engine.cost`."""
        return self._engine.cost(request)

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        """As `Engine.stream`; a kept answer is a Finished alone."""
        kept = self._kept(request)
        if kept is not None:
            yield kept
            return
        for event in self._engine.stream(request, cancel):
            if isinstance(event, Finished):
                self._keep(request, event)
            yield event

    def answer_batch(self, requests: Sequence[Request]) -> list[Finished]:
        """As `Engine.answer_batch`; those that are not kept are asked together."""
        kept = [self._kept(request) for request in requests]
        missing = [item for item, answer in zip(requests, kept, strict=True) if answer is None]
        fresh = self._engine.answer_batch(missing) if missing else []
        for request, answer in zip(missing, fresh, strict=True):
            self._keep(request, answer)
        rest = iter(fresh)
        return [next(rest) if answer is None else answer for answer in kept]

    def close(self) -> None:
        """Close the engine that was wrapped."""
        self._engine.close()

    def _kept(self, request: Request) -> Finished | None:
        found = self._journal.answer(request_key(request))
        return None if found is None else _finished(found["finished"])

    def _keep(self, request: Request, answer: Finished) -> None:
        if answer.finish_reason == "cancelled" or not self._writable:
            return
        kept = {
            "model": dataclasses.asdict(ModelRecord.of(self._engine.info)),
            "finished": dataclasses.asdict(answer),
        }
        try:
            self._journal.keep(request_key(request), kept)
        except OutputError as error:
            if self._give_up is None:
                raise JournalWriteError(error.message, error.hint) from error
            self._give_up(f"{error.message}: a killed run reads again from here on")
            self._writable = False


def request_key(request: Request) -> str:
    """A hash of everything in ``request`` that decides its answer."""
    digest = hashlib.sha256()
    for message in request.messages:
        digest.update(
            repr((message.role, message.content, message.places, message.literal)).encode()
        )
        for image in message.images:
            digest.update(repr((image.mode, image.size)).encode())
            digest.update(image.tobytes())
    digest.update(repr(dataclasses.replace(request, messages=())).encode())
    return digest.hexdigest()


def fingerprint(*what: object) -> str:
    """A hash of what runs must share to use each other's answers."""
    text = json.dumps(what, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _finished(kept: dict[str, Any]) -> Finished:
    confidence = kept.pop("confidence")
    lines = tuple(LineConfidence(**line) for line in confidence.pop("lines", ()))
    usage, confidence = Usage(**kept.pop("usage")), Confidence(**confidence, lines=lines)
    return Finished(**kept, usage=usage, confidence=confidence)


def _drop_old(folder: Path) -> None:
    oldest = time.time() - _KEPT_SECONDS
    with contextlib.suppress(OSError):
        for path in folder.glob("*.journal"):
            if path.stat().st_mtime < oldest:
                path.unlink()
