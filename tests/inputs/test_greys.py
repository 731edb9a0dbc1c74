from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from tests.inputs.reading import encoded, levels, read


def row(*values: float, kind: type = np.uint16) -> Image.Image:
    return Image.fromarray(np.array([values], dtype=kind))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("white", [1, 15, 255, 1023, 4095, 16383])
def test_fewer_bits_in_sixteen_fill_the_range_and_say_so(
    tmp_path: Path, form: str, white: int
) -> None:
    picture = read(tmp_path, encoded(row(0, white), form))
    assert levels(picture) == [0, 255]
    assert picture.notes == (f"grey values end at {white}: {white} was taken for white",)


def test_twelve_bits_that_do_not_reach_white_keep_their_level(tmp_path: Path) -> None:
    picture = read(tmp_path, encoded(row(0, 2048, 3000), "PNG"))
    assert levels(picture) == [0, 128, 187]


def test_a_full_range_is_taken_as_it_is(tmp_path: Path) -> None:
    picture = read(tmp_path, encoded(row(0, 257 * 100, 65535), "PNG"))
    assert levels(picture) == [0, 100, 255]
    assert picture.notes == ()


def test_a_narrow_band_is_stretched_and_said(tmp_path: Path) -> None:
    picture = read(tmp_path, encoded(row(30000, 30500, 31000), "TIFF"))
    assert levels(picture) == [0, 128, 255]
    assert "hardly differ" in picture.notes[0]


@pytest.mark.parametrize("values", [(65535, 65535), (65535, 64000), (0, 0)])
def test_empty_pages_stay_empty(tmp_path: Path, values: tuple[int, int]) -> None:
    picture = read(tmp_path, encoded(row(*values), "PNG"))
    assert max(levels(picture)) - min(levels(picture)) < 10
    assert picture.notes == ()


def test_sixteen_bits_whose_least_value_is_white(tmp_path: Path) -> None:
    plain = encoded(row(0, 257 * 55, 65535), "TIFF")
    entry, inverted = (struct.pack("<HHIHH", 262, 3, 1, kind, 0) for kind in (1, 0))
    data = plain.replace(entry, inverted)
    assert data != plain
    assert levels(read(tmp_path, data)) == [255, 200, 0]


def test_the_declared_largest_value_is_white(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[281] = 30000
    picture = read(tmp_path, encoded(row(0, 15000, 30000), "TIFF", tiffinfo=tags))
    assert levels(picture) == [0, 128, 255]


@pytest.mark.parametrize(
    ("values", "kind", "shown"),
    [
        ((0, 1), np.int32, [0, 255]),
        ((0, 128, 255), np.int32, [0, 128, 255]),
        ((0, 4095), np.int32, [0, 255]),
        ((0, 70000, 140000), np.int32, [0, 128, 255]),
        ((-100, 0, 100), np.int32, [0, 128, 255]),
        ((0.0, 1.0), np.float32, [0, 255]),
        ((0.0, 4095.0), np.float32, [0, 255]),
        ((0.1, 0.101, 0.102), np.float32, [0, 128, 255]),
        ((0.0, 0.6, 1.2), np.float32, [0, 128, 255]),
    ],
)
def test_wider_numbers(
    tmp_path: Path, values: tuple[float, ...], kind: type, shown: list[int]
) -> None:
    found = levels(read(tmp_path, encoded(row(*values, kind=kind), "TIFF")))
    assert found == pytest.approx(shown, abs=1)


def test_many_rows_are_done_in_strips(tmp_path: Path) -> None:
    values = np.zeros((3000, 1000), dtype=np.uint16)
    values[-1] = 65535
    picture = read(tmp_path, encoded(Image.fromarray(values), "PNG"))
    assert picture.image.getpixel((0, 2998)) == (0, 0, 0)
    assert picture.image.getpixel((0, 2999)) == (255, 255, 255)
