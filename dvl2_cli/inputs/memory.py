"""What decoding a picture takes, counted against ``--max-memory`` before it is decoded."""

from __future__ import annotations

from dvl2_cli.inputs.picture import InputLimits, PictureMemoryError
from dvl2_cli.sizes import format_size

# Most bytes of a pixel that are alive at once, by Pillow's mode: while the picture is decoded, or
# while the RGB picture (4) is written out as bytes (6, for a moment) to be hashed or sent.
# Measured as growth of peak resident memory at 40 megapixels.
BYTES_PER_PIXEL = {
    "1": 10, "L": 10, "RGB": 10, "CMYK": 12, "YCbCr": 12, "LAB": 12,
    "I;16": 10, "I;16B": 10, "I;16L": 10, "I;16N": 10, "I": 10, "F": 10,
}  # fmt: skip
# Palettes and transparency: colours, alpha and what lies below are layers of their own.
MAX_BYTES_PER_PIXEL = 18


def memory_of(size: tuple[int, int], mode: str) -> int:
    """Bytes that a picture of ``mode`` takes while it is read and shown to a model."""
    return size[0] * size[1] * BYTES_PER_PIXEL.get(mode, MAX_BYTES_PER_PIXEL)


def check_memory(path: str, size: tuple[int, int], mode: str, limits: InputLimits) -> None:
    """Refuse a picture that does not fit, before it is decoded.

    Raises:
        PictureMemoryError: it takes more than ``limits.memory_bytes``.
    """
    needed, room = memory_of(size, mode), limits.memory_bytes
    if room is not None and needed > room:
        raise PictureMemoryError(
            f"{path} is {size[0]} x {size[1]} pixels: reading it takes {format_size(needed)}, "
            f"and --max-memory leaves {format_size(room)} for pictures",
            "Shrink it first, or give a larger --max-memory.",
        )


def page_pixels(limits: InputLimits) -> int:
    """The most pixels that a page of a PDF is rendered with: a larger one gets fewer dpi."""
    pixels = min(limits.pixels, limits.page_pixels)
    if limits.memory_bytes is not None:
        pixels = min(pixels, max(1, limits.memory_bytes // BYTES_PER_PIXEL["RGB"]))
    return pixels
