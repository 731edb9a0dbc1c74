from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.inputs.reading import encoded, png_chunk, read, with_chunks

RED = Image.new("RGB", (20, 10), (220, 20, 20))


def profile(swapped: bool = False) -> bytes:
    """sRGB, or a profile whose red and green are exchanged."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if not swapped:
        return data
    return data.replace(b"rXYZ", b"tmp!").replace(b"gXYZ", b"rXYZ").replace(b"tmp!", b"gXYZ")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
def test_profiles_are_applied(tmp_path: Path, form: str) -> None:
    picture = read(tmp_path, encoded(RED, form, icc_profile=profile(swapped=True)))
    red, green, _ = picture.image.getpixel((9, 5))  # type: ignore[misc]
    assert green > 200 > 60 > red
    assert picture.notes == ()


def test_each_page_has_its_own_profile(tmp_path: Path) -> None:
    from dvl2_cli.inputs.load import load_pictures

    first, second = RED.copy(), RED.copy()
    first.info["icc_profile"] = profile(swapped=True)
    first.encoderinfo = {"icc_profile": profile(swapped=True)}
    second.encoderinfo = {"icc_profile": profile()}
    (tmp_path / "a.tif").write_bytes(
        encoded(first, "TIFF", save_all=True, append_images=[second, RED])
    )
    greens = [
        page.image.getpixel((9, 5))[1] > 200  # type: ignore[index]
        for page in load_pictures(tmp_path / "a.tif")
    ]
    assert greens == [True, False, False]


def test_srgb_changes_no_pixel(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    picture = read(tmp_path, encoded(Image.fromarray(noise), "PNG", icc_profile=profile()))
    assert np.array_equal(np.asarray(picture.image), noise)


def test_transparency_survives_a_profile(tmp_path: Path) -> None:
    layer = RED.convert("RGBA")
    layer.putpixel((0, 0), (0, 0, 0, 0))
    picture = read(tmp_path, encoded(layer, "PNG", icc_profile=profile(swapped=True)))
    assert picture.image.getpixel((0, 0)) == (255, 255, 255)
    assert picture.image.getpixel((9, 5))[1] > 200  # type: ignore[index]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("broken", [b"no profile", b"\0" * 200, profile()[:300]])
def test_a_broken_profile_is_left_aside_and_said(tmp_path: Path, form: str, broken: bytes) -> None:
    picture = read(tmp_path, encoded(RED, form, icc_profile=broken))
    red, green, _ = picture.image.getpixel((9, 5))  # type: ignore[misc]
    assert red > 200 > 60 > green
    assert picture.notes == ("the colour profile is damaged and was left aside",)


def test_a_profile_of_another_colour_space_is_left_aside(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    picture = read(tmp_path, encoded(RED, "PNG", icc_profile=lab))
    assert picture.image.getpixel((9, 5)) == (220, 20, 20)
    assert picture.notes == ("the colour profile is for Lab and was left aside",)


def test_gamma_is_applied_unless_srgb_outweighs_it(tmp_path: Path) -> None:
    plain = encoded(Image.new("L", (4, 4), 64), "PNG")
    linear = png_chunk(b"gAMA", (100_000).to_bytes(4, "big"))
    srgb = png_chunk(b"sRGB", b"\0")
    grey = {
        name: read(tmp_path, with_chunks(plain, *chunks)).image.getpixel((0, 0))[0]  # type: ignore[index]
        for name, chunks in {"none": (), "linear": (linear,), "both": (linear, srgb)}.items()
    }
    assert grey == {"none": 64, "linear": 136, "both": 64}


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_white_stays_white(tmp_path: Path, form: str) -> None:
    page = Image.new("CMYK", (40, 20), (0, 0, 0, 0))
    page.paste((0, 255, 255, 0), (0, 0, 16, 16))
    image = read(tmp_path, encoded(page, form)).image
    assert min(image.getpixel((36, 16))) > 245  # type: ignore[arg-type]
    red, green, _ = image.getpixel((4, 4))  # type: ignore[misc]
    assert red > 200 > 60 > green


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel from [H, W, 3] numbers."""
    import zlib

    height, width, _ = values.shape
    rows = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((16, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )


def test_colours_of_twelve_bits_in_sixteen_are_brightened_and_said(tmp_path: Path) -> None:
    values = np.zeros((2, 3, 3), dtype=np.uint16)
    values[:, 1] = (4095, 0, 0)
    values[:, 2] = 4095
    picture = read(tmp_path, deep_png(values))
    assert [picture.image.getpixel((x, 0)) for x in range(3)] == [
        (0, 0, 0), (255, 0, 0), (255, 255, 255),
    ]  # fmt: skip
    assert "4096 of 65535" in picture.notes[0]


def test_colours_of_sixteen_bits_keep_their_range(tmp_path: Path) -> None:
    values = np.full((2, 3, 3), 40_000, dtype=np.uint16)
    picture = read(tmp_path, deep_png(values))
    assert picture.image.getpixel((0, 0)) == (156, 156, 156)
    assert picture.notes == ()


def test_the_icc_profile_of_heic_is_applied(tmp_path: Path) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    RED.save(buffer, "HEIF", icc_profile=profile(swapped=True), quality=90)
    red, green, _ = read(tmp_path, buffer.getvalue()).image.getpixel((9, 5))  # type: ignore[misc]
    assert green > 200 > 60 > red
