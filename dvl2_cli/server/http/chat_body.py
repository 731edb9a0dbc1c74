"""The body of ``/v1/chat/completions``: what is understood of OpenAI's request."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dvl2_cli.server.http.body import JsonBody

Count = Annotated[int, Field(ge=1, le=10**6)]
# What must have one value, because dvl2 does nothing with another.
Nothing = Annotated[float, Field(ge=0, le=0)] | None


class TextPart(JsonBody):
    """Words."""

    type: Literal["text"]
    text: str


class ImageUrl(JsonBody):
    """Where a picture is; ``detail`` low shows the thumbnail alone."""

    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(JsonBody):
    """A picture."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class CalledFunction(JsonBody):
    """The function that an earlier answer called."""

    name: str
    arguments: str


class ToolCall(JsonBody):
    """A call in an earlier answer."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(JsonBody):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: None = None


class NamedSchema(JsonBody):
    """A JSON Schema for the answer."""

    name: str
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    description: str | None = None
    strict: bool | None = None


class TextFormat(JsonBody):
    """Free text."""

    type: Literal["text"]


class JsonObjectFormat(JsonBody):
    """Any JSON object."""

    type: Literal["json_object"]


class JsonSchemaFormat(JsonBody):
    """JSON that follows a schema."""

    type: Literal["json_schema"]
    json_schema: NamedSchema


class ToolFunction(JsonBody):
    """A function that the answer may call."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(JsonBody):
    """A tool; only functions are."""

    type: Literal["function"]
    function: ToolFunction


class ChosenFunction(JsonBody):
    """The name of a function."""

    name: str


class ChosenTool(JsonBody):
    """The tool that the answer has to call."""

    type: Literal["function"]
    function: ChosenFunction


class StreamOptions(JsonBody):
    """What a stream holds beside the answer."""

    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


class GrammarExtra(JsonBody):
    """A grammar for the answer, in dvl2's own terms."""

    kind: Literal["json_schema", "lark", "regex"]
    text: str


Span = Annotated[list[int], Field(min_length=2, max_length=2)]


class Extras(JsonBody):
    """What dvl2's own clients ask for beyond OpenAI's request.

    With it the answer is the model's own, without what the server does around answers; a client
    that sends it does that itself. ``places`` are those of each message's pictures, as in
    ``engine.request.Message``; ``literal`` are its spans in which tags are text.
    """

    tiles: Annotated[int, Field(ge=0, le=100)] | Literal["auto"] | None = None
    zoom: Annotated[float, Field(gt=0, le=100)] | Literal["auto"] | None = None
    max_lines: Count | None = None
    loop_guard: bool = True
    top_k: Annotated[int, Field(ge=0)] = 0
    repetition_penalty: Annotated[float, Field(gt=0, le=100)] = 1.0
    constraint: GrammarExtra | None = None
    places: Annotated[list[list[int] | None], Field(max_length=4096)] | None = None
    literal: Annotated[list[list[Span]], Field(max_length=4096)] | None = None


class ChatBody(JsonBody):
    """The request.

    The members from ``user`` on change nothing here; those of type ``Nothing`` may only say so.
    """

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=4096)]
    model: str | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    n: Annotated[int, Field(ge=1, le=16)] | None = None
    logprobs: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: (
        Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]
        | None
    ) = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | None = None
    dvl2: Extras | None = None

    user: str | None = None
    metadata: dict[str, str] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    parallel_tool_calls: bool | None = None
    store: Literal[False] | None = None
    service_tier: Literal["auto", "default"] | None = None
    modalities: list[Literal["text"]] | None = None
    presence_penalty: Nothing = None
    frequency_penalty: Nothing = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    top_logprobs: Nothing = None

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the counts."""
        return bool(self.stream_options and self.stream_options.include_usage)
