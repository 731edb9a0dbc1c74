"""Bytes to Pillow pictures, one page at a time, with limits checked before decoding."""

from __future__ import annotations

import dataclasses
import functools
import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator

from PIL import Image, UnidentifiedImageError

from dvl2_cli.errors import InputError
from dvl2_cli.inputs import jpeg, png
from dvl2_cli.inputs.libtiff import quiet_libtiff
from dvl2_cli.inputs.memory import check_memory
from dvl2_cli.inputs.page_name import page_name
from dvl2_cli.inputs.pages import ALL_PAGES, PageRanges
from dvl2_cli.inputs.picture import InputLimits, Picture, PictureMemoryError, Unreadable
from dvl2_cli.inputs.sniff import foreign_kind, is_picture, looks_like_text
from dvl2_cli.inputs.tiff import is_preview, page_frames
from dvl2_cli.inputs.upright import upright_rgb

# EPS runs Ghostscript; the others only name the format and cannot decode it.
_REFUSED = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "FPX", "MIC"})
# Formats without a signature: almost any bytes would pass, so the name must agree.
_BY_NAME_ONLY = {"TGA": (".tga", ".icb", ".vda", ".vst"), "PCD": (".pcd",), "WAL": (".wal",)}
# A second frame here is a gain map or a preview, not an animation.
_STILL_FORMATS = frozenset({"MPO", "ICO", "ICNS", "PSD", "HEIF"})
_SHRINK = "Shrink it first, or allow dvl2 more memory."
# What Pillow's parsers of untrusted bytes raise besides OSError.
_DECODE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    OverflowError,
    EOFError,
    RuntimeError,
    ZeroDivisionError,
    AssertionError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def decode_pages(
    data: bytes, path: str, sha256: str, pages: PageRanges | None, limits: InputLimits
) -> Iterator[Picture | Unreadable]:
    """Every page of a picture file; animations give their first frame and say so.

    Raises:
        InputError: not a picture, an unsupported kind, or damaged before the first page.
    """
    lean = png.lean_png(data)
    with warnings.catch_warnings():
        # Corrupt metadata makes Pillow warn; the pixels decide whether the file is usable.
        warnings.simplefilter("ignore")
        image = _open(lean.data, path)
        _check_pixels(image, path, limits)
        count = _frame_count(image)
        frames = page_frames(image, count) if image.format == "TIFF" else []
    if len(frames) > 1:
        yield from _tiff_pages(image, path, sha256, pages, frames, limits)
        return
    if pages is not None and 1 not in pages.select(1):
        raise InputError(f"{path} has one page; --pages asks for {pages.ranges[0][0]}")
    notes = lean.notes
    if frames:
        image.seek(frames[0])
        _check_pixels(image, path, limits)
        if is_preview(image):
            notes += ("only a preview was read: the file holds the picture itself as camera RAW",)
    animated = not frames and count > 1 and image.format not in _STILL_FORMATS
    if animated:
        notes += (f"animated: read the first of {count} frames",)
    read = _decode(image, path, sha256, profile=lean.profile, data=lean.data)
    del image, lean, data  # large, and this generator stays while the picture is read by a model
    yield dataclasses.replace(read, frame=0 if animated else None, notes=notes + read.notes)


def _open(data: bytes, path: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_formats_for(path))
    except Image.DecompressionBombError as error:
        # Pillow checks before it decodes; its own limit is the one of `InputLimits`.
        raise InputError(f"{path} is over 178 megapixels", "Shrink it first.") from error
    except UnidentifiedImageError as error:
        raise _not_a_picture(data, path) from error
    except MemoryError as error:
        raise PictureMemoryError(f"there is not enough memory for {path}", _SHRINK) from error
    except _DECODE_ERRORS as error:
        raise _damaged(path, error) from error


def _formats_for(path: str) -> list[str]:
    lowered = path.lower()
    return [
        name
        for name in _known_formats()
        if name not in _BY_NAME_ONLY or lowered.endswith(_BY_NAME_ONLY[name])
    ]


@functools.cache
def _known_formats() -> tuple[str, ...]:
    import pillow_heif

    pillow_heif.register_heif_opener()
    Image.init()
    # What Pillow logs about a damaged file it raises as well; unhandled it would go to stderr.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    return tuple(name for name in Image.OPEN if name not in _REFUSED)


def picture_suffixes() -> frozenset[str]:
    """Lower-case suffixes, dot included, of the files that a folder listing picks up."""
    known = set(_known_formats())
    suffixes = {suffix for suffix, name in Image.registered_extensions().items() if name in known}
    return frozenset(suffixes | {".heic", ".heif", ".pdf"})


def _not_a_picture(data: bytes, path: str) -> InputError:
    head = data[:1024]
    kind = foreign_kind(head)
    if kind is not None:
        return InputError(
            f"{path} is {kind}, which dvl2 does not read", "Convert it to PNG, JPEG or PDF."
        )
    if is_picture(head):
        return InputError(f"{path} is cut off or damaged: it starts as a picture and then breaks")
    if looks_like_text(head):
        return InputError(f"{path} is not a picture: it holds text")
    return InputError(f"{path} is not a picture, or its beginning is damaged")


def _damaged(path: str, error: BaseException, page: int | None = None) -> InputError:
    where = page_name(path, page)
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return InputError(f"{where} is cut off: the file ends before the picture does")
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return InputError(f"{where} is damaged and cannot be decoded ({reason})")


def _check_pixels(image: Image.Image, path: str, limits: InputLimits) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise InputError(f"{path} is {width} x {height} pixels: there is nothing to see")
    if width * height > limits.pixels:
        raise InputError(
            f"{path} is {width} x {height} pixels, over {limits.pixels / 1e6:.0f} megapixels",
            "Shrink it first.",
        )
    check_memory(path, image.size, image.mode, limits)


def _frame_count(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except _DECODE_ERRORS:
        return 1


def _decode(
    image: Image.Image,
    path: str,
    sha256: str,
    *,
    page: int | None = None,
    profile: bytes | None = None,
    data: bytes = b"",
) -> Picture:
    """The frame at which ``image`` stands; ``data`` is the file's, to mend a missing end."""
    notes: list[str] = []
    size = image.size
    try:
        with warnings.catch_warnings(), quiet_libtiff(image.format):
            warnings.simplefilter("ignore")
            try:
                rgb, applied, more = upright_rgb(image, profile)
            except OSError:
                mended = _mended(data, notes)
                if mended is None:
                    raise
                rgb, applied, more = upright_rgb(mended, profile)
    except MemoryError as error:
        raise PictureMemoryError(
            f"there is not enough memory to decode {path} ({size[0]} x {size[1]} pixels)", _SHRINK
        ) from error
    except _DECODE_ERRORS as error:
        raise _damaged(path, error, page) from error
    return Picture(rgb, path, sha256, page, None, applied, tuple(notes + more))


def _mended(data: bytes, notes: list[str]) -> Image.Image | None:
    """A JPEG or PNG that ends early, with an end; None where nothing of it is left."""
    if data.startswith(jpeg.SIGNATURE):
        completed = jpeg.completed_jpeg(data)
    elif data.startswith(png.SIGNATURE):
        completed = png.completed_png(data)
    else:
        return None
    if completed is None:
        return None
    whole, missing = completed
    notes.append(f"the file is cut off: {missing}")
    return Image.open(io.BytesIO(whole), formats=["JPEG", "PNG"])


def _tiff_pages(
    image: Image.Image,
    path: str,
    sha256: str,
    pages: PageRanges | None,
    frames: list[int],
    limits: InputLimits,
) -> Iterator[Picture | Unreadable]:
    chosen = len(list((pages or ALL_PAGES).select(len(frames))))
    for page in selected_pages(path, pages, len(frames), limits):
        if isinstance(page, Unreadable):
            yield page
            continue
        try:
            image.seek(frames[page - 1])
            _check_pixels(image, f"{path} page {page}", limits)
            yield dataclasses.replace(_decode(image, path, sha256, page=page), pages=chosen)
        except InputError as error:
            yield Unreadable(path, page, error, sha256)
        except _DECODE_ERRORS as error:
            yield Unreadable(path, page, _damaged(path, error, page), sha256)


def selected_pages(
    path: str, pages: PageRanges | None, count: int, limits: InputLimits
) -> Iterator[int | Unreadable]:
    """The 1-based pages to read; a failure for every range that lies past the end.

    Raises:
        InputError: more pages than the limit.
    """
    ranges = pages or ALL_PAGES
    if sum(1 for _ in ranges.select(min(count, limits.pages + 1))) > limits.pages:
        raise InputError(
            f"{path} has {count} pages; the limit is {limits.pages}",
            f"Choose some, as in --pages 1-{limits.pages}.",
        )
    yield from ranges.select(count)
    for missing in ranges.beyond(count):
        yield Unreadable(path, missing, InputError(f"{path} has {count} pages, not {missing}"))
