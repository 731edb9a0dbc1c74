"""Files that viewers show: much metadata, marks of other formats, previews beside pages."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from dvl2_cli.inputs.picture import Picture, Unreadable
from tests.inputs.reading import encoded, png_chunk, read, read_each, with_chunks

RED = Image.new("RGB", (20, 10), "red")
PLAIN = encoded(RED, "PNG")
LONG = b"workflow " * 400_000

METADATA = {
    "zTXt": png_chunk(b"zTXt", b"prompt\0\0" + zlib.compress(LONG)),
    "iTXt": png_chunk(b"iTXt", b"prompt\0\0\0\0\0" + LONG),
    "packed iTXt": png_chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(LONG)),
    "tEXt": png_chunk(b"tEXt", b"prompt\0" + LONG),
    "bad checksum": png_chunk(b"tEXt", b"prompt\0few words")[:-4] + b"none",
    "long exif": png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(LONG)),
    "many": png_chunk(b"tEXt", b"a\0" + LONG) * 20,
}


@pytest.mark.parametrize("kind", METADATA)
@pytest.mark.parametrize("at_end", [False, True])
def test_pngs_with_much_metadata_are_read(tmp_path: Path, kind: str, at_end: bool) -> None:
    picture = read(tmp_path, with_chunks(PLAIN, METADATA[kind], at_end=at_end))
    assert picture.image.getpixel((5, 5)) == (255, 0, 0)
    assert picture.notes == ()


def test_a_png_with_a_large_profile_that_is_none_is_read(tmp_path: Path) -> None:
    chunk = png_chunk(b"iCCP", b"screen\0\0" + zlib.compress(LONG))
    picture = read(tmp_path, with_chunks(PLAIN, chunk))
    assert picture.image.getpixel((5, 5)) == (255, 0, 0)
    assert "profile" in picture.notes[0]


def test_the_orientation_in_a_text_chunk_is_kept(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    text = f"\nexif\n{len(raw):8}\n{raw.hex()}\n".encode()
    chunk = png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
    picture = read(tmp_path, with_chunks(PLAIN, chunk))
    assert (picture.width, picture.height) == (10, 20)
    assert picture.orientation_applied


def test_a_mark_of_a_pdf_in_a_picture_makes_it_no_pdf(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "%PDF-1.7")
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[270] = "%PDF-1.7"
    for data in (
        encoded(RED, "PNG", pnginfo=text),
        encoded(RED, "JPEG", comment=b"\n%PDF-1.7\n"),
        encoded(RED, "GIF", comment=b"%PDF-1.7"),
        encoded(RED, "WEBP", xmp=b"%PDF-1.7", lossless=True),
        encoded(RED, "TIFF", tiffinfo=tags),
        b"P6\n# %PDF-1.7\n20 10\n255\n" + bytes((255, 0, 0)) * 200,
    ):
        assert b"%PDF-" in data[:1024]
        assert read(tmp_path, data).image.getpixel((5, 5))[0] > 200  # type: ignore[index]


def test_text_about_pdfs_is_text_and_a_pdf_may_have_junk_before_it(tmp_path: Path) -> None:
    (failed,) = read_each(tmp_path, b"A file that starts with %PDF-1.7 is a PDF.\n")
    assert "it holds text" in failed.error.message  # type: ignore[union-attr]
    pdf = encoded(RED, "PDF", resolution=200)
    assert read(tmp_path, b"\r\n\x1b%-12345X\0" + pdf).width == 20


def pages(*kinds: dict[int, int]) -> bytes:
    """A TIFF with a frame for each, of widths 20, 40, …, and these tags."""
    frames = []
    for index, tags in enumerate(kinds):
        frame = Image.new("RGB", (20 * (index + 1), 10), (50 * index, 0, 0))
        frame.encoderinfo = {"tiffinfo": TiffImagePlugin.ImageFileDirectory_v2()}
        for number, value in tags.items():
            frame.encoderinfo["tiffinfo"][number] = value
        frames.append(frame)
    first = frames[0].encoderinfo["tiffinfo"]
    return encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:], tiffinfo=first)


def widths(found: list[Picture | Unreadable]) -> list[tuple[int | None, int]]:
    return [(item.page, item.width) for item in found if isinstance(item, Picture)]


@pytest.mark.parametrize("tag", [{254: 1}, {254: 4}, {254: 5}, {255: 2}])
def test_previews_and_masks_of_a_tiff_are_no_pages(tmp_path: Path, tag: dict[int, int]) -> None:
    assert widths(read_each(tmp_path, pages({}, tag))) == [(None, 20)]
    assert widths(read_each(tmp_path, pages(tag, {}))) == [(None, 40)]
    assert widths(read_each(tmp_path, pages({}, tag, {254: 2}, {255: 3}))) == [
        (1, 20), (2, 60), (3, 80),
    ]  # fmt: skip


def test_a_tiff_of_previews_alone_is_read(tmp_path: Path) -> None:
    assert widths(read_each(tmp_path, pages({254: 1}, {254: 1}))) == [(1, 20), (2, 40)]
