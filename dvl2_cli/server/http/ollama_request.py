"""Ollama's request as the engine's."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from PIL.Image import Image

from dvl2_cli.engine.events import Event
from dvl2_cli.engine.request import Message, Sampling
from dvl2_cli.server.http.answer_format import AnswerFormat, any_object, schema_format
from dvl2_cli.server.http.body import stop_strings
from dvl2_cli.server.http.chat_request import MAX_TOKENS
from dvl2_cli.server.http.images import image_of_base64
from dvl2_cli.server.http.ollama_body import (
    OllamaBody,
    OllamaChatBody,
    OllamaGenerateBody,
    OllamaMessage,
    OllamaOptions,
)
from dvl2_cli.server.http.refusals import invalid, unsupported
from dvl2_cli.server.http.service import Service
from dvl2_cli.tasks.ask import ask_events


@dataclass(frozen=True, slots=True)
class OllamaJob:
    """One HTTP request: how it is answered, and in which form."""

    service: Service
    body: OllamaChatBody | OllamaGenerateBody
    form: AnswerFormat

    @classmethod
    def of(cls, service: Service, body: OllamaChatBody | OllamaGenerateBody) -> OllamaJob:
        """The job that ``body`` asks for.

        Raises:
            RefusalError: it asks for what there is not.
        """
        service.check_model(body.model)
        job = cls(service, body, _form(body))
        context = job.options.num_ctx or 1
        if context > service.info.context_length:
            raise invalid(
                f"options.num_ctx: the model's context has {service.info.context_length} tokens",
                "options.num_ctx",
            )
        return job

    @property
    def options(self) -> OllamaOptions:
        """How the answer is written."""
        return self.body.options or OllamaOptions()

    @property
    def stop(self) -> tuple[str, ...]:
        """The strings that end the answer."""
        return stop_strings(self.options.stop)

    def events(self, cancel: threading.Event) -> Iterator[Event]:
        """The answer as it comes.

        Raises:
            RefusalError: a message or a picture is at fault.
            Dvl2Error: the question cannot be answered.
        """
        context = self.service.context(cancel, MAX_TOKENS)
        defaults = dataclasses.replace(
            context.defaults, sampling=self._sampling(context.defaults.sampling)
        )
        request = dataclasses.replace(
            defaults.request(self._messages(), self.form.constraint), stop=self.stop
        )
        if request.constraint is None:
            return ask_events(context, request)
        return context.engine.stream(request, cancel)

    def _sampling(self, sampling: Sampling) -> Sampling:
        options, most = self.options, self.options.num_predict
        given = {
            "temperature": options.temperature,
            "top_p": options.top_p,
            "top_k": options.top_k,
            "repetition_penalty": options.repeat_penalty,
            "seed": options.seed,
            "max_new_tokens": self.service.info.context_length if most and most < 0 else most,
        }
        known = {name: value for name, value in given.items() if value is not None}
        return dataclasses.replace(sampling, **known)  # type: ignore[arg-type]

    def _messages(self) -> tuple[Message, ...]:
        given = self.body.messages
        most = self.service.options.limits.images
        if sum(len(message.images or ()) for message in given) > most:
            raise invalid(f"the conversation has more than {most} pictures", "images")
        if given[-1].role != "user":
            raise unsupported(
                f"a message of the {given[-1].role} at the end", ": end with a user's"
            )
        # Several system messages at the start are one.
        first = next(index for index, message in enumerate(given) if message.role != "system")
        system = "\n\n".join(message.content for message in given[:first])
        turns = [Message("system", system)] if system else []
        for index, message in enumerate(given[first:], first):
            turns.append(self._turn(message, f"messages.{index}"))
        return tuple(turns)

    def _turn(self, message: OllamaMessage, where: str) -> Message:
        if message.role == "system":
            raise invalid(f"{where}: a system message has to be the first", where)
        if message.role == "assistant" and message.images:
            raise invalid(f"{where}: only a user's message may hold a picture", where)
        prefix = "" if isinstance(self.body, OllamaGenerateBody) else f"{where}."
        images: tuple[Image, ...] = tuple(
            image_of_base64(self.service, text, f"{prefix}images.{index}").image
            for index, text in enumerate(message.images or ())
        )
        return Message(message.role, message.content, images)


def _form(body: OllamaBody) -> AnswerFormat:
    if isinstance(body.format, dict):
        return schema_format(body.format, "format")
    return any_object() if body.format == "json" else AnswerFormat()
