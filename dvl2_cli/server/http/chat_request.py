"""OpenAI's request as the engine's requests."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from dvl2_cli.engine.events import Event
from dvl2_cli.engine.request import Request, RequestDefaults, Sampling
from dvl2_cli.server.http.answer_format import AnswerFormat, format_of
from dvl2_cli.server.http.body import stop_strings
from dvl2_cli.server.http.chat_body import ChatBody
from dvl2_cli.server.http.chat_turns import turns_of, with_literal
from dvl2_cli.server.http.refusals import invalid
from dvl2_cli.server.http.service import Service
from dvl2_cli.tasks.ask import ask_events

MAX_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """An event of the answer number ``index``."""

    index: int
    event: Event


@dataclass(frozen=True, slots=True)
class ChatJob:
    """One HTTP request: how it is answered, and in which form."""

    service: Service
    body: ChatBody
    form: AnswerFormat

    @classmethod
    def of(cls, service: Service, body: ChatBody) -> ChatJob:
        """The job that ``body`` asks for.

        Raises:
            RefusalError: it asks for what there is not.
        """
        service.check_model(body.model)
        return cls(service, body, format_of(body))

    @property
    def stop(self) -> tuple[str, ...]:
        """The strings that end an answer."""
        return stop_strings(self.body.stop)

    def pieces(self, cancel: threading.Event) -> Iterator[Piece]:
        """The events of each answer, one answer after the other.

        Raises:
            RefusalError: a message or a picture is at fault.
            Dvl2Error: the question cannot be answered.
        """
        context = self.service.context(cancel, MAX_TOKENS)
        request = self._request(context.defaults)
        plain = self.body.dvl2 is None and request.constraint is None and not self.body.logprobs
        for index in range(self.body.n or 1):
            asked = _with_seed(request, index)
            events = ask_events(context, asked) if plain else context.engine.stream(asked, cancel)
            for event in events:
                yield Piece(index, event)
            if cancel.is_set():
                return

    def _request(self, defaults: RequestDefaults) -> Request:
        extras = self.body.dvl2
        conversation = turns_of(
            self.service, self.body.messages, None if extras is None else extras.places
        )
        tiles = conversation.tiles
        messages = conversation.messages
        if extras is not None and extras.literal is not None:
            messages = with_literal(messages, extras.literal)
        request = Request(
            tuple(messages),
            self._sampling(defaults.sampling),
            self.form.constraint,
            defaults.tiles if tiles is None else tiles,
            defaults.zoom,
            self.stop,
        )
        if extras is None:
            return request
        return dataclasses.replace(
            request,
            tiles=extras.tiles,
            zoom=extras.zoom,
            max_lines=extras.max_lines,
            loop_guard=extras.loop_guard,
        )

    def _sampling(self, sampling: Sampling) -> Sampling:
        body = self.body
        if body.max_tokens and body.max_completion_tokens not in (None, body.max_tokens):
            raise invalid("max_tokens and max_completion_tokens differ", "max_tokens")
        given = {
            "temperature": body.temperature,
            "top_p": body.top_p,
            "seed": body.seed,
            "max_new_tokens": body.max_completion_tokens or body.max_tokens,
            "top_k": body.dvl2.top_k if body.dvl2 else None,
            "repetition_penalty": body.dvl2.repetition_penalty if body.dvl2 else None,
        }
        known = {name: value for name, value in given.items() if value is not None}
        return dataclasses.replace(sampling, **known)  # type: ignore[arg-type]


def _with_seed(request: Request, index: int) -> Request:
    """``request`` for the answer number ``index``: other words, where they are sampled."""
    seed = request.sampling.seed
    if seed is None or index == 0:
        return request
    return dataclasses.replace(
        request, sampling=dataclasses.replace(request.sampling, seed=seed + index)
    )
