"""Names, goods and numbers that the documents of the suite are filled with."""

from __future__ import annotations

import functools
import random
from importlib.resources import files


def _read(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


def _sections() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in _read("facts.txt").splitlines():
        if line.startswith("["):
            found[line.strip("[]")] = []
        elif not line.startswith("#"):
            found[next(reversed(found))].append(line)
    return found


def _split(text: str, separator: str = "|") -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(separator))


_FACTS = _sections()
PEOPLE, FIRMS, STREETS, TOWNS = (
    tuple(_FACTS[name]) for name in ("people", "firms", "streets", "towns")
)
GOODS = tuple(
    tuple((name, int(cents)) for name, cents in (good.rsplit("=", 1) for good in row.split(";")))
    for row in _FACTS["goods"]
)
CODE = _split(_read("code.txt"), "@@\n")
MONTHS = _split(
    "January|February|March|April|May|June|July|August|September|October|November|December"
)


@functools.cache
def tables() -> tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...]:
    """The tables: a row of heads and the rows below it."""
    lines = _FACTS["columns"]
    return tuple(
        (_split(heads), tuple(_split(row) for row in rows.split(";")))
        for heads, rows in zip(lines[::2], lines[1::2], strict=True)
    )


@functools.cache
def prose(language: str) -> tuple[str, ...]:
    """The paragraphs in ``language`` (en, de, fr or es)."""
    lines = [
        line.split(" ", 1) for line in _read("prose.txt").splitlines() if not line.startswith("#")
    ]
    return tuple(line[1] for line in lines if line[0] == language)


def seeded(*parts: object) -> random.Random:
    """The same numbers for the same parts, in every process."""
    return random.Random(" ".join(map(str, parts)))  # noqa: S311 - pictures, not secrets


def date(rng: random.Random) -> str:
    """A day between 2021 and 2034, in one of six notations."""
    year, month, day = rng.randint(2021, 2034), rng.randint(1, 12), rng.randint(1, 28)
    name = MONTHS[month - 1]
    return rng.choice(
        (
            f"{day} {name} {year}",
            f"{name} {day}, {year}",
            f"{day:02}.{month:02}.{year}",
            f"{year}-{month:02}-{day:02}",
            f"{day:02}/{month:02}/{year}",
            f"{day} {name[:3]} {year}",
        )
    )


def number(rng: random.Random) -> str:
    """The number of an invoice, in one of six notations."""
    digits = rng.randint(10_000, 99_999)
    year = rng.randint(2021, 2034)
    return rng.choice(
        (
            f"INV-{digits}",
            f"{year}/{digits % 10_000:04}",
            f"RE{year % 100}-{digits}",
            f"{digits}",
            f"A{digits % 1000:03}.{year}",
            f"{rng.choice('KLMPQ')}{digits}-{rng.randint(10, 99)}",
        )
    )


def money(cents: int, style: str) -> str:
    """Cents as "1,234.50" (style ``en``), "1.234,50" (``de``) or "1 234,50" (``fr``)."""
    text = f"{cents / 100:,.2f}"
    if style == "en":
        return text
    return text.replace(",", "\0").replace(".", ",").replace("\0", "." if style == "de" else " ")
