from __future__ import annotations

import base64
import io
import struct
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from PIL import Image

from dvl2_cli.errors import InputError, UsageError
from dvl2_cli.inputs.load import Reading, load_pictures, read_all
from dvl2_cli.inputs.pages import PageRanges
from dvl2_cli.inputs.picture import InputLimits, Picture, Unreadable


def png(colour: str = "red", size: tuple[int, int] = (20, 10)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def pdf(pages: int) -> bytes:
    buffer = io.BytesIO()
    images = [Image.new("RGB", (72, 144), (index * 20, 0, 0)) for index in range(pages)]
    images[0].save(buffer, "PDF", save_all=True, append_images=images[1:], resolution=72)
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG that says it is 60,000 x 60,000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty (0 bytes)"),
        (b"just words, no picture\n", "is not a picture: it holds text"),
        (b"\x00\x01\x02\x03" * 50, "is not a picture, or its beginning is damaged"),
        (b"<?xml version='1.0'?><svg xmlns='x'/>", "is an SVG drawing, which dvl2 does not read"),
        (b"PK\x03\x04 docx", "is a ZIP archive or office document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is PostScript"),
        (b"<!DOCTYPE html><p>login</p>", "is a web page"),
        (png()[:50], "is cut off"),
        (b"%PDF-1.7\ngarbage", "is a damaged PDF"),
        (bomb(), "megapixels"),
    ],
)
def test_each_kind_of_bad_file_has_its_own_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(load_pictures(path))
    assert str(path) in caught.value.message
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_a_missing_file_and_a_glob_without_matches(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(load_pictures(tmp_path / "no.png"))
    with pytest.raises(InputError, match="no file matches"):
        list(load_pictures(f"{tmp_path}/*.png"))
    with pytest.raises(InputError, match="no pictures in folder"):
        list(load_pictures(tmp_path))


def test_a_picture_with_the_wrong_suffix_is_read_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(png())
    (picture,) = load_pictures(tmp_path / "a.jpg")
    assert picture.width == 20


def test_folders_are_listed_by_name_and_skip_what_is_no_picture(tmp_path: Path) -> None:
    for name in ("b.png", "a.PNG", "sub/c.png", ".hidden.png", "note.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png())
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    flat = [Path(item.path).name for item in load_pictures(tmp_path)]
    deep = [Path(item.path).name for item in load_pictures(tmp_path, recursive=True)]
    assert flat == ["a.PNG", "b.png"]
    assert deep == ["a.PNG", "b.png", "c.png"]


def test_a_name_with_glob_characters_is_a_file_if_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "a[1].png").write_bytes(png())
    assert len(list(load_pictures(tmp_path / "a[1].png"))) == 1


def test_bad_inputs_do_not_stop_the_good_ones(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    found = list(read_all([tmp_path / "no.png", tmp_path / "a.png"]))
    assert [type(item) for item in found] == [Unreadable, Picture]


@pytest.mark.parametrize("data", [png(), pdf(1)])
def test_a_picture_on_stdin(data: bytes) -> None:
    (picture,) = read_all(["-"], stdin=io.BytesIO(data))
    assert isinstance(picture, Picture)
    assert picture.path == "-"


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\0"])
def test_a_list_on_stdin(tmp_path: Path, separator: str) -> None:
    names = []
    for name in ("a.png", "b é.png", "c\nd.png" if separator == "\0" else "c.png"):
        (tmp_path / name).write_bytes(png())
        names.append(str(tmp_path / name))
    data = separator.join(names).encode()
    found = list(read_all(["-"], stdin=io.BytesIO(data)))
    assert [item.path for item in found] == names
    assert [
        item.path for item in read_all(["-"], stdin=io.BytesIO(data + separator.encode()))
    ] == names


def test_pages_of_a_pdf(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf(5))
    reading = Reading(PageRanges.parse("4-,1"), dpi=36)
    found = list(load_pictures(path, reading=reading))
    assert [item.page for item in found] == [4, 5, 1]
    assert (found[0].width, found[0].height) == (36, 72)
    reds = [item.image.getpixel((5, 5))[0] for item in found]  # type: ignore[index]
    assert reds == pytest.approx([60, 80, 0], abs=3)
    assert len({item.sha256 for item in found}) == 1


def test_pages_of_a_tiff(tmp_path: Path) -> None:
    images = [Image.new("RGB", (20, 10), (index, 0, 0)) for index in range(3)]
    images[0].save(tmp_path / "a.tiff", save_all=True, append_images=images[1:])
    found = list(load_pictures(tmp_path / "a.tiff"))
    assert [(item.page, item.image.getpixel((0, 0))) for item in found] == [
        (1, (0, 0, 0)), (2, (1, 0, 0)), (3, (2, 0, 0)),
    ]  # fmt: skip


def test_pages_past_the_end_are_failures_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf(2))
    found = list(read_all([path], reading=Reading(PageRanges.parse("2,7"), dpi=20)))
    assert isinstance(found[0], Picture)
    assert isinstance(found[1], Unreadable)
    assert found[1].error.message.endswith("has 2 pages, not 7")


def test_limits_come_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf(3))
    with pytest.raises(InputError, match="has 3 pages; the limit is 2"):
        list(load_pictures(path, reading=Reading(limits=InputLimits(pages=2))))
    (picture,) = load_pictures(
        path, reading=Reading(PageRanges.parse("1"), dpi=1200, limits=InputLimits(pixels=10_000))
    )
    assert picture.width * picture.height <= 10_000
    assert "rendered at" in picture.notes[0]
    large = tmp_path / "a.png"
    large.write_bytes(png() + bytes(1000))
    with pytest.raises(InputError, match="over 0 MiB"):
        list(load_pictures(large, reading=Reading(limits=InputLimits(file_bytes=1000))))


@pytest.mark.parametrize("text", ["", "0", "3-1", "a", "1-2-3", "-4", "1;2"])
def test_bad_page_ranges(text: str) -> None:
    with pytest.raises(UsageError):
        PageRanges.parse(text)


def test_data_urls() -> None:
    text = base64.b64encode(png()).decode()
    (picture,) = load_pictures(f"data:image/png;base64,{text}")
    assert picture.width == 20
    for bad in ("data:image/png;base64,!!!", "data:image/png", "data:text/plain,hello"):
        with pytest.raises(InputError):
            list(load_pictures(bad))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/file":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif self.path == "/loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
        elif self.path == "/a.png":
            self.send_response(200)
            self.send_header("Content-Length", str(len(png())))
            self.end_headers()
            self.wfile.write(png())
        elif self.path == "/cut.png":
            self.send_response(200)
            self.send_header("Content-Length", "9999")
            self.end_headers()
            self.wfile.write(png())
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 3_000_000)
        else:
            self.send_error(404, "Not Found")

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_urls(server: str) -> None:
    (picture,) = load_pictures(f"{server}/a.png")
    assert picture.path == f"{server}/a.png"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/no.png", "answered 404"),
        ("/file", "not allowed"),
        ("/loop", "redirect"),
        ("/cut.png", "ended after|IncompleteRead"),
        ("/endless", "is over 2 MiB"),
    ],
)
def test_urls_that_fail(server: str, path: str, message: str) -> None:
    reading = Reading(limits=InputLimits(download_bytes=2 * 2**20, download_seconds=20))
    with pytest.raises(InputError, match=message):
        list(load_pictures(server + path, reading=reading))


def test_offline_refuses_urls(server: str) -> None:
    with pytest.raises(InputError, match="--offline forbids"):
        list(load_pictures(f"{server}/a.png", reading=Reading(offline=True)))
