from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dvl2_cli.errors import InputError
from tests.inputs.reading import encoded, read

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (320, 200, 3), dtype=np.uint8))


def share_of(note: str) -> int:
    match = re.fullmatch(r"the file is cut off: (\d+)% of the picture is missing", note)
    assert match is not None
    return int(match[1])


@pytest.mark.parametrize("size", [(8, 8), (33, 17), (200, 320)])
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"restart_marker_rows": 1}])
def test_a_jpeg_without_its_end_mark_has_all_its_pixels(
    tmp_path: Path, size: tuple[int, int], options: dict[str, int]
) -> None:
    whole = encoded(PICTURE.crop((0, 0, *size)), "JPEG", **options)
    cut = read(tmp_path, whole[:-2])
    assert cut.image.tobytes() == read(tmp_path, whole).image.tobytes()
    # Where the decoder never asks for the mark, there is nothing to say.
    assert cut.notes in ((), ("the file is cut off: only its end mark is missing",))


@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 2}, {"restart_marker_blocks": 3}])
@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9])
def test_a_jpeg_says_which_share_is_missing(
    tmp_path: Path, options: dict[str, int], kept: float
) -> None:
    whole = encoded(PICTURE, "JPEG", **options)
    picture = read(tmp_path, whole[: int(len(whole) * kept)])
    missing = share_of(picture.notes[0])
    # Noise takes the same bytes everywhere.
    assert missing == pytest.approx(100 * (1 - kept), abs=8)
    rows = int(picture.height * (1 - missing / 100)) - 16
    box = (0, 0, picture.width, rows)
    reference = read(tmp_path, whole).image.crop(box)
    assert picture.image.crop(box).tobytes() == reference.tobytes()


def test_a_progressive_jpeg_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = encoded(PICTURE, "JPEG", progressive=True)
    picture = read(tmp_path, whole[: int(len(whole) * 0.8)])
    assert picture.notes == ("the file is cut off: finer passes may be missing",)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_nothing_left_is_an_error(tmp_path: Path, form: str) -> None:
    whole = encoded(PICTURE, form)
    with pytest.raises(InputError, match="is cut off"):
        read(tmp_path, whole[: len(whole) // 20])


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA"])
def test_a_png_without_its_end_keeps_its_rows(tmp_path: Path, mode: str) -> None:
    image = PICTURE.convert(mode)
    whole = encoded(image, "PNG")
    picture = read(tmp_path, whole[: len(whole) // 2])
    missing = share_of(picture.notes[0])
    assert 30 <= missing <= 70
    rows = int(picture.height * (1 - missing / 100)) - 2
    box = (0, 0, picture.width, rows)
    reference = image.convert("RGB").crop(box)
    assert picture.image.crop(box).tobytes() == reference.tobytes()
