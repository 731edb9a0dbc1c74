"""Asking an engine every item of a suite."""

from __future__ import annotations

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
from dvl2_cli.prompts import with_images
from dvl2_cli.reading.page import OnText, PageReader, PageText
from dvl2_cli.reading.views import Enlarged

if TYPE_CHECKING:
    from PIL.Image import Image

# Room for the longest page; answers to questions are short, so a runaway ends early.
_MOST_TOKENS = {"cer": 6000, "objects": 500, "boxes": 500}
_FEW_TOKENS = 160


@dataclass(frozen=True, slots=True)
class View:
    """How pictures are shown; ``tiles`` and ``zoom`` as in `Request`."""

    tiles: Tiles = None
    zoom: Zoom = None


_AS_IT_IS = View()


def request_for(item: Item, view: View = _AS_IT_IS) -> Request:
    """The greedy request that asks ``item``."""
    question = Message("user", with_images(item.question, len(item.images)), item.images)
    most = _MOST_TOKENS.get(item.metric, _FEW_TOKENS)
    messages = (*item.history, question)
    return Request(messages, Sampling(max_new_tokens=most), tiles=view.tiles, zoom=view.zoom)


def run(
    engine: Engine,
    items: Iterable[Item],
    cancel: threading.Event | None = None,
    view: View = _AS_IT_IS,
) -> Iterator[Outcome]:
    """Ask the items one after the other, as a user would, and yield each scored answer. Pictures
    whose text is asked for are read as ``dvl2 ocr`` reads pages.

    Raises:
        ContextOverflowError: an item does not fit the model's context.
        CancelledError: ``cancel`` was set.
    """
    for item in items:
        start = time.perf_counter()
        request = request_for(item, view)
        if item.metric == "cer" and len(item.images) == 1 and not item.history:
            answer: Answered = _read(engine, request, cancel)
        else:
            answer = answer_of(engine, request, cancel)
        if answer.finish_reason == "cancelled":
            raise CancelledError("the evaluation was stopped")
        yield score(item, answer, time.perf_counter() - start)


def _read(engine: Engine, request: Request, cancel: threading.Event | None) -> PageText:
    (question,) = request.messages

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

    def enlarges() -> bool:
        return request.zoom == "auto" or (request.zoom is None and engine.info.enlarges)

    views = Enlarged(request.tiles, enlarges)
    reader = PageReader(ask, request.sampling, lambda _: None, views)
    return reader.read(question.images[0])


def answer_of(engine: Engine, request: Request, cancel: threading.Event | None = None) -> Finished:
    """The whole answer to ``request``."""
    for event in engine.stream(request, cancel):
        if isinstance(event, Finished):
            return event
    raise RuntimeError("the engine ended without a Finished event")
