from __future__ import annotations

import http.client
import io
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from dvl2_cli.engine.request import Request
from dvl2_cli.errors import ContextOverflowError, Dvl2Error, ModelError, QueueFullError
from dvl2_cli.server.http.options import ApiKeys, HttpLimits
from tests.fakes import FakeEngine
from tests.server.http.conftest import Serve, data_url, png
from tests.server.http.test_server import Blocked, running

OCR, GROUND, CAPTION = "/v1/ocr", "/v1/ground", "/v1/caption"
SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
FOUND = "<|ref|>car<|/ref|><|det|>[[0, 0, 499, 499]]<|/det|>"


def pages(count: int) -> bytes:
    stream = io.BytesIO()
    first, *rest = [Image.new("RGB", (40 + index, 30), "white") for index in range(count)]
    first.save(stream, "TIFF", save_all=True, append_images=rest)
    return stream.getvalue()


def rows(text: str, command: str) -> list[Any]:
    """The rows, which follow the command's published schema."""
    found = [json.loads(line) for line in text.splitlines()]
    schema = json.loads((SCHEMAS / f"dvl2.{command}.1.json").read_text())
    for row in found:
        Draft202012Validator(schema).validate(row)
    return found


def upload(data: bytes, name: str = "photo.png") -> dict[str, Any]:
    return {"file": (name, data)}


def test_ocr_of_json_and_of_a_form(serve: Serve) -> None:
    engine = FakeEngine("Total 12.50")
    client = serve(engine)
    sent = client.post(OCR, json={"image": data_url(), "markdown": True, "max_tokens": 77})
    assert sent.headers["content-type"] == "application/x-ndjson"
    (row,) = rows(sent.text, "ocr")
    assert (row["status"], row["text"]) == ("ok", "Total 12.50")
    assert engine.requests[0].sampling.max_new_tokens == 77
    form = {"markdown": "true", "max_tokens": "77"}
    (other,) = rows(client.post(OCR, data=form, files=upload(png())).text, "ocr")
    assert other["source"]["path"] == "photo.png"
    assert other["source"]["sha256"] == row["source"]["sha256"]
    assert engine.requests[-1].messages[0].content == engine.requests[0].messages[0].content
    assert engine.requests[-1].sampling == engine.requests[0].sampling
    plain = client.post(OCR, json={"image": data_url()})
    assert plain.is_success
    assert engine.requests[-1].messages[0].content != engine.requests[0].messages[0].content


def test_each_page_has_a_row(serve: Serve) -> None:
    client = serve()
    found = rows(client.post(OCR, files=upload(pages(3), "scan.tiff")).text, "ocr")
    assert [row["source"]["page"] for row in found] == [1, 2, 3]
    form = {"pages": "3,1"}
    some = rows(client.post(OCR, data=form, files=upload(pages(3))).text, "ocr")
    assert [row["source"]["width"] for row in some] == [42, 40]


def test_fields_and_schemas_of_forms(serve: Serve) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "number"}}}
    engine = FakeEngine(lambda request: '{"total": 3}' if request.constraint else "text")
    client = serve(engine)
    form: dict[str, Any] = {"schema": json.dumps(schema)}
    (row,) = rows(client.post(OCR, data=form, files=upload(png())).text, "ocr")
    assert row["fields"] == {"total": 3}
    form = {"fields": ["total", "date"]}
    (row,) = rows(client.post(OCR, data=form, files=upload(png())).text, "ocr")
    assert set(row["fields"]) == {"total", "date"}


def test_ground(serve: Serve) -> None:
    engine = FakeEngine(FOUND)
    client = serve(engine)
    body = {"image": data_url(size=(100, 100)), "phrases": ["car", "tree"], "all": True}
    (row,) = rows(client.post(GROUND, json=body).text, "ground")
    assert {item["query"] for item in row["objects"]} == {"car", "tree"}
    assert "car" in engine.requests[0].messages[0].content
    form = {"phrases": ["car", "tree"], "all": "true"}
    size = png(size=(100, 100))
    (other,) = rows(client.post(GROUND, data=form, files=upload(size)).text, "ground")
    assert other["objects"] == row["objects"]


def test_caption(serve: Serve) -> None:
    engine = FakeEngine()
    client = serve(engine)
    body = {"image": data_url(), "prefix": "x: ", "include": ["road"], "length": "short"}
    (row,) = rows(client.post(CAPTION, json=body).text, "caption")
    assert (row["caption"], row["length"]) == ("x: a red car, road", "short")
    form = {"avoid": "red"}
    (row,) = rows(client.post(CAPTION, data=form, files=upload(png())).text, "caption")
    assert row["status"] == "partial"
    assert engine.requests[-1].constraint is not None


IMAGE = {"image": data_url()}


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (OCR, {}, 400, "image is missing"),
        (OCR, {"image": "/etc/passwd"}, 400, "no data: URL"),
        (OCR, {"image": "http://10.0.0.1/x.png"}, 400, "fetches nothing"),
        (OCR, {"image": "data:image/png;base64,aGVsbG8="}, 400, "not a picture"),
        (OCR, {"image": data_url(size=(9000, 8000))}, 400, "megapixels"),
        (OCR, {**IMAGE, "model": "other"}, 404, "is not served"),
        (OCR, {**IMAGE, "pages": "x"}, 400, "is not a page"),
        (OCR, {**IMAGE, "dpi": 5}, 400, "dpi: "),
        (OCR, {**IMAGE, "boxes": "rapidocr"}, 400, "boxes: "),
        (OCR, {**IMAGE, "zoom": 2}, 400, "zoom is not supported"),
        (OCR, {**IMAGE, "fields": ["a"], "schema": {}}, 400, "fields and schema"),
        (OCR, {**IMAGE, "schema": {"type": 5}}, 400, "not a JSON Schema"),
        (OCR, {**IMAGE, "markdown": "yes"}, 400, "markdown: "),
        (GROUND, IMAGE, 400, "nothing to find"),
        (GROUND, {**IMAGE, "phrases": [" "]}, 400, "a phrase is empty"),
        (GROUND, {**IMAGE, "phrases": ["a"] * 65}, 400, "phrases: "),
        (CAPTION, {**IMAGE, "length": "huge"}, 400, "length: "),
        (CAPTION, {**IMAGE, "include": ["a"], "avoid": ["A"]}, 400, "both name"),
    ],
)
def test_what_is_refused_is_named(
    serve: Serve, path: str, body: dict[str, Any], status: int, words: str
) -> None:
    engine = FakeEngine()
    response = serve(engine).post(path, json=body)
    assert response.status_code == status
    assert words in response.json()["error"]["message"]
    assert not engine.requests


@pytest.mark.parametrize(
    ("form", "files", "words"),
    [
        ({"markdown": "perhaps"}, upload(png()), "markdown: "),
        ({"schema": "{"}, upload(png()), "schema is not JSON"),
        ({"dpi": ["100", "200"]}, upload(png()), "dpi is there more than once"),
        ({"image": data_url()}, upload(png()), "as a file and as text"),
        ({"colour": "x"}, upload(png()), "colour is not supported"),
        ({}, {"photo": ("a.png", png())}, "a file is called file or image"),
        ({}, {"file": ("a.png", png()), "image": ("b.png", png())}, "Too many files"),
        ({}, upload(b""), "is empty"),
        ({}, upload(b"hello"), "not a picture"),
    ],
)
def test_forms_that_are_refused(
    serve: Serve, form: dict[str, Any], files: dict[str, Any], words: str
) -> None:
    response = serve().post(OCR, data=form, files=files)
    assert response.status_code == 400
    assert words in response.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"--x", b"--x\r\n\r\n", b"\xff"])
def test_broken_forms(serve: Serve, body: bytes) -> None:
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
        response = serve().post(OCR, content=body, headers={"Content-Type": kind})
        assert response.status_code == 400
        assert response.json()["error"]["message"]


def test_keys_and_limits_hold_here_too(serve: Serve) -> None:
    keyed = serve(keys=ApiKeys(["first-key"]))
    assert keyed.post(OCR, json=IMAGE).status_code == 401
    assert keyed.post(OCR, json=IMAGE, headers={"Authorization": "Bearer first-key"}).is_success
    small = serve(limits=HttpLimits(body_bytes=1000))
    assert small.post(OCR, files=upload(b" " * 1001)).status_code == 413


def failing(error: Exception, at_width: int) -> FakeEngine:
    def answer(request: Request) -> str:
        if request.messages[0].images[0].width == at_width:
            raise error
        return "text"

    return FakeEngine(answer)


def test_a_page_that_fails_is_a_row(serve: Serve) -> None:
    client = serve(failing(ContextOverflowError("it is too long"), 41))
    found = rows(client.post(CAPTION, files=upload(pages(3))).text, "caption")
    assert [row["status"] for row in found] == ["ok", "failed", "ok"]
    assert found[1]["error"]["message"] == "it is too long"


@pytest.mark.parametrize(
    ("error", "status"),
    [(ModelError("the weights are damaged"), 500), (QueueFullError("too many wait"), 429)],
)
def test_what_ends_the_work_has_its_status_or_is_the_last_line(
    serve: Serve, error: Dvl2Error, status: int
) -> None:
    first = serve(failing(error, 40)).post(CAPTION, files=upload(pages(2)))
    assert first.status_code == status
    amid = serve(failing(error, 41)).post(CAPTION, files=upload(pages(3)))
    row, last = (json.loads(line) for line in amid.text.splitlines())
    assert row["status"] == "ok"
    assert last["error"]["message"] == error.message
    assert "status" not in last


def test_who_goes_away_cancels_the_work() -> None:
    engine = Blocked()
    with running(engine) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.address.port, timeout=30)
        connection.request("POST", CAPTION, json.dumps(IMAGE))
        assert engine.asked.wait(30)
        connection.close()
        assert engine.cancelled.wait(30)
