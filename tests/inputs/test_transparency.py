from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from tests.inputs.reading import encoded, png_chunk, read

CLEAR = (0, 0, 0, 0)


def print_of(*colours: tuple[int, ...], ground: tuple[int, ...] = CLEAR) -> Image.Image:
    """Bars of ``colours``, as letters have, on a transparent ground."""
    image = Image.new("RGBA", (80, 20), ground)
    draw = ImageDraw.Draw(image)
    for index, x in enumerate(range(4, 76, 8)):
        draw.rectangle((x, 4, x + 2, 15), fill=colours[index % len(colours)])
    return image


def contrast(image: Image.Image, x: int) -> int:
    """The least difference of the bar that begins at ``x`` from the ground beside it."""
    bar, ground = image.getpixel((x, 8)), image.getpixel((0, 0))
    return max(abs(a - b) for a, b in zip(bar, ground, strict=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "GIF"])
@pytest.mark.parametrize("colour", [(255, 255, 255, 255), (250, 250, 240, 255)])
def test_white_print_can_be_seen(tmp_path: Path, form: str, colour: tuple[int, ...]) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    picture = read(tmp_path, encoded(print_of(colour), form, **options))
    assert contrast(picture.image, 4) > 200
    assert picture.notes == ("light print on a transparent ground: laid on black instead of white",)


def test_white_print_in_greys_and_faint_white_print_can_be_seen(tmp_path: Path) -> None:
    grey = print_of((255, 255, 255, 255)).convert("LA")
    assert contrast(read(tmp_path, encoded(grey, "PNG")).image, 4) == 255
    faint = print_of((255, 255, 255, 90), ground=(255, 255, 255, 0))
    assert contrast(read(tmp_path, encoded(faint, "PNG")).image, 4) == 90


def test_print_of_both_kinds_is_laid_on_grey(tmp_path: Path) -> None:
    both = print_of((255, 255, 255, 255), (0, 0, 0, 255))
    picture = read(tmp_path, encoded(both, "PNG"))
    assert min(contrast(picture.image, 4), contrast(picture.image, 12)) >= 120
    assert "grey" in picture.notes[0]


def test_dark_and_coloured_print_stays_on_white(tmp_path: Path) -> None:
    for colour in ((0, 0, 0, 255), (200, 30, 30, 255), (150, 150, 150, 255)):
        picture = read(tmp_path, encoded(print_of(colour), "PNG"))
        assert picture.image.getpixel((0, 0)) == (255, 255, 255)
        assert picture.notes == ()


def test_an_opaque_page_is_not_changed(tmp_path: Path) -> None:
    page = print_of((0, 0, 0, 255), ground=(255, 255, 255, 255))
    picture = read(tmp_path, encoded(page, "PNG"))
    assert picture.image.tobytes() == page.convert("RGB").tobytes()
    assert picture.notes == ()


@pytest.mark.parametrize(
    ("colour_type", "sample", "key"),
    [
        (0, b"\x40\x00", b"\x40\x00"),
        (2, b"\x40\x00\x80\x00\xff\xff", b"\x40\x00\x80\x00\xff\xff"),
        (2, b"\x00\x07\x00\x07\x00\x07", b"\x00\x07\x00\x07\x00\x07"),
    ],
)
def test_the_transparent_colour_of_sixteen_bits(
    tmp_path: Path, colour_type: int, sample: bytes, key: bytes
) -> None:
    other = b"\x80\x00" * (len(sample) // 2)
    rows = (b"\0" + sample * 8 + other * 8) * 8
    header = struct.pack(">IIBBBBB", 16, 8, 16, colour_type, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        png_chunk(name, body)
        for name, body in (
            (b"IHDR", header), (b"tRNS", key), (b"IDAT", zlib.compress(rows)), (b"IEND", b""),
        )
    )  # fmt: skip
    picture = read(tmp_path, data)
    assert picture.image.getpixel((2, 4)) == (255, 255, 255)
    assert picture.image.getpixel((13, 4)) == (128, 128, 128)
