"""Requests and events as JSON, pictures as raw RGB bytes beside it; every field is checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any, TypeVar, get_args

from dvl2_cli import errors
from dvl2_cli.engine.engine import ModelInfo
from dvl2_cli.engine.events import (
    Confidence,
    Event,
    Finished,
    FinishReason,
    LineConfidence,
    PromptCost,
    Started,
    Token,
    Usage,
)
from dvl2_cli.engine.remote.wire import StoppingError, WireError
from dvl2_cli.engine.request import (
    Constraint,
    Message,
    Request,
    Role,
    Sampling,
)
from dvl2_cli.errors import Dvl2Error
from dvl2_cli.setting_values import MAX_ZOOM, MIN_ZOOM
from dvl2_cli.store.policy import policy_from

MAX_MESSAGES = 4096
MAX_PIXELS = 178_956_970  # as inputs.picture.InputLimits: where Pillow sees a decompression bomb
_EVENTS: dict[str, type] = {"started": Started, "token": Token, "finished": Finished}
_Item = TypeVar("_Item")


def encode_request(request: Request) -> tuple[dict[str, Any], list[bytes]]:
    """The request as JSON types and its pictures' RGB bytes, in order."""
    pixels = []
    messages = []
    for message in request.messages:
        sizes = []
        for image in message.images:
            rgb = image if image.mode == "RGB" else image.convert("RGB")
            sizes.append(list(rgb.size))
            pixels.append(rgb.tobytes())
        messages.append(
            {
                "role": message.role,
                "content": message.content,
                "images": sizes,
                "places": None if message.places is None else list(message.places),
                "literal": [list(span) for span in message.literal],
            }
        )
    return {
        "messages": messages,
        "sampling": asdict(request.sampling),
        "constraint": asdict(request.constraint) if request.constraint else None,
        "tiles": request.tiles,
        "zoom": request.zoom,
        "stop": list(request.stop),
        "max_lines": request.max_lines,
        "loop_guard": request.loop_guard,
    }, pixels


class RequestDecoder:
    """Turns JSON back into requests, taking each picture from the pixels in order.

    Raises:
        WireError: any field that is missing or of the wrong type, range or size.
    """

    def __init__(self, pixels: bytearray) -> None:
        self._pixels = memoryview(pixels)
        self._used = 0

    def request(self, value: Any) -> Request:
        """One request."""
        value = _object(value, "request")
        messages = _array(value.get("messages"), "messages", self._message)
        if not messages or len(messages) > MAX_MESSAGES:
            raise WireError(f"a request has 1 to {MAX_MESSAGES} messages, not {len(messages)}")
        tiles = value.get("tiles")
        if not (tiles is None or tiles == "auto" or (type(tiles) is int and tiles >= 0)):
            raise WireError(f"tiles is a count, auto or null, not {tiles!r}")
        zoom = value.get("zoom")
        if not (zoom is None or zoom == "auto" or _is_zoom(zoom)):
            raise WireError(f"zoom is a number, auto or null, not {zoom!r}")
        max_lines = value.get("max_lines")
        if not (max_lines is None or (type(max_lines) is int and max_lines >= 1)):
            raise WireError(f"max_lines is a count or null, not {max_lines!r}")
        return Request(
            messages=messages,
            sampling=_sampling(value.get("sampling")),
            constraint=_constraint(value.get("constraint")),
            tiles=tiles,
            zoom=zoom,
            stop=_array(value.get("stop"), "stop", lambda item: _typed(item, str, "stop")),
            max_lines=max_lines,
            loop_guard=_typed(value.get("loop_guard"), bool, "loop_guard"),
        )

    def finish(self) -> None:
        """Check that every byte of the pixels belonged to a picture."""
        if self._used != len(self._pixels):
            raise WireError(f"{len(self._pixels) - self._used} bytes of pixels belong to nothing")

    def _message(self, value: Any) -> Message:
        value = _object(value, "message")
        role = value.get("role")
        if role not in get_args(Role):
            raise WireError(f"role is system, user or assistant, not {role!r}")
        content = _typed(value.get("content"), str, "content")
        images = _array(value.get("images"), "images", self._image)
        places = value.get("places")
        if places is not None:
            places = _array(places, "places", lambda item: _typed(item, int, "a place"))
        literal = _array(value.get("literal", []), "literal", _span)
        try:
            return Message(role, content, images, places, literal)
        except ValueError as error:
            raise WireError(str(error)) from error

    def _image(self, size: Any) -> Any:
        from PIL import Image

        width, height = _array(size, "a picture's size", lambda item: _typed(item, int, "size"))
        if width < 1 or height < 1 or width * height > MAX_PIXELS:
            raise WireError(f"a picture of {width} x {height} is empty or over the limit")
        end = self._used + 3 * width * height
        if end > len(self._pixels):
            raise WireError("there are fewer pixels than the pictures' sizes say")
        image = Image.frombytes("RGB", (width, height), self._pixels[self._used : end])
        self._used = end
        return image


def encode_event(event: Event) -> dict[str, Any]:
    """The event as JSON types."""
    name = next(name for name, kind in _EVENTS.items() if type(event) is kind)
    return {"event": name, **asdict(event)}


def decode_event(value: dict[str, Any]) -> Event:
    """The event that `encode_event` wrote.

    Raises:
        WireError: a field is missing or wrong.
    """
    name = value.get("event")
    if name == "token":
        token = _fill(Token, value)
        _typed(token.text, str, "a token's text")
        return token
    if name == "started":
        return Started(
            decode_cost(value.get("cost")), _typed(value.get("reused_tokens"), int, "event")
        )
    if name == "finished":
        return decode_finished(value)
    raise WireError(f"the server sent an unknown event {name!r}")


def decode_finished(value: Any) -> Finished:
    """The end of an answer."""
    value = _object(value, "finished")
    reason = value.get("finish_reason")
    if reason not in get_args(FinishReason):
        raise WireError(f"the server sent an unknown finish reason {reason!r}")
    return Finished(
        _typed(value.get("text"), str, "text"),
        _typed(value.get("raw"), str, "raw"),
        reason,
        _fill(Usage, value.get("usage")),
        _confidence(value.get("confidence")),
    )


def _confidence(value: Any) -> Confidence:
    value = _object(value, "confidence")
    lines = _array(value.get("lines"), "lines", lambda item: _fill(LineConfidence, item))
    return _fill(Confidence, {**value, "lines": lines})


def decode_cost(value: Any) -> PromptCost:
    """The cost of a prompt."""
    value = _object(value, "cost")
    tiles = _array(value.get("tiles"), "tiles", lambda pair: _array(pair, "tiles", int))
    return _fill(PromptCost, {**value, "tiles": tiles})


def decode_info(value: Any) -> ModelInfo:
    """The description of a model."""
    value = _object(value, "info")
    try:
        policy = policy_from(_object(value.get("policy"), "policy"))
    except ValueError as error:
        raise WireError(f"the model's policy {error}") from error
    # A warm process answers one request at a time.
    return _fill(ModelInfo, {**value, "policy": policy, "parallel": 1})


def encode_error(error: Dvl2Error) -> dict[str, Any]:
    """An error frame."""
    return {"error": error.as_json()}


def decode_error(value: Any) -> Dvl2Error:
    """The error that `encode_error` wrote, of the class whose code it names."""
    value = _object(value, "error")
    message = _typed(value.get("message"), str, "message")
    hint = value.get("hint") if isinstance(value.get("hint"), str) else None
    known = {
        kind.code: kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, Dvl2Error)
    }
    known[StoppingError.code] = StoppingError
    kind = known.get(str(value.get("code")), WireError)
    return kind(message, hint)


def _fill(kind: type[_Item], value: Any) -> _Item:
    value = _object(value, kind.__name__)
    try:
        return kind(**{item.name: value[item.name] for item in fields(kind)})  # type: ignore[arg-type]
    except KeyError as error:
        raise WireError(f"{kind.__name__} lacks {error}") from error


def _sampling(value: Any) -> Sampling:
    value = _object(value, "sampling")
    sampling = _fill(Sampling, value)
    for name in ("temperature", "top_p", "repetition_penalty"):
        if type(value[name]) not in (int, float):
            raise WireError(f"{name} is a number, not {value[name]!r}")
    for name in ("top_k", "max_new_tokens"):
        _typed(value[name], int, name)
    if value["seed"] is not None:
        _typed(value["seed"], int, "seed")
    in_range = sampling.temperature >= 0 and 0 <= sampling.top_p <= 1 and sampling.top_k >= 0
    if not (in_range and sampling.max_new_tokens >= 1 and sampling.repetition_penalty > 0):
        raise WireError("a sampling value is out of range")
    return sampling


def _constraint(value: Any) -> Constraint | None:
    if value is None:
        return None
    value = _object(value, "constraint")
    if value.get("kind") not in ("json_schema", "lark", "regex"):
        raise WireError(f"unknown kind of constraint {value.get('kind')!r}")
    return Constraint(value["kind"], _typed(value.get("text"), str, "constraint"))


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WireError(f"{what} is an object, not {type(value).__name__}")
    return value


def _array(value: Any, what: str, read: Callable[[Any], _Item]) -> tuple[_Item, ...]:
    if not isinstance(value, list):
        raise WireError(f"{what} is an array, not {type(value).__name__}")
    return tuple(read(item) for item in value)


def _span(value: Any) -> tuple[int, int]:
    ends = _array(value, "a span", lambda item: _typed(item, int, "a span"))
    if len(ends) != 2:
        raise WireError(f"a span has two ends, not {len(ends)}")
    return ends[0], ends[1]


def _is_zoom(value: Any) -> bool:
    return type(value) in (int, float) and MIN_ZOOM <= value <= MAX_ZOOM


def _typed(value: Any, kind: type[_Item], what: str) -> _Item:
    if type(value) is not kind:
        raise WireError(f"{what} is of type {kind.__name__}, not {type(value).__name__}")
    return value
