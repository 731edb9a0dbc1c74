"""The held-out wordings, each asked about a picture or page whose right answer is known."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from nano_lab.foreign.drawing.document import Drawn
from nano_lab.foreign.drawing.facts import seeded
from nano_lab.foreign.drawing.scenes import Scene
from nano_lab.foreign.measures import (
    character_error_rate,
    contains_value,
    is_refusal,
    plain,
)
from nano_lab.foreign.speech import ABSENT, COLOURS, NAMES, NO, PLACES, YES, number_in

REFUSED = frozenset({"summarise", "translate", "compare", "reason"})
INTENTS = (
    "describe", "read", "count", "exists", "colour", "where", "what", "field", "cell", "value",
    "summarise", "translate", "compare", "reason",
)  # fmt: skip
_FIELDS = {"number": "invoice number", "date": "invoice date", "total": "total amount"}
_MAX_READ_ERRORS = 0.1
_MIN_DESCRIBED = 0.5


@dataclass(frozen=True, slots=True)
class Question:
    """``accepted`` are right answers; for "describe" the names of what is in the picture."""

    intent: str
    language: str
    text: str
    picture: Path
    accepted: tuple[str, ...]

    def is_right(self, answer: str) -> bool:
        """Whether a person would call ``answer`` right; refusing is right where none can be."""
        if self.intent in REFUSED:
            return is_refusal(answer)
        if is_refusal(answer):
            return False
        if self.intent == "read":
            return character_error_rate(self.accepted[0], answer) <= _MAX_READ_ERRORS
        if self.intent == "describe":
            named = [name for name in self.accepted if plain(name) in plain(answer)]
            return len(named) >= _MIN_DESCRIBED * len(self.accepted)
        if self.intent == "count":
            return number_in(answer) == int(self.accepted[0])
        if self.intent == "exists":
            first = answer.casefold().split()[:1]
            words = {word.strip(".,!") for word in first}
            return bool(words & (YES if self.accepted[0] == "yes" else NO))
        if self.intent == "where":
            # Every side has a word for each language; one of each side must be there.
            return all(
                any(word in answer.casefold() for word in side.split("/")) for side in self.accepted
            )
        return any(contains_value(value, answer) for value in self.accepted)


@functools.cache
def wordings() -> tuple[tuple[str, str, str], ...]:
    """Intent, language and wording of every held-out question."""
    text = (files(__package__) / "questions.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return tuple((intent, language, wording) for intent, language, wording in rows)


def questions(scenes: Sequence[Scene], documents: Sequence[Drawn]) -> list[Question]:
    """One question for each wording; the same ones every time."""
    asker = _Asker(scenes, documents)
    return [asker.ask(place, *row) for place, row in enumerate(wordings())]


class _Asker:
    def __init__(self, scenes: Sequence[Scene], documents: Sequence[Drawn]) -> None:
        self.scenes = scenes
        self.documents = documents

    def ask(self, place: int, intent: str, language: str, wording: str) -> Question:
        rng = seeded(intent, wording)
        if intent in {"count", "exists", "colour", "where", "what"}:
            text, picture, accepted = self._about_scene(intent, language, wording, rng)
        elif intent == "describe":
            scene = rng.choice(self.scenes)
            text, picture = wording, scene.file
            accepted = tuple(sorted({thing.name for thing in scene.things}))
        else:
            text, picture, accepted = self._about_page(intent, wording, rng)
        return Question(intent, language, text, picture, accepted)

    def _about_scene(
        self, intent: str, language: str, wording: str, rng: random.Random
    ) -> tuple[str, Path, tuple[str, ...]]:
        translated = {kind for kind, by_language in NAMES.items() if language in by_language}
        fitting = []
        for scene in self.scenes:
            names = [thing.name for thing in scene.things]
            for thing in scene.things:
                place = place_of(scene, thing.box)
                alone = names.count(thing.name) == 1
                shared = [place_of(scene, t.box) for t in scene.things].count(place) > 1
                named = language == "en" or thing.name in translated
                if intent == "what":
                    fits = place is not None and not shared and thing.name in names
                elif intent == "colour":
                    fits = bool(thing.colour) and alone and named
                elif intent == "where":
                    fits = place is not None and alone and named
                else:
                    fits = named
                if fits:
                    fitting.append((scene, thing, place))
        scene, thing, place = rng.choice(fitting)
        here = {t.name for t in scene.things}
        name, colour = thing.name, str(thing.colour)
        accepted: tuple[str, ...] = (colour, COLOURS[language].get(colour, ""))
        if intent == "count":
            accepted = (str(sum(t.name == name for t in scene.things)),)
        elif intent == "exists":
            absent = rng.random() < 0.5
            if absent:
                name = rng.choice([other for other in ABSENT if other not in here])
            accepted = ("no" if absent else "yes",)
        elif intent == "where":
            accepted = tuple(PLACES[side] for side in str(place).split())
        elif intent == "what":
            accepted = (name, NAMES.get(name, {}).get(language, (name,))[0])
        return _filled(wording, language, name, place), scene.file, tuple(a for a in accepted if a)

    def _about_page(
        self, intent: str, wording: str, rng: random.Random
    ) -> tuple[str, Path, tuple[str, ...]]:
        kinds = {
            "read": ("snippet",),
            "field": ("invoice",),
            "cell": ("table",),
            "value": ("chart",),
        }.get(intent, ("letter", "page"))
        fitting = [d for d in self.documents if d.kind in kinds]
        if intent == "value":  # lines without numbers beside their marks cannot be read off
            fitting = [d for d in fitting if all(v in d.text.split() for v in d.values.values())]
        page = rng.choice(fitting)
        if intent == "read":
            return wording, page.file, (page.text,)
        if intent == "field":
            key = rng.choice(sorted(_FIELDS))
            return wording.format(field=_FIELDS[key]), page.file, (page.values[key],)
        if intent == "cell":
            row = rng.choice(page.table[1:])
            column = rng.randrange(1, len(row))
            return wording.format(row=row[0], head=page.table[0][column]), page.file, (row[column],)
        if intent == "value":
            row_name = rng.choice(sorted(page.values))
            return wording.format(row=row_name), page.file, (page.values[row_name],)
        return wording, page.file, ()


def place_of(scene: Scene, box: tuple[int, int, int, int]) -> str | None:
    """The third of the picture where the middle is, as "top left"; None near a dividing line."""
    x = (box[0] + box[2]) / 2 / scene.size[0]
    y = (box[1] + box[3]) / 2 / scene.size[1]
    if any(abs(at - line) < 0.04 for at in (x, y) for line in (1 / 3, 2 / 3)):
        return None
    words = (("top", "", "bottom")[int(y * 3)], ("left", "", "right")[int(x * 3)])
    return " ".join(word for word in words if word) or "centre"


def _filled(wording: str, language: str, name: str, place: str | None) -> str:
    definite, indefinite, plural = NAMES.get(name, {}).get(language) or _english(name)
    where = _place_phrase(language, place)
    return wording.format(name=definite, a=indefinite, plural=plural, place=where)


def _english(name: str) -> tuple[str, str, str]:
    from nano_lab.rendering.catalogue import plural, with_article

    return f"the {name}", with_article(name), plural(name)


def _place_phrase(language: str, place: str | None) -> str:
    from nano_lab.foreign.speech import PLACE_PHRASES

    return PLACE_PHRASES[language][place] if place else ""
