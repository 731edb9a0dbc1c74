"""The answer to Ollama's request, whole or in pieces."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from dvl2_cli.engine.events import Event, Finished, Started
from dvl2_cli.server.http.chat_answer import REASONS
from dvl2_cli.server.http.ollama_request import OllamaJob
from dvl2_cli.server.http.visible import VisibleText
from dvl2_cli.server.http.when import utc_text


class OllamaAnswer(ABC):
    """One answer while it comes; subclasses say where its text stands."""

    def __init__(self, job: OllamaJob) -> None:
        self._job = job
        self._visible = VisibleText(job.stop)
        self._asked = time.monotonic_ns()
        self._finished: Finished | None = None

    @abstractmethod
    def text_member(self, text: str) -> dict[str, Any]:
        """The member of an object that holds ``text``."""

    def take(self, event: Event) -> str:
        """What can be shown after ``event``."""
        if isinstance(event, Started):
            return ""
        if isinstance(event, Finished):
            self._finished = event
            return self._visible.finish(event.text)
        return self._visible.feed(event.text)

    def chunks(self, event: Event) -> Iterator[dict[str, Any]]:
        """What a stream says of ``event``."""
        text = self.take(event)
        if text:
            yield {**self._head(), **self.text_member(text), "done": False}
        if self._finished is not None:
            yield {**self._head(), **self.text_member(""), **self._end(self._finished)}

    def whole(self) -> dict[str, Any]:
        """The answer in one object."""
        assert self._finished is not None  # noqa: S101
        text = self.text_member(self._finished.text)
        return {**self._head(), **text, **self._end(self._finished)}

    def loaded(self) -> dict[str, Any]:
        """The answer to who asks nothing: the model is loaded."""
        return {**self._head(), **self.text_member(""), "done": True, "done_reason": "load"}

    def _head(self) -> dict[str, Any]:
        return {"model": self._job.body.model, "created_at": utc_text(time.time())}

    def _end(self, finished: Finished) -> dict[str, Any]:
        """Why it ended, tokens, and times in nanoseconds; ``dvl2`` is beyond Ollama's form."""
        usage = finished.usage
        return {
            "done": True,
            "done_reason": REASONS[finished.finish_reason],
            "total_duration": time.monotonic_ns() - self._asked,
            "load_duration": 0,  # it was loaded before
            "prompt_eval_count": usage.prompt_tokens,
            "prompt_eval_duration": round(usage.prefill_seconds * 1e9),
            "eval_count": usage.completion_tokens,
            "eval_duration": round(usage.decode_seconds * 1e9),
            "dvl2": {
                "finish_reason": finished.finish_reason,
                "warnings": self._job.form.warnings(finished),
            },
        }


class OllamaChatAnswer(OllamaAnswer):
    """Of ``/api/chat``."""

    def text_member(self, text: str) -> dict[str, Any]:
        """A message."""
        return {"message": {"role": "assistant", "content": text}}


class OllamaGenerateAnswer(OllamaAnswer):
    """Of ``/api/generate``."""

    def text_member(self, text: str) -> dict[str, Any]:
        """The text itself."""
        return {"response": text}
