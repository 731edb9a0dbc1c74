"""A font that has the glyphs of a label: an installed one, else Pillow's own Latin face."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Starts of font file names in order of preference: wide coverage and plain shapes first.
_PREFERRED = (
    "notosans-regular",
    "notosans-vf",
    "dejavusans.",
    "notosanscjk-regular",
    "notosanssc-regular",
    "sourcehansans",
    "pingfang",
    "hiragino",
    "msyh.",
    "yugothr",
    "malgun.",
    "wqy-",
    "droidsansfallback",
    "arialuni",
    "arial unicode",
    "notosans",
    "segoeui.",
    "arial.",
    "unifont",
    "freesans.",
    "liberationsans-regular",
    # What distributions install for one script each.
    "uming",
    "ipaexg",
    "ipag.",
    "takaogothic",
    "vl-gothic",
    "nanumgothic.",
    "notonaskharabic",
    "notoserif",
    "amiri-regular",
    "lohit-",
)
_NO_CHARACTER = "\U0010fffe"
_PROBE_SIZE = 16


def font_for(text: str, size: int) -> tuple[Font, bool]:
    """A font at ``size`` pixels for ``text``, and whether it has every glyph of it."""
    needed = frozenset(char for char in text if not char.isspace())
    path = _covering(needed)
    if path is not None:
        return _load(path, size), True
    default = ImageFont.load_default(size)
    return default, _has_glyphs(ImageFont.load_default(_PROBE_SIZE), needed)


@functools.lru_cache(maxsize=64)
def _load(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


@functools.lru_cache(maxsize=1024)
def _covering(needed: frozenset[str]) -> str | None:
    for path in _installed():
        try:
            font = _load(path, _PROBE_SIZE)
        except OSError:
            continue
        if _has_glyphs(font, needed):
            return path
    return None


def _has_glyphs(font: Font, needed: frozenset[str]) -> bool:
    missing = _shape(font, _NO_CHARACTER)
    return all(_shape(font, char) != missing for char in needed)


def _shape(font: Font, char: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(char)
    return mask.size, bytes(mask)


@functools.cache
def _installed() -> tuple[str, ...]:
    """Paths of the preferred fonts that are installed, best first."""
    found: list[tuple[int, bool, str]] = []
    for folder in _font_folders():
        for parent, _, names in os.walk(folder):
            for name in names:
                rank = _rank(name.lower())
                if rank is not None:
                    bold = "regular" not in name.lower()
                    found.append((rank, bold, str(Path(parent) / name)))
    return tuple(path for _, _, path in sorted(found))


def _rank(name: str) -> int | None:
    if not name.endswith((".ttf", ".ttc", ".otf")):
        return None
    return next((rank for rank, start in enumerate(_PREFERRED) if name.startswith(start)), None)


def _font_folders() -> Iterator[Path]:
    home = Path.home()
    if sys.platform == "win32":
        yield Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"
    elif sys.platform == "darwin":
        yield from (home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts"))
    else:
        yield from (home / ".local/share/fonts", home / ".fonts")
        yield from (Path("/usr/local/share/fonts"), Path("/usr/share/fonts"))
