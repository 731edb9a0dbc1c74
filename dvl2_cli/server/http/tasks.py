"""``/v1/ocr``, ``/v1/ground``, ``/v1/caption``: one line of JSON a page, as the commands print."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from dvl2_cli.errors import Dvl2Error, QueueFullError, UsageError
from dvl2_cli.inputs.pages import PageRanges
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.results import CaptionResult, GroundResult, OcrResult, Source
from dvl2_cli.results.envelope import Envelope
from dvl2_cli.schema.source import checked_schema
from dvl2_cli.server.http.images import readable
from dvl2_cli.server.http.ndjson import JsonLines
from dvl2_cli.server.http.refusals import invalid
from dvl2_cli.server.http.service import Service, service_of
from dvl2_cli.server.http.task_bodies import CaptionBody, GroundBody, OcrBody, TaskBody
from dvl2_cli.server.http.task_input import TaskInput, read_task
from dvl2_cli.server.http.work import Work
from dvl2_cli.tasks import caption as captioning
from dvl2_cli.tasks import ground as grounding
from dvl2_cli.tasks import ocr as reading
from dvl2_cli.tasks.captioning.wording import Wording
from dvl2_cli.tasks.context import TaskContext

_Answer = Callable[[TaskContext, Picture], Envelope]


async def ocr(request: HttpRequest) -> Response:
    """The text of each page."""
    given = await read_task(request, OcrBody)
    options = _ocr_options(given.options)
    return await _rows(
        request, given, OcrResult, reading.MAX_TOKENS,
        lambda context, picture: reading.ocr(context, picture, options),
    )  # fmt: skip


async def ground(request: HttpRequest) -> Response:
    """The boxes of what the phrases name, on each page."""
    given = await read_task(request, GroundBody)
    body = given.options
    options = grounding.GroundOptions(tuple(body.phrases), body.all, body.caption)
    options.check()
    return await _rows(
        request, given, GroundResult, grounding.MAX_TOKENS,
        lambda context, picture: grounding.ground(context, picture, options),
    )  # fmt: skip


async def caption(request: HttpRequest) -> Response:
    """A description of each page."""
    given = await read_task(request, CaptionBody)
    body = given.options
    wording = Wording(
        body.length, body.prefix, tuple(body.include), tuple(body.avoid), grounded=body.grounded
    )
    wording.check()
    return await _rows(
        request, given, CaptionResult, captioning.MAX_TOKENS,
        lambda context, picture: captioning.caption(context, picture, wording),
    )  # fmt: skip


async def _rows(
    request: HttpRequest,
    given: TaskInput[Any],
    kind: type[Envelope],
    max_tokens: int,
    answer: _Answer,
) -> Response:
    service = service_of(request)
    service.check_model(given.options.model)

    def job(cancel: threading.Event) -> Iterator[dict[str, Any]]:
        context = _context(service, given.options, cancel, max_tokens)
        for index, found in enumerate(_pages(service, given)):
            if index == 0:  # a file that cannot be read at all is the request's fault
                readable(found, "image")
            if cancel.is_set():
                return
            yield _row(context, found, kind, answer).as_json()

    work = Work(service, job)
    first = await work.first(request)
    seconds = service.options.limits.silent_seconds
    return JsonLines(seconds, request.url.path, work.rest(first))


def _context(
    service: Service, options: TaskBody, cancel: threading.Event, max_tokens: int
) -> TaskContext:
    context = service.context(cancel, max_tokens)
    if options.max_tokens is None:
        return context
    sampling = dataclasses.replace(context.defaults.sampling, max_new_tokens=options.max_tokens)
    defaults = dataclasses.replace(context.defaults, sampling=sampling)
    return dataclasses.replace(context, defaults=defaults)


def _row(
    context: TaskContext, found: Picture | Unreadable, kind: type[Envelope], answer: _Answer
) -> Envelope:
    source = Source.of(found)
    if isinstance(found, Unreadable):
        return kind.failure(found.error, source, context.model)
    try:
        return answer(context, found)
    except Dvl2Error as error:
        if error.fatal or isinstance(error, QueueFullError):  # asking again makes sense then
            raise
        return kind.failure(error, source, context.model)


def _pages(service: Service, given: TaskInput[Any]) -> Iterator[Picture | Unreadable]:
    options: TaskBody = given.options
    try:
        chosen = PageRanges.parse(options.pages) if options.pages else None
    except UsageError as error:
        raise invalid(error.message, "pages") from error
    how = dataclasses.replace(
        service.reading, pages=chosen, dpi=options.dpi, password=options.password
    )
    return given.pages(service, how)


def _ocr_options(body: OcrBody) -> reading.OcrOptions:
    if body.fields and body.schema_ is not None:
        raise invalid("fields and schema both say what to extract", "fields")
    schema = None if body.schema_ is None else checked_schema(body.schema_, "schema")
    return reading.OcrOptions(body.markdown, body.boxes, tuple(body.fields), schema)
