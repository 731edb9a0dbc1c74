"""How many there are, counted by boxes.

A small model guesses a number rather than count. It does better when it has to box each one, so
the number of boxes is the answer (compare Molmo, arXiv 2409.17146, which counts by pointing). The
direct answer is more reliable when the count is zero: asked for boxes, the model finds some.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from dvl2_cli.engine.events import Finished, Usage
from dvl2_cli.engine.request import Message, Request
from dvl2_cli.prompts import locate, locate_all
from dvl2_cli.tasks.grounding.locating import Located
from dvl2_cli.tasks.grounding.refine import refine_boxes

if TYPE_CHECKING:
    from PIL.Image import Image

_PICTURE = r" in (?:this|the) (?:image|picture|photo)"
_HOW_MANY = re.compile(
    rf"how many (?P<what>[\w' -]{{1,60}}?) (?:(?:are there|can you see|do you see)(?:{_PICTURE})?"
    rf"|are{_PICTURE})\s*\?*",
    re.IGNORECASE,
)
# No name that could be pointed at.
_ANYTHING = frozenset({"objects", "things", "items"})
_SOME = re.compile(r"(?:[1-9]\d?|one|two|three|four|five|six|seven|eight|nine|ten)\.?")

Ask = Callable[[Request], Finished]


def counted_phrase(question: str) -> str | None:
    """What "How many red cars are there?" counts: "red cars"; None of any other question."""
    asked = _HOW_MANY.fullmatch(question.strip())
    if asked is None or asked["what"].lower() in _ANYTHING:
        return None
    return asked["what"]


def asks_how_many(request: Request) -> bool:
    """Whether ``request`` asks how many of something are in the only picture of its messages."""
    return _counted(request) is not None


def count_by_boxes(request: Request, ask: Ask) -> Finished:
    """The answer to a request that ``asks_how_many``; any number but 0 is counted by boxes.

    Args:
        request: greedy or not; the boxes are asked for with the same sampling.
        ask: gives the whole answer. If it is cancelled, so is this one.
    """
    first = ask(request)
    asked = _counted(request)
    says_some = first.finish_reason == "stop" and _SOME.fullmatch(first.text.strip().lower())
    if asked is None or not says_some:
        return first
    phrase, picture = asked

    def about(image: Image, question: str) -> Finished:
        message = Message("user", question, (image,))
        return ask(replace(request, messages=(message,)))

    prediction = Located(phrase, about(picture, locate_all(phrase)))
    prediction = refine_boxes(prediction, picture, lambda image, name: about(image, locate(name)))
    answers = (first, prediction.answer, *prediction.again)
    usage = _sum([answer.usage for answer in answers])
    if any(answer.finish_reason == "cancelled" for answer in answers):
        return replace(first, finish_reason="cancelled", usage=usage)
    number = str(len(prediction.found.regions))
    if prediction.answer.finish_reason != "stop" or number in {"0", first.text.strip()}:
        return replace(first, usage=usage)
    raw = f"{first.raw}\n{prediction.answer.raw}"
    return replace(prediction.answer, text=number, raw=raw, usage=usage)


def _counted(request: Request) -> tuple[str, Image] | None:
    """What is to be counted, and in which picture."""
    pictures = [image for message in request.messages for image in message.images]
    phrase = counted_phrase(request.messages[-1].content)
    if request.constraint is not None or len(pictures) != 1 or phrase is None:
        return None
    return phrase, pictures[0]


def _sum(parts: list[Usage]) -> Usage:
    return Usage(
        sum(part.prompt_tokens for part in parts),
        sum(part.image_tokens for part in parts),
        sum(part.completion_tokens for part in parts),
        sum(part.prefill_seconds for part in parts),
        sum(part.decode_seconds for part in parts),
    )
