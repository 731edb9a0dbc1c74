from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dvl2_cli.inputs.load import load_pictures
from dvl2_cli.inputs.picture import Picture


def saved(tmp_path: Path, image: Image.Image, name: str, **options: object) -> Picture:
    path = tmp_path / name
    image.save(path, **options)  # type: ignore[arg-type]
    (picture,) = load_pictures(path)
    assert picture.image.mode == "RGB"
    return picture


def oriented(orientation: int) -> tuple[Image.Image, bytes]:
    """A picture whose upright form has red in its top left quarter, and its EXIF."""
    upright = Image.new("RGB", (64, 32), "blue")
    upright.paste("red", (0, 0, 32, 16))
    undo = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    return upright if undo is None else upright.transpose(undo), exif.tobytes()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "heic", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    stored, exif = oriented(orientation)
    if suffix in ("heic", "avif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    options = {"quality": 95} if suffix != "tiff" else {}
    picture = saved(tmp_path, stored, f"a.{suffix}", exif=exif, **options)
    assert (picture.width, picture.height) == (64, 32)
    red, blue = picture.image.getpixel((8, 4)), picture.image.getpixel((56, 28))
    assert red[0] > 200 > 60 > red[2]  # type: ignore[index]
    assert blue[2] > 200 > 60 > blue[0]  # type: ignore[index]
    assert picture.orientation_applied is (orientation != 1)


def test_sixteen_bit_greys_are_scaled(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, 256).repeat(4, 0)
    for name in ("a.png", "a.tiff"):
        picture = saved(tmp_path, Image.fromarray(ramp), name)
        values = [picture.image.getpixel((x, 0))[0] for x in (0, 128, 255)]  # type: ignore[index]
        assert values == [0, 128, 255]


def test_float_greys_from_0_to_1_fill_the_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(1, 256)
    picture = saved(tmp_path, Image.fromarray(ramp), "a.tiff")
    assert picture.image.getpixel((255, 0)) == (255, 255, 255)


def test_other_ranges_are_stretched_and_said(tmp_path: Path) -> None:
    ramp = np.array([[-1000.0, 0.0, 1000.0, np.nan]], dtype=np.float32)
    picture = saved(tmp_path, Image.fromarray(ramp), "a.tiff")
    assert [picture.image.getpixel((x, 0))[0] for x in range(4)] == [0, 128, 255, 0]  # type: ignore[index]
    assert "scaled" in picture.notes[0]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "L", "CMYK", "YCbCr", "LAB"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    source = Image.new("RGB", (20, 10), "white")
    if mode == "LAB":
        image = Image.new("LAB", (20, 10), (255, 128, 128))
    elif mode == "LA":
        image = source.convert("L").convert("LA")
    else:
        image = source.convert(mode)
    picture = saved(tmp_path, image, "a.tiff" if mode in ("CMYK", "YCbCr", "LAB") else "a.png")
    assert min(picture.image.getpixel((5, 5))) >= 250  # type: ignore[arg-type]


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    half = Image.new("RGBA", (20, 10), (0, 0, 0, 128))
    palette = Image.new("P", (20, 10), 0)
    palette.putpalette([0, 0, 0] * 256)
    assert saved(tmp_path, clear, "a.png").image.getpixel((0, 0)) == (255, 255, 255)
    assert saved(tmp_path, half, "b.png").image.getpixel((0, 0)) == (127, 127, 127)
    shown = saved(tmp_path, palette, "c.png", transparency=0)
    assert shown.image.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animations_give_their_first_frame_and_say_so(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "green", "blue")]
    picture = saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:])
    assert picture.image.getpixel((0, 0))[0] > 200  # type: ignore[index]
    assert picture.frame == 0
    assert picture.notes == ("animated: read the first of 3 frames",)


def test_damaged_exif_does_not_lose_the_picture(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(buffer, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    path = tmp_path / "a.jpg"
    path.write_bytes(buffer.getvalue())
    (picture,) = load_pictures(path)
    assert (picture.width, picture.orientation_applied) == (20, False)
