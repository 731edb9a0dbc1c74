"""Which frames of a TIFF are pages: previews, pyramid levels and masks are none."""

from __future__ import annotations

from PIL import Image

_NEW_SUBFILE_TYPE, _SUBFILE_TYPE, _PHOTOMETRIC = 254, 255, 262
_SUB_DIRECTORIES = 330
_REDUCED, _MASK = 1, 4
_OLD_REDUCED = 2
_TRANSPARENCY_MASK = 4


def page_frames(image: Image.Image, count: int) -> list[int]:
    """0-based frames that hold a page; all of them where none says so.

    Args:
        image: an open TIFF; left at its first frame.
        count: how many frames it has.
    """
    pages = []
    for frame in range(count):
        try:
            image.seek(frame)
            is_page = _is_page(image)
        except Exception:  # a damaged directory: reading the page says why
            is_page = True
        if is_page:
            pages.append(frame)
    image.seek(0)
    return pages or list(range(count))


def is_preview(image: Image.Image) -> bool:
    """Whether the frame is a small copy of a picture that Pillow cannot reach (camera RAW)."""
    return not _is_page(image) and _SUB_DIRECTORIES in getattr(image, "tag_v2", {})


def _is_page(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    kind = tags.get(_NEW_SUBFILE_TYPE, 0)
    if isinstance(kind, int) and kind & (_REDUCED | _MASK):
        return False
    return bool(
        tags.get(_SUBFILE_TYPE) != _OLD_REDUCED and tags.get(_PHOTOMETRIC) != _TRANSPARENCY_MASK
    )
