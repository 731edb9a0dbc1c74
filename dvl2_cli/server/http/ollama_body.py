"""The bodies of ``/api/chat`` and ``/api/generate``: what is understood of Ollama's requests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dvl2_cli.server.http.body import JsonBody
from dvl2_cli.server.http.chat_body import Nothing

Empty = Annotated[list[Any], Field(max_length=0)] | None


class OllamaOptions(JsonBody):
    """How an answer is written.

    ``num_predict`` below 0 is as much as the context holds. ``num_ctx`` is a context that is
    enough; the server's is always as large as the model's.
    """

    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    repeat_penalty: Annotated[float, Field(gt=0, le=100)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    num_predict: Annotated[int, Field(ge=-2, le=10**6)] | None = None
    num_ctx: Annotated[int, Field(ge=1)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None


class OllamaMessage(JsonBody):
    """One turn; ``images`` are base64, and belong before its words."""

    role: Literal["system", "user", "assistant"]
    content: str = ""
    images: list[str] | None = None
    thinking: Annotated[str, Field(max_length=0)] | None = None
    tool_calls: Empty = None


class OllamaBody(JsonBody):
    """What both requests take.

    ``format`` is "json" or a JSON Schema. ``keep_alive`` changes nothing: the model stays loaded.
    The members after it may only have the values that ask for nothing.
    """

    model: Annotated[str, Field(min_length=1)]
    stream: bool | None = None
    format: Literal["", "json"] | dict[str, Any] | None = None
    options: OllamaOptions | None = None
    keep_alive: float | str | None = None
    think: Literal[False] | None = None
    logprobs: Literal[False] | None = None
    top_logprobs: Nothing = None


class OllamaChatBody(OllamaBody):
    """A conversation; without messages it asks whether the model is loaded."""

    messages: Annotated[list[OllamaMessage], Field(default_factory=list, max_length=4096)]
    tools: Empty = None


class OllamaGenerateBody(OllamaBody):
    """A question by itself; without prompt and images it asks whether the model is loaded."""

    prompt: str = ""
    system: str | None = None
    images: list[str] | None = None
    raw: Literal[False] | None = None
    suffix: Annotated[str, Field(max_length=0)] | None = None
    template: Annotated[str, Field(max_length=0)] | None = None
    context: Empty = None

    @property
    def messages(self) -> list[OllamaMessage]:
        """The same as a conversation."""
        if not self.prompt and not self.images:
            return []
        system = [OllamaMessage(role="system", content=self.system)] if self.system else []
        return [*system, OllamaMessage(role="user", content=self.prompt, images=self.images)]
