"""Going on after a kill: which model's answers are kept, where, and asking only for the rest."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvl2_cli.commands.run import Run
from dvl2_cli.engine.events import Confidence, Finished, Usage
from dvl2_cli.engine.request import Request
from dvl2_cli.errors import Dvl2Error, OutputError
from dvl2_cli.journal import Journal, JournalInUseError
from dvl2_cli.results import Model
from dvl2_cli.user_folders import state_folder

if TYPE_CHECKING:
    from dvl2_cli.options import CommonOptions

# Journals of runs that nobody took up again hold what was read: they are not kept for ever.
_KEPT_SECONDS = 30 * 24 * 3600


def model_identity(common: CommonOptions) -> list[object]:
    """What has to be equal for two runs to get the same answers from "the" model."""
    from dvl2_cli.engine.opening import effective_settings
    from dvl2_cli.engine.remote.places import ModelKey
    from dvl2_cli.store.resolve import resolve, spec_from

    settings = effective_settings(common)
    if settings.server is not None:
        return [settings.server, settings.model]
    try:
        folder = resolve(spec_from(settings, common.revision), remember=False).folder
    except Dvl2Error:
        return [settings.model]  # it will be said when the model is needed
    key = ModelKey.of(folder, settings)
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
    journal: Journal, stack: contextlib.ExitStack, run: Run, *, needed: bool = False
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
        run.console.note(f"{error.message}: if this run is killed, it starts over")
        return None
    if journal.resumed:
        run.console.note(f"going on after {journal.resumed} answers of a killed run")
    return journal


class KeptAnswers:
    """Asks the model through ``run``, but for what the journal has; new answers go into it.

    An answer belongs to its whole request, pixels included: after a kill the same questions
    come again in the same order, retries and bands too, and get what they got.
    """

    def __init__(self, run: Run, journal: Journal | None) -> None:
        self._run = run
        self._journal = journal
        self.model: Model | None = None

    def ask(self, request: Request, on_text: Callable[[str], None] | None = None) -> Finished:
        """The answer; ``on_text`` sees a new one as it comes."""
        if self._journal is None:
            answer = self._run.ask(request, on_text)
            self.model = self._run.model
            return answer
        key = request_key(request)
        kept = self._journal.answer(key)
        if kept is not None:
            self.model = Model(**kept["model"])
            return _finished(kept["finished"])
        answer = self._run.ask(request, on_text)
        self.model = Model.of(self._run.engine.info)
        if answer.finish_reason != "cancelled":
            self._keep(key, answer, self.model)
        return answer

    def _keep(self, key: str, answer: Finished, model: Model) -> None:
        assert self._journal is not None  # noqa: S101  asked with one
        asdict = dataclasses.asdict
        try:
            self._journal.keep(key, {"model": asdict(model), "finished": asdict(answer)})
        except OutputError as error:
            self._run.console.note(f"{error.message}: a killed run reads again from here on")
            self._journal = None


def request_key(request: Request) -> str:
    """A hash of everything in ``request`` that decides its answer."""
    digest = hashlib.sha256()
    for message in request.messages:
        digest.update(repr((message.role, message.content, message.places)).encode())
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
    usage, confidence = Usage(**kept.pop("usage")), Confidence(**kept.pop("confidence"))
    return Finished(**kept, usage=usage, confidence=confidence)


def _drop_old(folder: Path) -> None:
    oldest = time.time() - _KEPT_SECONDS
    with contextlib.suppress(OSError):
        for path in folder.glob("*.journal"):
            if path.stat().st_mtime < oldest:
                path.unlink()
