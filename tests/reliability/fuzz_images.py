"""Mutated picture files through the reader: an RGB picture or one clear line, in bounded time.

    python tests/reliability/fuzz_images.py [COUNT] [SEED]

Bit flips, truncations, spliced and repeated pieces, wrong suffixes, bombs, empty files,
CMYK, 16-bit, animated, EXIF oddities. Prints counts; exits with 1 on any other outcome.
"""

from __future__ import annotations

import collections
import io
import random
import struct
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dvl2_cli.inputs.load import Reading, read_all
from dvl2_cli.inputs.picture import InputLimits, Unreadable
from dvl2_cli.ui.control import printable

SLOWEST_SECONDS = 20.0  # of the processor
LIMITS = InputLimits(pixels=4_000_000, pages=20)
SUFFIXES = ("png", "jpg", "gif", "webp", "tiff", "bmp", "heic", "avif", "pdf", "tga", "txt", "eps")


def seeds() -> list[bytes]:
    """One small file of each kind."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "words" * 20
    frames = [picture, picture.rotate(90), picture.rotate(180)]
    deep = Image.fromarray(noise[:, :, 0].astype(np.uint16) * 257)
    kinds: list[tuple[Image.Image, str, dict[str, object]]] = [
        (picture, "PNG", {}),
        (picture, "JPEG", {"exif": exif.tobytes()}),
        (picture, "JPEG", {"progressive": True}),
        (picture.convert("CMYK"), "JPEG", {}),
        (picture.convert("CMYK"), "TIFF", {"compression": "tiff_lzw"}),
        (deep, "PNG", {}),
        (deep, "TIFF", {"compression": "tiff_deflate"}),
        (picture.convert("F"), "TIFF", {}),
        (picture.convert("P"), "GIF", {"save_all": True, "append_images": frames[1:]}),
        (picture, "WEBP", {"save_all": True, "append_images": frames[1:]}),
        (picture, "WEBP", {"exif": exif.tobytes()}),
        (picture, "TIFF", {"save_all": True, "append_images": frames[1:]}),
        (picture.convert("RGBA"), "PNG", {"save_all": True, "append_images": frames[1:]}),
        (picture.convert("LA"), "PNG", {}),
        (picture.convert("P"), "PNG", {"transparency": 3}),
        (picture.convert("1"), "TIFF", {"compression": "group4"}),
        (picture, "BMP", {}),
        (picture, "HEIF", {}),
        (picture, "AVIF", {}),
        (picture, "JPEG2000", {}),
        (picture, "PPM", {}),
        (picture, "TGA", {}),
        (picture, "ICO", {}),
        (picture, "PCX", {}),
        (picture, "DDS", {}),
        (picture, "PDF", {"save_all": True, "append_images": frames[1:]}),
    ]
    made = []
    for image, form, options in kinds:
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        made.append(buffer.getvalue())
    return [*made, *bombs(), b"", b"\0", b"BM", b"%PDF-1.4\n", b"GIF89a"]


def bombs() -> list[bytes]:
    """Files of a few hundred bytes that say they are huge."""
    made = []
    for width, height in ((100_000, 100_000), (2**31 - 1, 1), (65_535, 65_535)):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        body = zlib.compress(bytes(10_000))
        pieces = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
        chunks = b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in pieces
        )
        made.append(b"\x89PNG\r\n\x1a\n" + chunks)
    made.append(b"BM" + struct.pack("<IHHIIiiHHIIIIII", 54, 0, 0, 54, 40, 60_000, 60_000, 1, 24,
                                    0, 0, 0, 0, 0, 0))  # fmt: skip
    made.append(b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b";")
    made.append(b"P6\n60000 60000\n255\n" + bytes(100))
    return made


def flip_bits(data: bytearray, rng: random.Random) -> bytearray:
    """Some bits, mostly near the start where the headers are."""
    for _ in range(rng.randint(1, 24)):
        reach = min(len(data), 200) if rng.random() < 0.6 else len(data)
        data[rng.randrange(reach)] ^= 1 << rng.randrange(8)
    return data


def cut(data: bytearray, rng: random.Random) -> bytearray:
    """The end is missing."""
    return data[: rng.randrange(len(data))]


def remove(data: bytearray, rng: random.Random) -> bytearray:
    """A piece is missing."""
    start = rng.randrange(len(data))
    del data[start : start + rng.randint(1, 64)]
    return data


def repeat(data: bytearray, rng: random.Random) -> bytearray:
    """A piece comes twice."""
    start = rng.randrange(len(data))
    piece = data[start : start + rng.randint(1, 200)]
    return data[:start] + piece * rng.randint(2, 20) + data[start:]


def extremes(data: bytearray, rng: random.Random) -> bytearray:
    """A field holds its largest or smallest value."""
    start = rng.randrange(max(len(data) - 4, 1))
    value = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0"))
    data[start : start + 4] = value
    return data


def splice(data: bytearray, rng: random.Random) -> bytearray:
    """Noise in the middle."""
    start = rng.randrange(len(data))
    data[start : start + 32] = rng.randbytes(32)
    return data


MUTATIONS: tuple[Callable[[bytearray, random.Random], bytearray], ...] = (
    flip_bits, cut, remove, repeat, extremes, splice,
)  # fmt: skip


def check(path: Path) -> str:
    """Read ``path``; what came of it, "BROKEN …" if it broke the promise."""
    started = time.process_time()
    outcome = "read"
    try:
        for found in read_all([path], reading=Reading(dpi=40, limits=LIMITS)):
            if isinstance(found, Unreadable):
                outcome = "refused"
                message = found.error.message
                if "\n" in message or printable(message) != message:
                    return f"BROKEN message {message!r}"
            elif found.image.mode != "RGB" or found.width * found.height > LIMITS.pixels:
                return f"BROKEN picture {found.image}"
    except BaseException:
        return f"BROKEN {traceback.format_exc()}"
    seconds = time.process_time() - started
    return f"BROKEN took {seconds:.0f} s" if seconds > SLOWEST_SECONDS else outcome


def run(count: int, seed: int) -> collections.Counter[str]:
    """Outcome -> how many of ``count`` mutated files."""
    rng = random.Random(seed)
    originals = seeds()
    outcomes: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for index in range(count):
            data = bytearray(originals[index % len(originals)])
            for _ in range(rng.choice((0, 1, 1, 1, 2, 3)) if index >= len(originals) else 0):
                if data:
                    data = rng.choice(MUTATIONS)(data, rng)
            path = Path(folder, f"a.{rng.choice(SUFFIXES)}")
            path.write_bytes(data)
            outcome = check(path)
            if outcome.startswith("BROKEN"):
                kept = Path(tempfile.gettempdir(), f"fuzz-image-{seed}-{index}{path.suffix}")
                kept.write_bytes(data)
                print(f"{kept}: {outcome}", file=sys.stderr)
                outcome = "BROKEN"
            outcomes[outcome] += 1
            path.unlink()
    return outcomes


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    result = run(wanted, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(", ".join(f"{count} {name}" for name, count in sorted(result.items())))
    sys.exit(1 if result["BROKEN"] else 0)
