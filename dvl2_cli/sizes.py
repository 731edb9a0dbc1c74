"""Sizes in bytes, as people write and read them."""

from __future__ import annotations

import re

from dvl2_cli.errors import UsageError

_FACTORS = {
    "": 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([KMGT]?(?:i?B)?)\s*", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes that ``text`` names: ``8GB`` is 8·10⁹, ``8GiB`` and ``8G`` are 8·2³⁰, ``512`` is 512.

    Raises:
        UsageError: not a positive size.
    """
    match = _SIZE.fullmatch(text)
    size = int(float(match[1]) * _FACTORS[match[2].upper()]) if match else 0
    if size <= 0:
        raise UsageError(f"not a size: {text!r}", "Write a number and a unit, as 8GB or 7.5GiB.")
    return size


def format_size(size: float) -> str:
    """``size`` bytes in decimal units with three significant digits: 15.2 GB, 890 MB, 12 B."""
    magnitude = float(size)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(magnitude) < 999.5 or unit == "TB":
            break
        magnitude /= 1000
    if unit == "B":
        return f"{magnitude:.0f} B"
    decimals = 2 if abs(magnitude) < 9.995 else 1 if abs(magnitude) < 99.95 else 0
    return f"{magnitude:.{decimals}f} {unit}"
