"""Any Pillow picture to RGB as a viewer shows it: turned upright, in sRGB, 8 bits, opaque."""

from __future__ import annotations

from PIL import Image

from dvl2_cli.inputs import colours
from dvl2_cli.inputs.greys import WIDE_MODES, eight_bits, key_alpha
from dvl2_cli.inputs.transparency import on_ground

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
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}


def upright_rgb(
    image: Image.Image, profile: bytes | None = None
) -> tuple[Image.Image, bool, list[str]]:
    """Turn ``image`` by its EXIF orientation and convert it to opaque sRGB.

    Args:
        image: a picture, loaded or not, at the frame to read.
        profile: an ICC profile instead of the one that the picture holds.

    Returns:
        the picture; whether it was turned or mirrored; what the user should know.
    """
    notes: list[str] = []
    profile = profile or colours.profile_of(image)
    deep = colours.is_deep(image)
    is_png = image.format == "PNG"
    turned, applied = _turn(image, notes)
    if deep:
        _shorten_key(turned)
    rgb, alpha = _layers(turned, profile, notes)
    if is_png and profile is None:
        rgb = colours.by_gamma(rgb, image.info)
    if deep:
        rgb = colours.brightened(rgb, notes)
    if alpha is not None:
        rgb = on_ground(rgb, alpha, notes)
    if rgb is image and getattr(image, "n_frames", 1) > 1:
        rgb = rgb.copy()  # further frames would keep the file's bytes
    # A picture that is saved again must not carry the profile that is applied already.
    rgb.info = {}
    return rgb, applied, notes


def _turn(image: Image.Image, notes: list[str]) -> tuple[Image.Image, bool]:
    if image.format != "TIFF":
        # EXIF may follow the pixels.
        image.load()
    try:
        # Of a TIFF before the pixels: Pillow's reader turns them itself and drops the tag.
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # EXIF is untrusted: any parser error means that it cannot be read
        notes.append("the EXIF data is damaged, so the picture was not turned")
        image.load()
        return image, False
    image.load()
    turns = orientation in range(2, 9)
    # The HEIF decoder turns the picture and says what the tag was.
    applied = turns or image.info.get("original_orientation") in range(2, 9)
    if turns and image.format != "TIFF":
        return image.transpose(_TURNS[orientation]), applied
    return image, applied


def _shorten_key(image: Image.Image) -> None:
    """The transparent colour of a PNG with 16 bits a channel, in the 8 bits that Pillow reads."""
    key = image.info.get("transparency")
    if isinstance(key, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _layers(
    image: Image.Image, profile: bytes | None, notes: list[str]
) -> tuple[Image.Image, Image.Image | None]:
    """The colours in sRGB and, where there is transparency, the alpha."""
    if image.mode in WIDE_MODES:
        alpha = key_alpha(image)
        return colours.srgb(eight_bits(image, notes), profile, notes), alpha
    if image.mode in _PREMULTIPLIED:
        image = image.convert(_PREMULTIPLIED[image.mode])
    elif image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode not in ("RGBA", "LA"):
        return colours.srgb(image, profile, notes), None
    return colours.srgb(image.convert(image.mode[:-1]), profile, notes), image.getchannel("A")
