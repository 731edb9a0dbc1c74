"""What training never sees. Decided on 2026-11-24, before the first training step.

Evaluation draws only from these where a suite says so; changing any of it makes measured
figures incomparable, so it stays as it is.
"""

from __future__ import annotations

# 8 of 52 families: sans, serif and mono.
HELD_OUT_FONTS: frozenset[str] = frozenset(
    {
        "Lato",
        "Open Sans",
        "Cabin",
        "Caladea",
        "Charis SIL",
        "Vollkorn",
        "Courier Prime",
        "JetBrains Mono",
    }
)

# Layouts of documents, by kind: the names of templates that only the test split draws.
HELD_OUT_LAYOUTS: dict[str, frozenset[str]] = {
    "invoice": frozenset({"banner-right"}),
    "receipt": frozenset({"boxed"}),
    "letter": frozenset({"right-sender"}),
    "form": frozenset({"two-column"}),
    "table": frozenset({"dark-head"}),
    "sign": frozenset({"rounded"}),
    "chart": frozenset({"horizontal-light"}),
}

# Colour and shape pairs that training scenes never hold.
HELD_OUT_SHAPES: frozenset[tuple[str, str]] = frozenset(
    {
        ("red", "hexagon"),
        ("blue", "star"),
        ("green", "triangle"),
        ("yellow", "diamond"),
        ("purple", "square"),
        ("orange", "circle"),
        ("pink", "cross"),
        ("black", "heart"),
    }
)

# Colours that an object, recoloured in other colours, never has in training.
HELD_OUT_TINTS: frozenset[tuple[str, str]] = frozenset(
    {
        ("green", "car"),
        ("purple", "balloon"),
        ("yellow", "book"),
        ("blue", "umbrella"),
        ("pink", "backpack"),
        ("orange", "butterfly"),
        ("purple", "cap"),
        ("green", "guitar"),
    }
)

# Two names (of emoji or shapes) that never stand in one training scene together.
HELD_OUT_TOGETHER: frozenset[frozenset[str]] = frozenset(
    frozenset(pair)
    for pair in (
        ("dog", "car"),
        ("cat", "apple"),
        ("horse", "bus"),
        ("pizza", "clock"),
        ("rocket", "banana"),
        ("elephant", "umbrella"),
        ("bicycle", "guitar"),
        ("penguin", "house"),
        ("tree", "key"),
        ("fish", "book"),
    )
)

# Words and names that training texts never hold.
HELD_OUT_WORDS: frozenset[str] = frozenset(
    {
        "harbour",
        "velvet",
        "lantern",
        "meadow",
        "copper",
        "thunder",
        "gravel",
        "orchid",
        "walnut",
        "canyon",
        "marble",
        "blanket",
        "pepper",
        "saddle",
        "fountain",
        "whisper",
        "cradle",
        "bronze",
        "ribbon",
        "chimney",
    }
)
HELD_OUT_COMPANIES: frozenset[str] = frozenset(
    {
        "Halden",
        "Brightwater",
        "Osprey",
        "Kestrel",
        "Marlowe",
        "Fenwick",
        "Tamarack",
        "Juniper",
    }
)
HELD_OUT_SURNAMES: frozenset[str] = frozenset(
    {"Whitfield", "Okafor", "Lindqvist", "Moreau", "Castellano", "Tanaka", "Novak", "Haddad"}
)


def is_held_out(colour: str, name: str) -> bool:
    """Whether training never shows ``name`` in ``colour``."""
    return (colour, name) in HELD_OUT_SHAPES or (colour, name) in HELD_OUT_TINTS
