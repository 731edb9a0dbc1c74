"""Asking an engine every item of a suite."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dvl2_cli.engine.engine import Engine
from dvl2_cli.engine.events import Finished
from dvl2_cli.engine.request import Message, Request, Sampling, Tiles, Zoom
from dvl2_cli.errors import CancelledError
from dvl2_cli.evaluation.item import Item, Outcome
from dvl2_cli.evaluation.scoring import Answered, score
from dvl2_cli.prompts import locate
from dvl2_cli.tasks.grounding.counting import asks_how_many, count
from dvl2_cli.tasks.grounding.locating import Located
from dvl2_cli.tasks.grounding.second_look import look_again
from dvl2_cli.tasks.grounding.tags import format_object
from dvl2_cli.tasks.reading.page import OnText, PageReader, PageText
from dvl2_cli.tasks.reading.views import Enlarged

if TYPE_CHECKING:
    from PIL.Image import Image

# Room for the longest page; answers to questions are short, so a runaway ends early.
_MAX_TOKENS = {"cer": 6000, "objects": 500, "boxes": 500}
_FEW_TOKENS = 160
# The metrics of boxes, and what a question for boxes names.
_BOXED = frozenset({"iou", "boxes", "absent"})
_ASKED = re.compile(r"<\|ref\|>(.+?)<\|/ref\|>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class View:
    """How pictures are shown; ``tiles`` and ``zoom`` as in `Request`."""

    tiles: Tiles = None
    zoom: Zoom = None


_AS_IT_IS = View()


def request_for(item: Item, view: View = _AS_IT_IS) -> Request:
    """The greedy request that asks ``item``."""
    question = Message("user", item.question, item.images, item.places)
    most = _MAX_TOKENS.get(item.metric, _FEW_TOKENS)
    messages = (*item.history, question)
    return Request(messages, Sampling(max_new_tokens=most), tiles=view.tiles, zoom=view.zoom)


def run(
    engine: Engine,
    items: Iterable[Item],
    cancel: threading.Event | None = None,
    view: View = _AS_IT_IS,
) -> Iterator[Outcome]:
    """Ask the items one after the other, as a user would, and yield each scored answer. Pictures
    whose text is asked for are read as ``dvl2 ocr`` reads pages, boxes are looked for as by
    ``dvl2 ground``, and "how many" is answered as by ``dvl2 chat``.

    Raises:
        ContextOverflowError: an item does not fit the model's context.
        CancelledError: ``cancel`` was set.
    """
    policy = engine.info.policy.at_zoom(view.zoom)
    for item in items:
        start = time.perf_counter()
        request = request_for(item, view)
        alone = len(item.images) == 1 and not item.history
        answer: Answered
        if item.metric == "cer" and alone:
            answer = _read(engine, request, cancel)
        elif item.metric in _BOXED and alone:
            answer = _locate(engine, request, cancel)
        elif asks_how_many(request) and policy.count_by_boxes:
            answer = count(request, lambda asked: answer_of(engine, asked, cancel))
        else:
            answer = answer_of(engine, request, cancel)
        if answer.finish_reason == "cancelled":
            raise CancelledError("the evaluation was stopped")
        yield score(item, answer, time.perf_counter() - start)


def _read(engine: Engine, request: Request, cancel: threading.Event | None) -> PageText:
    (question,) = request.messages
    policy = engine.info.policy.at_zoom(request.zoom)

    def ask(
        image: Image,
        sampling: Sampling | None,
        on_text: OnText | None,
        zoom: float | None = None,
    ) -> Finished:
        asked = replace(
            request,
            messages=(replace(question, images=(image,)),),
            sampling=sampling or request.sampling,
            zoom=request.zoom if zoom is None else zoom,
        )
        return answer_of(engine, asked, cancel)

    views = Enlarged(request.tiles, lambda: policy.reads == "lines")
    reader = PageReader(ask, request.sampling, lambda _: None, views)
    return reader.read(question.images[0])


def _locate(engine: Engine, request: Request, cancel: threading.Event | None) -> Finished:
    """The answer with the boxes that a second look settles on."""
    (question,) = request.messages
    answer = answer_of(engine, request, cancel)
    policy = engine.info.policy.at_zoom(request.zoom)
    asked = _ASKED.search(question.content)
    if asked is None or not policy.refine_boxes:
        return answer

    def ask(image: Image, about: str) -> Finished:
        message = Message("user", locate(about), (image,))
        return answer_of(engine, replace(request, messages=(message,)), cancel)

    told = look_again(Located(asked[1], answer), question.images[0], ask)
    if told.grounded is None or not told.grounded.regions:
        return answer
    label = told.grounded.regions[0].label or asked[1]
    raw = format_object(label, [region.box for region in told.grounded.regions])
    return replace(answer, raw=raw)


def answer_of(engine: Engine, request: Request, cancel: threading.Event | None = None) -> Finished:
    """The whole answer to ``request``."""
    for event in engine.stream(request, cancel):
        if isinstance(event, Finished):
            return event
    raise RuntimeError("the engine ended without a Finished event")
