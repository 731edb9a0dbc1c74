"""Asking an engine every item of a suite."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from dvl2_cli.engine.engine import Engine
from dvl2_cli.engine.events import Finished
from dvl2_cli.engine.request import Message, Request, RequestDefaults, Sampling
from dvl2_cli.errors import CancelledError
from dvl2_cli.evaluation.item import Item, ItemResult
from dvl2_cli.evaluation.scoring import Answered, score
from dvl2_cli.ordered import in_order
from dvl2_cli.tasks.ask import ask
from dvl2_cli.tasks.context import TaskContext
from dvl2_cli.tasks.ground import located_in
from dvl2_cli.tasks.grounding.tags import format_object
from dvl2_cli.tasks.ocr import read_page

# Room for the longest page; answers to questions are short, so a runaway ends early.
_MAX_TOKENS = {"cer": 6000, "objects": 500, "boxes": 500}
_FEW_TOKENS = 160
# The metrics of boxes, and what a question for boxes names.
_BOXED = frozenset({"iou", "boxes", "absent"})
_ASKED = re.compile(r"<\|ref\|>(.+?)<\|/ref\|>", re.DOTALL)
_AS_IT_IS = RequestDefaults()


def request_for(item: Item, defaults: RequestDefaults = _AS_IT_IS) -> Request:
    """The greedy request that asks ``item``, pictures shown as ``defaults`` say."""
    question = Message("user", item.question, item.images, item.places)
    return _greedy(item, defaults).request((*item.history, question))


def run(
    engine: Engine,
    items: Iterable[Item],
    cancel: threading.Event | None = None,
    defaults: RequestDefaults = _AS_IT_IS,
    *,
    parallel: int = 1,
) -> Iterator[ItemResult]:
    """Ask the items as a user would, and yield each scored answer in their order. Pictures
    whose text is asked for are read as ``dvl2 ocr`` reads pages, boxes are looked for as by
    ``dvl2 ground``, and "how many" is answered as by ``dvl2 chat``.

    Args:
        engine: is asked, from several threads where ``parallel`` is above 1.
        items: what to ask.
        cancel: ends all, when set.
        defaults: how pictures are shown.
        parallel: items asked at once.

    Raises:
        ContextOverflowError: an item does not fit the model's context.
        CancelledError: ``cancel`` was set.
    """
    cancel = cancel or threading.Event()

    def ask_one(item: Item) -> ItemResult:
        start = time.perf_counter()
        answer = _answer(TaskContext(engine, _greedy(item, defaults), cancel), item)
        if answer.finish_reason == "cancelled":
            raise CancelledError("the evaluation was stopped")
        # An answer that a killed run left took its time there.
        return score(item, answer, max(time.perf_counter() - start, answer.usage.seconds))

    yield from in_order(items, ask_one, parallel, abort=cancel.set)


def _answer(context: TaskContext, item: Item) -> Answered:
    request = request_for(item, context.defaults)
    alone = len(item.images) == 1 and not item.history
    if item.metric == "cer" and alone:
        return read_page(context, item.images[0], question=item.question)
    if item.metric in _BOXED and alone:
        return _locate(context, request)
    return ask(context, request)


def _locate(context: TaskContext, request: Request) -> Finished:
    """The answer, its boxes refined where the policy says so."""
    (question,) = request.messages
    answer = context.answer(request)
    asked = _ASKED.search(question.content)
    if asked is None:
        return answer
    found = located_in(context, question.images[0], asked[1], answer)
    if found.grounded is None or not found.grounded.regions:
        return answer
    label = found.grounded.regions[0].label or asked[1]
    raw = format_object(label, [region.box for region in found.grounded.regions])
    return replace(answer, raw=raw)


def _greedy(item: Item, defaults: RequestDefaults) -> RequestDefaults:
    most = _MAX_TOKENS.get(item.metric, _FEW_TOKENS)
    return replace(defaults, sampling=Sampling(max_new_tokens=most))
