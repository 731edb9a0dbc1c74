"""Everyday things that scenes are made of, and the colours they come in."""

from __future__ import annotations

from dataclasses import dataclass

from nano_lab.rendering.canvas import Colour


@dataclass(frozen=True, slots=True)
class Emoji:
    """An object drawn by the emoji font.

    ``colour`` is its one clear colour, or None. ``tintable`` objects are also drawn in
    every colour of TINTS.
    """

    name: str
    text: str
    colour: str | None = None
    tintable: bool = False


# name|characters|colour|tintable
_TABLE = """
dog 🐕|cat 🐈|horse 🐎|cow 🐄|pig 🐖 pink|sheep 🐑|rooster 🐓|duck 🦆|penguin 🐧|elephant 🐘 grey
giraffe 🦒|lion 🦁|tiger 🐅|bear 🐻 brown|monkey 🐒 brown|rabbit 🐇|mouse 🐁|frog 🐸 green
turtle 🐢 green|snake 🐍 green|fish 🐟 blue|whale 🐳 blue|octopus 🐙|crab 🦀 red|bee 🐝|snail 🐌
butterfly 🦋 orange tint|owl 🦉 brown|fox 🦊 orange|camel 🐫|ladybird 🐞 red|spider 🕷️|bat 🦇
apple 🍎 red|banana 🍌 yellow|pear 🍐 green|lemon 🍋 yellow|grapes 🍇 purple|strawberry 🍓 red
pineapple 🍍|watermelon 🍉|carrot 🥕 orange|tomato 🍅 red|mushroom 🍄 red|loaf 🍞 brown
cheese 🧀 yellow|egg 🥚|pizza 🍕|hamburger 🍔|hot-dog 🌭|cake 🎂|doughnut 🍩|ice-cream 🍦
coffee-cup ☕|broccoli 🥦 green|aubergine 🍆 purple|peach 🍑|kiwi 🥝|avocado 🥑 green
pretzel 🥨 brown
car 🚗 red tint|bus 🚌|truck 🚚|tractor 🚜|train 🚂|helicopter 🚁|bicycle 🚲|motorcycle 🏍️
sailboat ⛵|ship 🚢|rocket 🚀|ambulance 🚑|fire-engine 🚒 red|taxi 🚕 yellow|airplane ✈️
house 🏠|tree 🌳 green|sunflower 🌻 yellow|rose 🌹 red|cactus 🌵 green|sun ☀️ yellow|moon 🌙 yellow
cloud ☁️|umbrella ☂️ blue tint|key 🔑 yellow|book 📕 red tint|clock 🕒|lamp 💡|chair 🪑 brown
phone 📱|laptop 💻|camera 📷|guitar 🎸 red tint|drum 🥁|football ⚽|basketball 🏀 orange
balloon 🎈 red tint|gift 🎁|crown 👑 yellow|top-hat 🎩 black|t-shirt 👕 blue|cap 🧢 blue tint
shoe 👟|handbag 👜|backpack 🎒 red tint|scissors ✂️|hammer 🔨
bell 🔔 yellow|magnet 🧲 red|anchor ⚓
envelope ✉️|pencil ✏️ yellow|trophy 🏆 yellow|candle 🕯️|teddy-bear 🧸 brown|robot 🤖|snowman ⛄
"""


def _read(entry: str) -> Emoji:
    name, text, *rest = entry.split()
    # Words of a name are joined by "-" in the table; "t-shirt" really has one.
    name = name if name == "t-shirt" else name.replace("-", " ")
    return Emoji(name, text, rest[0] if rest else None, "tint" in rest)


EMOJI: tuple[Emoji, ...] = tuple(
    _read(entry) for row in _TABLE.strip().splitlines() for entry in row.split("|")
)

SHAPES: tuple[str, ...] = (
    "circle", "square", "triangle", "rectangle", "star", "diamond", "pentagon", "hexagon",
    "oval", "cross", "heart", "ring",
)  # fmt: skip

COLOURS: dict[str, Colour] = {
    "red": (220, 30, 36),
    "orange": (245, 135, 20),
    "yellow": (248, 214, 30),
    "green": (40, 160, 64),
    "blue": (36, 96, 220),
    "purple": (130, 50, 170),
    "pink": (246, 130, 180),
    "brown": (125, 78, 40),
    "black": (20, 20, 20),
    "white": (250, 250, 250),
    "grey": (130, 130, 132),
}
# Hue (0..1) and saturation of the colours that a tintable emoji takes.
TINTS: dict[str, tuple[float, float]] = {
    "red": (0.99, 0.85),
    "orange": (0.075, 0.9),
    "yellow": (0.14, 0.9),
    "green": (0.36, 0.8),
    "blue": (0.61, 0.8),
    "purple": (0.78, 0.65),
    "pink": (0.92, 0.45),
}
_IRREGULAR = {
    "mouse": "mice", "fish": "fish", "sheep": "sheep", "grapes": "grapes", "scissors": "scissors",
    "cactus": "cacti", "octopus": "octopuses", "loaf": "loaves", "coffee cup": "coffee cups",
    "cheese": "cheeses", "broccoli": "broccoli", "strawberry": "strawberries", "bus": "buses",
}  # fmt: skip


def plural(name: str) -> str:
    """The plural of an object's name."""
    if name in _IRREGULAR:
        return _IRREGULAR[name]
    if name.endswith(("s", "sh", "ch", "x", "z")):
        return name + "es"
    if name.endswith("y") and name[-2] not in "aeiou":
        return name[:-1] + "ies"
    return name + "s"


def with_article(phrase: str) -> str:
    """As in "a red car", "an apple", "some grapes"."""
    if phrase.split()[-1] in {"grapes", "scissors", "broccoli", "cheese"}:
        return f"some {phrase}"
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"
