"""Strings to print: sentences, numbers, codes, prices, addresses, and plain noise."""

from __future__ import annotations

import random
import string
from collections.abc import Callable

from nano_lab.rendering.sample import Split
from nano_lab.rendering.vocabulary import made_up, word

# Beyond ASCII: what everyday Western documents hold.
EXTRA_CHARS = "€£¥°±×§©®–—‘’“”•…½éèêëàâäåæçñöøôóüúûùíîïßÄÖÜÉÅØ"
_TLDS = ("com", "org", "net", "de", "io", "co.uk", "fr", "edu")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_ACCENTS = {
    "a": "àâäåá", "e": "éèêë", "i": "íîï", "o": "öøôó", "u": "üúûù", "c": "ç", "n": "ñ", "s": "ß",
}  # fmt: skip


def price(rng: random.Random, low: float = 0.5, high: float = 2000.0) -> str:
    """An amount such as "1,204.50", without a currency."""
    value = low * (high / low) ** rng.random()
    return f"{value:,.2f}" if rng.random() < 0.7 else f"{value:.2f}"


def money(rng: random.Random) -> str:
    """An amount with its currency."""
    amount = price(rng)
    return rng.choice((f"${amount}", f"€{amount}", f"£{amount}", f"{amount} EUR", f"{amount} USD"))


def date(rng: random.Random) -> str:
    """A date in one of six ways of writing it."""
    year, month, day = rng.randint(1970, 2039), rng.randint(1, 12), rng.randint(1, 28)
    return rng.choice(
        (
            f"{year}-{month:02}-{day:02}",
            f"{day:02}/{month:02}/{year}",
            f"{day}.{month}.{year}",
            f"{day} {_MONTHS[month - 1][:3]} {year}",
            f"{_MONTHS[month - 1]} {day}, {year}",
            f"{month}/{day}/{year % 100:02}",
        )
    )


def clock(rng: random.Random) -> str:
    """A time of day."""
    hour, minute = rng.randint(0, 23), rng.randint(0, 59)
    if rng.random() < 0.6:
        return f"{hour:02}:{minute:02}"
    return f"{hour % 12 or 12}:{minute:02} {'pm' if hour >= 12 else 'am'}"


def code(rng: random.Random) -> str:
    """A reference such as "QX-40817/B": letters, digits and dividers."""
    letters = string.ascii_uppercase
    parts = [
        "".join(rng.choices(rng.choice((letters, string.digits, letters + string.digits)), k=size))
        for size in (rng.randint(1, 5) for _ in range(rng.randint(1, 3)))
    ]
    return rng.choice("-/.:_ ").join(parts).strip()


def number(rng: random.Random) -> str:
    """An integer or a decimal, sometimes with a sign, a percent or a unit."""
    value = rng.randrange(10 ** rng.randint(1, 7))
    return rng.choice(
        (
            str(value),
            f"{value:,}",
            f"{value / 100:.2f}",
            f"{value % 1000 / 10}%",
            f"-{value}",
            f"#{value}",
            f"{value % 1000} {rng.choice(('kg', 'mm', 'km', 'ml', 'GB', 'V', 'cm', 'h', 'pcs'))}",
        )
    )


def phone(rng: random.Random) -> str:
    """A telephone number."""
    groups = [str(rng.randrange(10 ** (n - 1), 10**n)) for n in (2, 3, 3, 2)]
    return rng.choice((f"+{' '.join(groups)}", f"({groups[1]}) {groups[2]}-{groups[0]}{groups[3]}"))


def email(rng: random.Random) -> str:
    """An e-mail address or a web address."""
    who, where = made_up(rng), made_up(rng)
    domain = f"{where}.{rng.choice(_TLDS)}"
    if rng.random() < 0.6:
        return f"{who}{rng.choice(('', '.', '_', '-'))}{rng.randint(1, 99)}@{domain}"
    return rng.choice((f"www.{domain}", f"https://{domain}/{who}", f"{domain}/{who}?id=7"))


def noise(rng: random.Random) -> str:
    """Random printable ASCII: nothing but reading helps."""
    alphabet = rng.choice(
        (
            string.ascii_letters,
            string.ascii_letters + string.digits,
            string.digits,
            string.ascii_letters + string.digits + string.punctuation,
            string.ascii_uppercase,
            string.punctuation + string.digits,
        )
    )
    return "".join(rng.choices(alphabet, k=rng.randint(1, 9)))


def accented(rng: random.Random, split: Split) -> str:
    """A word with a letter beyond ASCII, or a lone symbol."""
    base = word(rng, split)
    spots = [index for index, char in enumerate(base) if char in _ACCENTS]
    if not spots or rng.random() < 0.15:
        return rng.choice(EXTRA_CHARS)
    spot = rng.choice(spots)
    return base[:spot] + rng.choice(_ACCENTS[base[spot]]) + base[spot + 1 :]


def cased(rng: random.Random, text: str) -> str:
    """``text`` as it is, capitalised, or in capitals."""
    roll = rng.random()
    if roll < 0.7:
        return text
    return text.capitalize() if roll < 0.88 else text.upper()


_TOKENS: tuple[Callable[[random.Random], str], ...] = (
    price, money, date, clock, code, number, number, phone, email, noise, noise,
)  # fmt: skip


def token(rng: random.Random, split: Split, wild: float = 0.25) -> str:
    """A word or, with probability ``wild``, a number, code, address or noise."""
    if rng.random() < wild:
        return rng.choice(_TOKENS)(rng)
    if rng.random() < 0.03:
        return accented(rng, split)
    return cased(rng, word(rng, split))


def sentence(rng: random.Random, split: Split, wild: float = 0.08) -> list[str]:
    """The tokens of a sentence, with punctuation attached."""
    size = rng.randint(3, 14)
    words = [
        word(rng, split) if rng.random() >= wild else token(rng, split, 0.8) for _ in range(size)
    ]
    words[0] = words[0][:1].upper() + words[0][1:]
    for index in range(1, size - 1):
        roll = rng.random()
        if roll < 0.07:
            words[index] += rng.choice(",,,;:")
        elif roll < 0.1:
            left, right = rng.choice(("()", '""', "''", "[]", "“”"))
            words[index] = f"{left}{words[index]}{right}"
        elif roll < 0.12:
            words[index] += "'s"
        elif roll < 0.135:
            words[index] += f"-{word(rng, split)}"
    words[-1] += rng.choice("......?!")
    return words


def prose(rng: random.Random, split: Split, count: int) -> list[str]:
    """At least ``count`` tokens of running text: sentences, or all noise one time in four."""
    tokens: list[str] = []
    jumble = rng.random() < 0.25
    while len(tokens) < count:
        tokens += [token(rng, split, 0.5)] if jumble else sentence(rng, split)
    return tokens
