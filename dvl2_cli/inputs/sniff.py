"""What a file is, by its first bytes."""

from __future__ import annotations

import re

PDF_MAGIC = b"%PDF-"

_NETPBM = re.compile(rb"P[1-6]\s+[#\d]|P7\n|P[fF]\n")

# Not pictures that can be read here, but named so that the message helps.
_FOREIGN: tuple[tuple[bytes, int, str], ...] = (
    (b"<svg", 0, "an SVG drawing"),
    (b"%!PS", 0, "PostScript"),
    (b"\xc5\xd0\xd3\xc6", 0, "PostScript"),
    (b"\xff\x0a", 0, "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL ", 0, "a JPEG XL picture"),
    (b"AT&TFORM", 0, "a DjVu document"),
    (b"PK\x03\x04", 0, "a ZIP archive or office document"),
    (b"\xd0\xcf\x11\xe0", 0, "an old office document"),
    (b"7z\xbc\xaf", 0, "a 7z archive"),
    (b"\x1f\x8b", 0, "a gzip archive"),
    (b"ID3", 0, "an audio file"),
    (b"OggS", 0, "an audio or video file"),
    (b"\x1aE\xdf\xa3", 0, "a video"),
    (b"ftypqt", 4, "a video"),
    (b"ftypisom", 4, "a video"),
    (b"ftypmp4", 4, "a video"),
    (b"ftypM4V", 4, "a video"),
    (b"WAVE", 8, "an audio file"),
    (b"AVI ", 8, "a video"),
    (b"FUJIFILMCCD-RAW", 0, "a camera RAW file"),
    (b"II\x1a\x00\x00\x00HEAPCCDR", 0, "a camera RAW file"),
    (b"\x7fELF", 0, "a program"),
    (b"SQLite format 3", 0, "a database"),
)

_PICTURES: tuple[tuple[bytes, int], ...] = (
    (b"\x89PNG", 0),
    (b"\xff\xd8\xff", 0),
    (b"GIF8", 0),
    (b"BM", 0),
    (b"II*\x00", 0),
    (b"MM\x00*", 0),
    (b"II+\x00", 0),
    (b"MM\x00+", 0),
    (b"WEBP", 8),
    (b"ftypheic", 4),
    (b"ftypheix", 4),
    (b"ftypmif1", 4),
    (b"ftypmsf1", 4),
    (b"ftyphevc", 4),
    (b"ftypavif", 4),
    (b"ftypavis", 4),
    (b"\x00\x00\x00\x0cjP  ", 0),
    (b"\xffO\xffQ", 0),
    (b"8BPS", 0),
    (b"\x00\x00\x01\x00", 0),
    (b"DDS ", 0),
    (b"qoif", 0),
    (b"icns", 0),
)


def foreign_kind(head: bytes) -> str | None:
    """What a file that is no picture is, in words, or None if it is not recognised."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    lowered = text[:512].lower()
    if b"<svg" in lowered and lowered.startswith((b"<?xml", b"<svg", b"<!--", b"<!doctype svg")):
        return "an SVG drawing"
    if lowered.startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page"
    for magic, offset, kind in _FOREIGN:
        if head[offset : offset + len(magic)] == magic:
            return kind
    return None


def is_picture_or_pdf(head: bytes) -> bool:
    """Whether stdin's first bytes are a picture or a PDF rather than a list of names."""
    return is_picture(head) or is_pdf(head)


def is_picture(head: bytes) -> bool:
    """Whether ``head`` starts with the signature of a picture."""
    if _NETPBM.match(head):
        return True
    return any(head[offset : offset + len(magic)] == magic for magic, offset in _PICTURES)


def is_pdf(head: bytes) -> bool:
    """Whether ``head`` starts a PDF; readers allow junk before the mark.

    A signature at the first byte outweighs a mark after it: comments of pictures may hold one.
    """
    if head.startswith(PDF_MAGIC):
        return True
    return PDF_MAGIC in head[:1024] and foreign_kind(head) is None and not is_picture(head)


def looks_like_text(head: bytes) -> bool:
    """Whether ``head`` is plain text rather than data."""
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character cut by the end of the sample is still text.
        if error.start < len(head) - 4:
            return False
    return not any(byte < 9 or 13 < byte < 32 for byte in head)
