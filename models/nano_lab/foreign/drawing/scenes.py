"""Scenes of things that training shows, drawn by other hands and on other grounds."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from nano_lab.foreign.drawing.facts import seeded

if TYPE_CHECKING:
    from nano_lab.foreign.drawing.chromium import Chromium

Box = tuple[int, int, int, int]
ICON_SETS = ("fluent-emoji-flat", "openmoji")
COUNT = 36
_CELL = 160
# name, character, colour where both sets draw it in one that nobody would dispute
_THINGS = """dog 🐕|cat 🐈|horse 🐎|elephant 🐘|penguin 🐧|rabbit 🐇|frog 🐸 green|turtle 🐢 green|
fish 🐟|snail 🐌|butterfly 🦋|crab 🦀 red|apple 🍎 red|banana 🍌 yellow|
pear 🍐 green|lemon 🍋 yellow|
strawberry 🍓 red|carrot 🥕 orange|tomato 🍅 red|pizza 🍕|broccoli 🥦 green|car 🚗 red|
bus 🚌|bicycle 🚲|tractor 🚜|rocket 🚀|house 🏠|tree 🌳 green|sunflower 🌻|
cactus 🌵 green|umbrella ☂️|
key 🔑|book 📕 red|guitar 🎸|balloon 🎈 red|bell 🔔 yellow|crown 👑 yellow|gift 🎁|
anchor ⚓|camera 📷|hammer 🔨|scissors ✂️|clock 🕒|mushroom 🍄 red|t-shirt 👕 blue|
sailboat ⛵|airplane ✈️|trophy 🏆 yellow"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A thing: its name in English, its character, and its colour if it has one."""

    name: str
    text: str
    colour: str | None


@dataclass(frozen=True, slots=True)
class Placed:
    """A thing in a scene; ``box`` is that of its ink, xyxy in pixels."""

    name: str
    colour: str | None
    box: Box


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture of things."""

    name: str
    file: Path
    size: tuple[int, int]
    things: tuple[Placed, ...]


def _kind(entry: str) -> Kind:
    name, text, *colour = entry.split()
    return Kind(name, text, colour[0] if colour else None)


KINDS = tuple(_kind(entry.strip()) for entry in _THINGS.split("|"))


def icons_file(packages: Path, name: str) -> Path:
    """Where npm puts the icons of a set."""
    return packages / "node_modules" / "@iconify-json" / name / "icons.json"


def draw_scenes(folder: Path, packages: Path, chromium: Chromium) -> list[Scene]:
    """Every scene, drawn into ``folder``; ``packages`` is where npm installed the icons."""
    sheets = {name: _sprites(name, folder, packages, chromium) for name in ICON_SETS}
    return [_scene(seed, sheets[ICON_SETS[seed % 2]], folder) for seed in range(COUNT)]


def load_scenes(folder: Path) -> list[Scene]:
    """The scenes that `draw_scenes` drew; none where some are missing."""
    paths = [folder / f"scene-{seed}.json" for seed in range(COUNT)]
    if not all(path.exists() for path in paths):
        return []
    return [_load(path) for path in paths]


def _load(path: Path) -> Scene:
    data = json.loads(path.read_text("utf-8"))
    things = tuple(Placed(t["name"], t["colour"], tuple(t["box"])) for t in data["things"])
    return Scene(data["name"], path.parent / data["file"], tuple(data["size"]), things)


def _sprites(name: str, folder: Path, packages: Path, chromium: Chromium) -> dict[str, Image.Image]:
    icons = icons_file(packages, name)
    data = json.loads(icons.read_text("utf-8"))
    chars = json.loads(icons.with_name("chars.json").read_text("utf-8"))
    side = data.get("width", 16)
    cells = []
    for kind in KINDS:
        code = "-".join(f"{ord(c):x}" for c in kind.text)
        icon = chars.get(code) or chars[code.replace("-fe0f", "")]
        body = data["icons"][data["aliases"][icon]["parent"] if icon not in data["icons"] else icon]
        cells.append(f'<svg viewBox="0 0 {side} {side}">{body["body"]}</svg>')
    style = f"body{{margin:0;font-size:0}}svg{{width:{_CELL}px;height:{_CELL}px}}"
    html = f"<!doctype html><style>{style}</style>{''.join(cells)}"
    sheet = folder / f"{name}.png"
    chromium.draw(html, sheet, 8 * _CELL, 1, transparent=True)
    image = Image.open(sheet).convert("RGBA")
    found = {}
    for place, kind in enumerate(KINDS):
        left, top = place % 8 * _CELL, place // 8 * _CELL
        cut = image.crop((left, top, left + _CELL, top + _CELL))
        found[kind.name] = cut.crop(cut.getchannel("A").point(lambda a: 255 * (a > 24)).getbbox())
    return found


def _scene(seed: int, sprites: dict[str, Image.Image], folder: Path) -> Scene:
    rng = seeded("scene", seed)
    size = rng.choice(((480, 480), (640, 480), (800, 600), (512, 640)))
    image = _ground(size, seed, rng)
    kinds = rng.sample(KINDS, rng.choice((2, 3, 3, 4, 5)))
    if seed % 4 == 0:
        kinds += [kinds[0]] * rng.randint(1, 2)
    things: list[Placed] = []
    for kind in kinds:
        sprite = sprites[kind.name]
        side = min(size) * rng.uniform(0.18, 0.34)
        ratio = side / max(sprite.size)
        fitted = sprite.resize((round(sprite.width * ratio), round(sprite.height * ratio)))
        box = _free(size, fitted.size, [t.box for t in things], rng)
        if box:
            image.paste(fitted, box[:2], fitted)
            things.append(Placed(kind.name, kind.colour, box))
    name = f"scene-{seed}"
    file = folder / f"{name}.png"
    image.save(file)
    scene = Scene(name, file, size, tuple(things))
    (folder / f"{name}.json").write_text(json.dumps({**asdict(scene), "file": file.name}), "utf-8")
    return scene


def _free(
    size: tuple[int, int], piece: tuple[int, int], taken: list[Box], rng: random.Random
) -> Box | None:
    for _ in range(200):
        x, y = rng.randint(6, size[0] - piece[0] - 6), rng.randint(6, size[1] - piece[1] - 6)
        box = (x, y, x + piece[0], y + piece[1])
        apart = (
            b[2] < x - 8 or b[0] > box[2] + 8 or b[3] < y - 8 or b[1] > box[3] + 8 for b in taken
        )
        if all(apart):
            return box
    return None


def _apart(a: Box, b: Box) -> bool:
    gap = 8
    beside = b[2] < a[0] - gap or b[0] > a[2] + gap
    return beside or b[3] < a[1] - gap or b[1] > a[3] + gap


def _ground(size: tuple[int, int], seed: int, rng: random.Random) -> Image.Image:
    """One of six grounds: sky and grass, boards, blurred lights, paper squares, a slope, plain."""
    width, height = size
    noise = np.random.default_rng(seed)
    sort = seed % 6
    y, x = np.mgrid[0:height, 0:width]
    if sort == 0:
        image = Image.new("RGB", size, (176, 214, 240))
        ImageDraw.Draw(image).rectangle((0, int(height * 0.62), width, height), (150, 190, 110))
        return image
    if sort == 1:
        waves = (
            168 + 14 * np.sin(y / 3.1 + 3 * np.sin(x / 97.0)) + noise.normal(0, 4, (height, width))
        )
        wood = np.stack((waves, waves * 0.78, waves * 0.56), -1)
        return Image.fromarray(np.clip(wood, 0, 255).astype(np.uint8))
    if sort == 2:
        image = Image.new("RGB", size, (44, 40, 62))
        draw = ImageDraw.Draw(image)
        for _ in range(26):
            a, b, r = rng.randint(0, width), rng.randint(0, height), rng.randint(12, 52)
            colour = (rng.randint(70, 150), rng.randint(60, 110), rng.randint(60, 130))
            draw.ellipse((a - r, b - r, a + r, b + r), colour)
        return image.filter(ImageFilter.GaussianBlur(9))
    if sort == 3:
        lines = np.where((x % 26 == 0) | (y % 26 == 0), 0.86, 1.0)[..., None]
        return Image.fromarray((lines * np.array([250, 248, 240])).astype(np.uint8))
    if sort == 4:
        slope = (x / width * 0.5 + y / height * 0.5)[..., None]
        mixed = slope * np.array([244, 190, 160]) + (1 - slope) * np.array([150, 178, 222])
        return Image.fromarray(mixed.astype(np.uint8))
    return Image.new("RGB", size, rng.choice(((236, 228, 214), (206, 222, 212), (90, 96, 112))))
