"""Any Pillow picture to RGB as a person would see it: turned upright, on white, 8 bits."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageCms

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WIDE_GREYS = ("I;16", "I;16B", "I;16L", "I;16N")


def upright_rgb(image: Image.Image) -> tuple[Image.Image, bool, list[str]]:
    """Turn ``image`` by its EXIF orientation and convert it to RGB.

    Transparent parts become white, deep greys are scaled to 0..255 (upstream clips them).

    Returns:
        the picture; whether it was turned or mirrored; what the user should know.
    """
    notes: list[str] = []
    turned, applied = _turn(image, notes)
    return _to_rgb(turned, notes), applied, notes


def _turn(image: Image.Image, notes: list[str]) -> tuple[Image.Image, bool]:
    try:
        # Read before the pixels: Pillow's TIFF reader turns them itself and drops the tag.
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # EXIF is untrusted: any parser error means that it cannot be read
        notes.append("the EXIF data is damaged, so the picture was not turned")
        image.load()
        return image, False
    image.load()
    turns = orientation in range(2, 9)
    if turns and image.format != "TIFF":
        image = image.transpose(_TURNS[orientation])
    # The HEIF decoder turns the picture and says what the tag was.
    return image, turns or image.info.get("original_orientation") in range(2, 9)


def _to_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    if image.mode in _WIDE_GREYS:
        return _eight_bits(np.asarray(image).astype(np.float64) / 257.0)
    if image.mode in ("I", "F"):
        return _eight_bits(_scaled(np.asarray(image).astype(np.float64), notes))
    if image.mode == "LAB":
        return _from_lab(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _on_white(image)
    # A copy even where nothing changes, so that the file's bytes can be let go.
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(grey_hw: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(grey_hw + 0.5, 0, 255).astype(np.uint8)).convert("RGB")


def _scaled(grey_hw: np.ndarray, notes: list[str]) -> np.ndarray:
    """Greys without a fixed white point to 0..255."""
    finite = grey_hw[np.isfinite(grey_hw)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    grey_hw = np.nan_to_num(grey_hw, nan=low, posinf=high, neginf=low)
    if low >= 0 and high <= 1 and not np.array_equal(finite, np.round(finite)):
        return grey_hw * 255.0
    if low >= 0 and high <= 255:
        return grey_hw
    if low >= 0 and 255 < high <= 65535:
        return grey_hw / 257.0
    notes.append(f"grey values {low:g}..{high:g} were scaled to 0..255")
    return (grey_hw - low) * (255.0 / (high - low)) if high > low else grey_hw * 0.0


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layer).convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None  # noqa: S101  inPlace is off, so a picture comes back
    return converted
