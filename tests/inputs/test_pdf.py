"""PDFs that are protected, damaged or hostile: each page is read, or says why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from dvl2_cli.errors import InputError
from dvl2_cli.inputs.load import Reading, load_pictures, read_all
from dvl2_cli.inputs.picture import InputLimits, Picture, Unreadable
from tests.inputs.pdfs import PAGE, RED_SQUARE, one_page, pages_of, pdf_of, protected, stream
from tests.inputs.reading import encoded

HALF = Reading(dpi=36)


def read(tmp_path: Path, data: bytes, reading: Reading = HALF) -> list[Picture | Unreadable]:
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    return list(read_all([path], reading=reading))


def only(found: list[Picture | Unreadable]) -> Picture:
    (picture,) = found
    assert isinstance(picture, Picture), picture.error.message
    return picture


def failure(found: list[Picture | Unreadable]) -> str:
    (failed,) = found
    assert isinstance(failed, Unreadable)
    return failed.error.message


def scan(
    picture: bytes, content: bytes = b"q 100 0 0 50 0 0 cm /I Do Q", codec: str = "DCT"
) -> bytes:
    keys = b"/Type /XObject /Subtype /Image /Width 40 /Height 20 /ColorSpace /DeviceRGB"
    keys += b" /BitsPerComponent 8 /Filter /%sDecode" % codec.encode()
    return one_page(content, b"/XObject << /I 5 0 R >>", stream(picture, keys))


JPEG = encoded(Image.new("RGB", (40, 20), "blue"), "JPEG")


def test_a_page_is_rendered_in_its_colours(tmp_path: Path) -> None:
    picture = only(read(tmp_path, one_page(RED_SQUARE), Reading(dpi=72)))
    assert (picture.width, picture.height, picture.page) == (100, 50, 1)
    assert picture.image.getpixel((10, 10)) == (255, 0, 0)
    assert picture.image.getpixel((90, 40)) == (255, 255, 255)
    assert picture.notes == ()


def test_scans_that_cannot_be_decoded_fail_or_warn(tmp_path: Path) -> None:
    assert only(read(tmp_path, scan(JPEG))).notes == ()
    assert "cannot be decoded, and nothing else" in failure(read(tmp_path, scan(b"no jpeg")))
    assert "cannot be decoded" in failure(read(tmp_path, scan(JPEG, codec="JPX")))
    beside = scan(b"no jpeg", b"q 20 0 0 20 80 0 cm /I Do Q " + RED_SQUARE)
    assert only(read(tmp_path, beside)).notes == (
        "a picture on page 1 cannot be decoded and is missing",
    )


def test_a_scan_inside_a_form_is_looked_at_too(tmp_path: Path) -> None:
    keys = b"/Type /XObject /Subtype /Image /Width 40 /Height 20 /ColorSpace /DeviceRGB"
    keys += b" /BitsPerComponent 8 /Filter /DCTDecode"
    form = stream(
        b"q 100 0 0 50 0 0 cm /I Do Q",
        b"/Type /XObject /Subtype /Form /BBox [0 0 100 50]"
        b" /Resources << /XObject << /I 6 0 R >> >>",
    )
    data = one_page(b"/F Do", b"/XObject << /F 5 0 R >>", form, stream(b"no jpeg", keys))
    assert "cannot be decoded" in failure(read(tmp_path, data))


def self_drawing(page_count: int = 3) -> bytes:
    """Forms that draw themselves, twice each time, on the second page."""
    resources = b"/Resources << /XObject << /F 6 0 R >> >>"
    return pages_of(
        b"3 0 R 4 0 R 3 0 R",
        page_count,
        PAGE,
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 50] /Contents 5 0 R %s >>" % resources,
        stream(b"/F Do"),
        stream(b"/F Do /F Do " * 20, b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] " + resources),
    )


def nested(levels: int = 12, fan: int = 10) -> bytes:
    """Forms that draw the next ten times, twelve levels deep."""
    forms = []
    for level in range(levels):
        last = level == levels - 1
        forms.append(
            stream(
                b"0 0 1 1 re f " if last else b"/F Do " * fan,
                b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] "
                + (b"" if last else b"/Resources << /XObject << /F %d 0 R >> >>" % (level + 6)),
            )
        )
    return one_page(b"/F Do", b"/XObject << /F 5 0 R >>", *forms)


@pytest.mark.parametrize("data", [self_drawing(), nested()])
def test_a_page_without_end_costs_that_page_only(tmp_path: Path, data: bytes) -> None:
    limits = InputLimits(page_seconds=3.0, page_bytes=600 * 2**20)
    found = read(tmp_path, data, Reading(dpi=36, limits=limits))
    outcomes = [(item.page, isinstance(item, Picture)) for item in found]
    expected = [(1, True), (2, False), (3, True)] if len(found) == 3 else [(1, False)]
    assert outcomes == expected
    message = next(item.error.message for item in found if isinstance(item, Unreadable))
    assert re.search("more than 3 seconds|GiB of memory", message)


def test_a_huge_page_is_rendered_at_fewer_pixels(tmp_path: Path) -> None:
    data = one_page(RED_SQUARE, size=b"14400 14400")
    limits = InputLimits(page_pixels=250_000)
    picture = only(read(tmp_path, data, Reading(dpi=200, limits=limits)))
    assert picture.width * picture.height <= 250_000
    assert "rendered at 2 instead of 200 dpi" in picture.notes[0]
    assert InputLimits().page_pixels <= 64_000_000


@pytest.mark.parametrize(
    ("data", "pages"),
    [
        (pages_of(b"3 0 R", 5, PAGE), [True, False, False, False, False]),
        (pages_of(b"3 0 R 9 0 R 3 0 R", 3, PAGE), [True, False, True]),
        (pages_of(b"3 0 R 2 0 R", 2, PAGE), [True, False]),
        (pages_of(b"3 0 R", 1_000_000_000, PAGE), [True]),
        (pages_of(b"3 0 R", -3, PAGE), [True]),
    ],
)
def test_good_pages_of_a_bad_tree_are_read(tmp_path: Path, data: bytes, pages: list[bool]) -> None:
    assert [isinstance(item, Picture) for item in read(tmp_path, data)] == pages


def test_a_count_far_too_high_does_not_hide_the_pages(tmp_path: Path) -> None:
    found = read(tmp_path, pages_of(b"3 0 R 3 0 R", 100_000, PAGE))
    assert [isinstance(item, Picture) for item in found] == [True, True, False]
    assert "says that it has 100000 pages" in failure(found[2:])


def test_no_pages_and_no_pdf(tmp_path: Path) -> None:
    assert "PDF" in failure(read(tmp_path, pages_of(b"", 0)))
    assert "damaged PDF" in failure(read(tmp_path, pdf_of(b"<< >>")[:60]))


def test_protected_pdfs_open_with_their_password(tmp_path: Path) -> None:
    locked = protected("geheim")
    for word in ("geheim", "owner"):
        picture = only(read(tmp_path, locked, Reading(dpi=72, password=word)))
        assert picture.image.getpixel((10, 10)) == (255, 0, 0)
    assert failure(read(tmp_path, locked)).endswith("is protected by a password")
    wrong = failure(read(tmp_path, locked, Reading(password="falsch")))
    assert "the password does not open" in wrong
    assert "falsch" not in wrong
    free = protected("")
    assert only(read(tmp_path, free, Reading(dpi=72))).image.getpixel((10, 10)) == (255, 0, 0)
    only(read(tmp_path, one_page(RED_SQUARE), Reading(password="unneeded")))


def test_a_reader_that_stops_early_leaves_no_process(tmp_path: Path) -> None:
    import psutil

    path = tmp_path / "a.pdf"
    path.write_bytes(pages_of(b"3 0 R 3 0 R", 2, PAGE))
    pages = load_pictures(path, reading=HALF)
    next(pages)
    children = [
        child
        for child in psutil.Process().children()
        # Another test's child may be over and not be waited for yet.
        if child.status() != psutil.STATUS_ZOMBIE and "pdf_child.py" in " ".join(child.cmdline())
    ]
    assert children
    pages.close()  # type: ignore[attr-defined]
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive


def test_bytes_and_a_child_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    import base64
    import sys

    data = base64.b64encode(one_page(RED_SQUARE)).decode()
    (picture,) = load_pictures(f"data:application/pdf;base64,{data}", reading=HALF)
    assert picture.width == 50
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(InputError, match="cannot start the process that reads PDFs"):
        list(load_pictures(f"data:application/pdf;base64,{data}"))


def test_many_pages_of_one_document(tmp_path: Path) -> None:
    found = read(tmp_path, pages_of(b"3 0 R " * 40, 40, PAGE))
    assert [item.page for item in found if isinstance(item, Picture)] == list(range(1, 41))
