"""Names, companies, addresses and goods that documents are filled with."""

from __future__ import annotations

import random
import string

from nano_lab.rendering.held_out import HELD_OUT_COMPANIES, HELD_OUT_SURNAMES
from nano_lab.rendering.sample import Split
from nano_lab.rendering.vocabulary import common_words, made_up

_FIRST = (
    "Anna", "Ben", "Carla", "David", "Elena", "Frank", "Grace", "Hugo", "Irene", "Jack", "Karin",
    "Liam", "Maria", "Noah", "Olga", "Peter", "Quinn", "Rosa", "Simon", "Tara", "Uma", "Victor",
    "Wendy", "Xavier", "Yara", "Zoe", "Aisha", "Bruno", "Chen", "Dmitri", "Emily", "Farid",
)  # fmt: skip
_LAST = (
    "Adams", "Baker", "Chavez", "Dubois", "Evans", "Fischer", "Garcia", "Hughes", "Ivanov",
    "Jensen", "Kim", "Larsen", "Meyer", "Nguyen", "Olsen", "Patel", "Reyes", "Schmidt", "Taylor",
    "Ueda", "Vargas", "Walker", "Young", "Zhang", "Bennett", "Cooper", "Rossi", "Silva", "Weber",
)  # fmt: skip
_FORMS = ("Ltd", "Inc.", "GmbH", "LLC", "Co.", "& Sons", "Group", "AG", "Supplies", "Works")
_STREETS = ("Street", "Road", "Avenue", "Lane", "Drive", "Way", "Square", "Court")
_CITIES = (
    "London", "Berlin", "Madrid", "Oslo", "Austin", "Dublin", "Vienna", "Toronto", "Lyon", "Boston",
    "Leeds", "Milan", "Porto", "Ghent", "Turin", "Denver", "Bern", "Utrecht", "Graz", "Cork",
)  # fmt: skip
_GOODS = (
    "Paper", "Pens", "Chair", "Desk", "Lamp", "Cable", "Monitor", "Keyboard", "Mouse", "Coffee",
    "Tea", "Milk", "Bread", "Cheese", "Apples", "Bananas", "Rice", "Soap", "Towel", "Batteries",
    "Screws", "Paint", "Brush", "Filter", "Pump", "Valve", "Consulting", "Design", "Hosting",
    "Training", "Delivery", "Repair", "Labels", "Boxes", "Tape", "Folder", "Notebook", "Printer",
    "Toner", "Gloves", "Helmet", "Drill", "Hammer", "Ladder", "Sensor", "Adapter", "Battery",
)  # fmt: skip


def surname(rng: random.Random, split: Split) -> str:
    """A family name; the test split has its own."""
    if split == "test":
        return rng.choice(sorted(HELD_OUT_SURNAMES))
    return rng.choice(_LAST) if rng.random() < 0.6 else made_up(rng).capitalize()


def person(rng: random.Random, split: Split) -> str:
    """A full name."""
    return f"{rng.choice(_FIRST)} {surname(rng, split)}"


def company(rng: random.Random, split: Split) -> str:
    """A company; the test split has its own names."""
    if split == "test":
        name = rng.choice(sorted(HELD_OUT_COMPANIES))
    else:
        roll = rng.random()
        word = rng.choice(common_words(split)) if roll < 0.5 else made_up(rng)
        name = word.capitalize() if roll < 0.8 else f"{surname(rng, split)}"
    return f"{name} {rng.choice(_FORMS)}"


def street(rng: random.Random, split: Split) -> str:
    """A street with its number."""
    name = rng.choice(common_words(split)) if rng.random() < 0.5 else made_up(rng)
    return f"{rng.randint(1, 299)} {name.capitalize()} {rng.choice(_STREETS)}"


def city(rng: random.Random) -> str:
    """A city with its postal code."""
    name = rng.choice(_CITIES) if rng.random() < 0.6 else made_up(rng).capitalize()
    return f"{name} {rng.randint(10000, 99999)}" if rng.random() < 0.5 else (
        f"{rng.randint(1000, 99999)} {name}"
    )  # fmt: skip


def goods(rng: random.Random) -> str:
    """Something to buy, of one or two words."""
    item = rng.choice(_GOODS) if rng.random() < 0.75 else made_up(rng).capitalize()
    if rng.random() < 0.4:
        return f"{item} {rng.choice(string.ascii_uppercase)}{rng.randint(1, 99)}"
    return item


def reference(rng: random.Random) -> str:
    """The number of an invoice, an order or a customer."""
    year, serial = rng.randint(2015, 2035), rng.randint(1, 99999)
    letters = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(1, 3)))
    return rng.choice(
        (f"{letters}-{serial}", f"{year}-{serial:04}", f"{serial:06}", f"{letters}{serial}",
         f"{year}/{serial}", f"#{serial}")
    )  # fmt: skip


def iban(rng: random.Random) -> str:
    """A bank account number in groups of four."""
    land = rng.choice(("DE", "FR", "GB", "ES", "IT", "NL", "AT"))
    groups = " ".join(f"{rng.randrange(10000):04}" for _ in range(rng.randint(3, 4)))
    return f"{land}{rng.randint(10, 99)} {groups}"
