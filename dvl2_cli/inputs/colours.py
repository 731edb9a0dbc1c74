"""Colours to sRGB, as viewers show them: profiles, gamma, CMYK, Lab, deep colours."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

_ICC_TAG = 34675
_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}
# A profile that moves no probe by more than this is sRGB under any name.
_SAME_LEVELS = 2
_SRGB_GAMMA = 1 / 2.2
# Under a quarter of 8 bits, a picture of 16 bits a channel is one of fewer bits.
_DARK_LEVEL = 64


def profile_of(image: Image.Image) -> bytes | None:
    """The embedded ICC profile of the frame that ``image`` stands at."""
    if image.format == "TIFF":  # Pillow's ``info`` keeps the profile of an earlier page
        profile = getattr(image, "tag_v2", {}).get(_ICC_TAG)
    else:
        profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and profile else None


def srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """``image``, of mode L, RGB, CMYK, LAB or one that converts to RGB, as sRGB in mode RGB.

    A profile that is damaged or of another colour space is left aside, which ``notes`` say.
    """
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode not in _SPACES:
        image = image.convert("RGB")
    if profile is not None:
        converted = _by_profile(image, profile, notes)
        if converted is not None:
            return converted
    if image.mode == "LAB":
        return _transformed(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    return image if image.mode == "RGB" else image.convert("RGB")


def _by_profile(image: Image.Image, data: bytes, notes: list[str]) -> Image.Image | None:
    """``image`` through its profile; None where that changes nothing or cannot be done."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        space = str(profile.profile.xcolor_space).strip()
        if space != _SPACES[image.mode]:
            # A grey picture in a file with an RGB profile is common, and viewers show it as it is.
            if image.mode != "L":
                notes.append(f"the colour profile is for {space} and was left aside")
            return None
        if _changes_nothing(image.mode, profile):
            return None
        return _transformed(image, profile)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        notes.append("the colour profile is damaged and was left aside")
        return None


def _transformed(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    converted = ImageCms.profileToProfile(image, profile, target, outputMode="RGB")
    assert converted is not None  # noqa: S101  inPlace is off, so a picture comes back
    return converted


def _changes_nothing(mode: str, profile: ImageCms.ImageCmsProfile) -> bool:
    """Whether a grid of colours comes out as it went in: sRGB needs no slow conversion."""
    if mode not in ("RGB", "L"):
        return False
    levels = np.linspace(0, 255, 16).astype(np.uint8)
    if mode == "L":
        probe = Image.fromarray(levels.reshape(1, -1))
    else:
        grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(16, 256, 3)
        probe = Image.fromarray(grid)
    before = np.asarray(probe.convert("RGB")).astype(int)
    after = np.asarray(_transformed(probe, profile)).astype(int)
    return bool(np.abs(after - before).max() <= _SAME_LEVELS)


def by_gamma(image: Image.Image, info: dict[str | tuple[int, int], object]) -> Image.Image:
    """``image`` with the gamma of a PNG's ``gAMA`` applied, where no ``sRGB`` outweighs it."""
    gamma = info.get("gamma")
    if not isinstance(gamma, float) or not 0.05 <= gamma <= 5 or "srgb" in info:
        return image
    exponent = _SRGB_GAMMA / gamma
    if abs(exponent - 1) < 0.05:
        return image
    curve = [round(255 * (level / 255) ** exponent) for level in range(256)]
    return image.point(curve * len(image.getbands()))


def is_deep(image: Image.Image) -> bool:
    """Whether ``image``, not yet loaded, has 16 bits a channel in colour.

    Pillow keeps the upper 8 of them.
    """
    tiles = getattr(image, "tile", None)
    if image.mode not in ("RGB", "RGBA", "LA") or not tiles:
        return False
    arguments = tiles[0][3]
    raw = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return isinstance(raw, str) and ";16" in raw


def brightened(image: Image.Image, notes: list[str]) -> Image.Image:
    """A deep colour picture whose values stay in the lower quarter, scaled to its white point."""
    highest = max(high for _, high in image.getextrema()[:3])  # type: ignore[misc]
    if highest >= _DARK_LEVEL:
        return image
    if highest == 0:
        notes.append("no colour value reaches 256 of 65535, so the picture is black")
        return image
    white = 2 ** int(highest).bit_length() - 1
    notes.append(f"colours end under {(white + 1) * 256} of 65535: that was taken for white")
    return image.point([min(255, round(level * 255 / white)) for level in range(256)] * 3)
