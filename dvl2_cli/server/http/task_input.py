"""What the tasks' requests bring: JSON with a picture in it, or a form with a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request as HttpRequest

from dvl2_cli.inputs.load import Reading, read_bytes
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.server.http.body import first_problem, parsed
from dvl2_cli.server.http.images import pages_at
from dvl2_cli.server.http.refusals import invalid
from dvl2_cli.server.http.service import Service
from dvl2_cli.server.http.task_bodies import TaskBody

_Body = TypeVar("_Body", bound=TaskBody)
_FILES = ("file", "image")
_MAX_FIELDS = 256


@dataclass(frozen=True, slots=True)
class TaskInput(Generic[_Body]):
    """The options of a task, and its file where it came in a form."""

    options: _Body
    data: bytes | None = None
    name: str = "image"

    def pages(self, service: Service, reading: Reading) -> Iterator[Picture | Unreadable]:
        """The pages of what is asked about.

        Raises:
            RefusalError: there is none, or it may not be read.
        """
        image = self.options.image
        if self.data is not None and image is not None:
            raise invalid("image is there as a file and as text", "image")
        if self.data is not None:
            return read_bytes(self.data, self.name, reading)
        if image is None:
            raise invalid("image is missing: a data: URL, or a form with a file", "image")
        return pages_at(service, image, "image", reading)


async def read_task(request: HttpRequest, kind: type[_Body]) -> TaskInput[_Body]:
    """The body, JSON or a form.

    Raises:
        RefusalError: it is neither, or a member is not what it takes.
    """
    content = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content != "multipart/form-data":
        data = await request.body()
        return TaskInput(await asyncio.to_thread(parsed, data, kind))
    async with request.form(max_files=1, max_fields=_MAX_FIELDS) as form:
        options = _options(form, kind)
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name not in _FILES:
                    raise invalid(f"{name}: a file is called file or image", name)
                return TaskInput(options, await value.read(), value.filename or "image")
    return TaskInput(options)


def _options(form: FormData, kind: type[_Body]) -> _Body:
    """The fields of ``form`` that are text; what takes several may be given again."""
    values: dict[str, Any] = {}
    for name in form:
        texts = [value for value in form.getlist(name) if isinstance(value, str)]
        if texts:
            values[name] = _value(name, texts, kind)
    try:
        return kind.model_validate(values, strict=False)
    except ValidationError as error:
        raise first_problem(error) from error


def _value(name: str, texts: list[str], kind: type[TaskBody]) -> Any:
    if name in kind.LISTS:
        return texts
    if len(texts) > 1:
        raise invalid(f"{name} is there more than once", name)
    if name == "schema":
        try:
            return json.loads(texts[0])
        except (ValueError, RecursionError) as error:
            raise invalid(f"schema is not JSON: {error}", "schema") from error
    return texts[0]
