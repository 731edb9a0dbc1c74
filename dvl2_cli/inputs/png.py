"""PNGs that Pillow refuses and viewers show: much metadata, damaged extras, a missing end."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from dvl2_cli.inputs.jpeg import MIN_KEPT_SHARE, missing_part

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# What decides how the picture looks; all else is left out before Pillow sees it.
_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_KEPT = _CRITICAL | {b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"eXIf", b"acTL", b"fcTL", b"fdAT"}
# Text chunks in which writers put the orientation.
_ORIENTATION_KEYS = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
_MAX_TEXT_BYTES = 2**20  # Pillow's own limit for one text chunk
_MAX_PROFILE_BYTES = 2**25
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


@dataclass(frozen=True, slots=True)
class LeanPng:
    """A PNG without what does not change its looks, and its ICC profile, unpacked."""

    data: bytes
    profile: bytes | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    start: int  # of the chunk in the file
    end: int
    body: memoryview
    is_sound: bool


def lean_png(data: bytes) -> LeanPng:
    """``data`` without long texts and damaged extras; other bytes than a PNG come back as is."""
    if not data.startswith(SIGNATURE):
        return LeanPng(data)
    profile, notes = None, []
    parts: list[memoryview] = [memoryview(data)[: len(SIGNATURE)]]
    end = len(SIGNATURE)
    for chunk in _chunks(data):
        end = chunk.end
        if chunk.kind == b"iCCP":
            profile = _profile(chunk)
            if profile is None:
                notes.append("the colour profile is damaged and was left aside")
        elif _stays(chunk):
            parts.append(memoryview(data)[chunk.start : chunk.end])
    parts.append(memoryview(data)[end:])
    if sum(map(len, parts)) == len(data):
        return LeanPng(data)
    return LeanPng(b"".join(parts), profile, tuple(notes))


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """The chunks that are whole."""
    view, start = memoryview(data), len(SIGNATURE)
    while start + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        if end > len(data):
            return
        body = view[start + 8 : end - 4]
        is_sound = True
        if kind not in _CRITICAL:  # of pixels Pillow and viewers ask no checksum
            (checksum,) = struct.unpack_from(">I", data, end - 4)
            is_sound = zlib.crc32(view[start + 4 : end - 4]) == checksum
        yield _Chunk(kind, start, end, body, is_sound)
        start = end


def _stays(chunk: _Chunk) -> bool:
    if chunk.kind in _CRITICAL:
        return True
    if not chunk.is_sound:
        return False
    if chunk.kind in (b"tEXt", b"zTXt", b"iTXt"):
        return bytes(chunk.body[:32]).startswith(_ORIENTATION_KEYS) and _is_short(chunk)
    return chunk.kind in _KEPT


def _is_short(chunk: _Chunk) -> bool:
    """Whether a text chunk stays under Pillow's limit, unpacked."""
    if len(chunk.body) > _MAX_TEXT_BYTES:
        return False
    if chunk.kind == b"tEXt":
        return True
    _, _, rest = bytes(chunk.body).partition(b"\0")
    if chunk.kind == b"iTXt":
        if rest[:1] != b"\1":
            return True
        rest = rest[1:].split(b"\0", 2)[-1]  # the method, the language, the translated key
    else:
        rest = rest[1:]
    return _unpacked(rest, _MAX_TEXT_BYTES) is not None


def _profile(chunk: _Chunk) -> bytes | None:
    _, _, rest = bytes(chunk.body).partition(b"\0")
    return _unpacked(rest[1:], _MAX_PROFILE_BYTES) if chunk.is_sound and rest[:1] == b"\0" else None


def _unpacked(packed: bytes, limit: int) -> bytes | None:
    """What a zlib stream holds, or None where it is damaged or over ``limit`` bytes."""
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(packed, limit)
    except zlib.error:
        return None
    return found if unpacker.eof else None


def completed_png(data: bytes) -> tuple[bytes, str] | None:
    """A PNG whose pixels end early, completed with rows of zeros.

    Returns:
        the whole PNG and what is missing, in words; None where hardly a row is left, or
        where the rows do not come in order (interlaced, animated).
    """
    chunks = list(_chunks(data))
    if not chunks or chunks[0].kind != b"IHDR" or len(chunks[0].body) != 13:
        return None
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0].body)
    if interlaced or colour not in _CHANNELS or any(item.kind == b"acTL" for item in chunks):
        return None
    row_bytes = 1 + (width * depth * _CHANNELS[colour] + 7) // 8
    pixels = _pixels(data, chunks, row_bytes * height)
    rows = min(height, len(pixels) // row_bytes)
    if rows <= height * MIN_KEPT_SHARE:
        return None
    pixels = pixels[: rows * row_bytes].ljust(row_bytes * height, b"\0")
    before = [item for item in chunks if item.kind not in (b"IDAT", b"IEND")]
    whole = SIGNATURE + b"".join(data[item.start : item.end] for item in before)
    whole += _chunk(b"IDAT", zlib.compress(pixels, 1)) + _chunk(b"IEND", b"")
    missing = missing_part(1 - rows / height) if rows < height else "only its end is missing"
    return whole, missing


def _pixels(data: bytes, chunks: list[_Chunk], size: int) -> bytes:
    """At most ``size`` bytes of unpacked pixels, up to where the stream ends or breaks."""
    packed = [item.body for item in chunks if item.kind == b"IDAT"]
    tail = memoryview(data)[chunks[-1].end :]
    if bytes(tail[4:8]) == b"IDAT":  # the chunk that the file's end cuts
        packed.append(tail[8:])
    unpacker, found = zlib.decompressobj(), b""
    try:
        for part in packed:
            found += unpacker.decompress(part, size - len(found)) if len(found) < size else b""
    except zlib.error:
        pass
    return found


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)
