"""Questions about a scene and their answers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

from dvl2_cli.prompts import PRESETS, locate, locate_all
from nano_lab.rendering.boxes import tagged
from nano_lab.rendering.canvas import Canvas
from nano_lab.rendering.catalogue import COLOURS, EMOJI, SHAPES, plural, with_article
from nano_lab.rendering.held_out import is_held_out
from nano_lab.rendering.places import in_place
from nano_lab.rendering.sample import Mention, SceneObject, Split, Turn

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
_HOW_MANY = 8


class SceneTurns:
    """Writes turns about one scene; every method returns None where nothing fits to ask."""

    def __init__(self, canvas: Canvas, background: str, rng: random.Random, split: Split) -> None:
        self.size, self.background, self.rng = canvas.size, background, rng
        self.split = split
        # Reading order: by thirds of the height, then from left to right.
        third = canvas.size[1] / 3
        self.objects = sorted(
            canvas.objects, key=lambda t: ((t.box[1] + t.box[3]) / 2 // third, t.box[0])
        )
        self.names = Counter(item.name for item in self.objects)
        self.pairs = Counter(_pair(item) for item in self.objects)
        self.colours = Counter(item.colour for item in self.objects)
        self.places = Counter(item.place for item in self.objects)

    def caption_short(self) -> Turn:
        """Names and counts, in one sentence."""
        parts = [(_counted(pair, count), self._first(pair)) for pair, count in self.pairs.items()]
        text = _sentence(_list([part for part, _ in parts]))
        return self._telling(PRESETS["describe-short"], text, "caption-short", parts)

    def caption(self) -> Turn:
        """Every object with its place, and the background."""
        parts = [(with_article(_pair(t)) + _where(t), t) for t in self.objects]
        told = _list([part for part, _ in parts])
        text = _sentence(f"{told} on {with_article(self.background)} background")
        return self._telling(PRESETS["describe"], text, "caption", parts)

    def caption_long(self) -> Turn:
        """The number of objects, and every one with size and place."""
        parts = [(with_article(f"{t.size} {_pair(t)}") + _where(t), t) for t in self.objects]
        count = len(self.objects)
        noun = "object" if count == 1 else "objects"
        opening = f"There {'is' if count == 1 else 'are'} {_WORDS[count]} {noun} on "
        told = _list([part for part, _ in parts])
        text = f"{opening}{with_article(self.background)} background: {told}."
        return self._telling(PRESETS["describe-long"], text, "caption-long", parts)

    def grounded_caption(self) -> Turn:
        """Every object with its box."""
        parts = []
        for pair in self.pairs:
            boxes = [t.box for t in self.objects if _pair(t) == pair]
            phrase = _counted(pair, len(boxes))
            parts.append(tagged(phrase, boxes, self.size))
        return Turn(PRESETS["grounded-caption"], _sentence(_list(parts)), "grounded-caption")

    def count(self) -> Turn:
        """How many of a name, of a colour and name, or in all; sometimes none."""
        roll, objects = self.rng.random(), self.objects
        if roll < 0.15:
            return self._counting("objects", objects)
        if roll < 0.3:
            name = self._absent()
            return self._counting(plural(name), ())
        item = self.rng.choice(objects)
        if roll < 0.65 or item.colour is None:
            return self._counting(plural(item.name), [t for t in objects if t.name == item.name])
        asked = f"{item.colour} {plural(item.name)}"
        return self._counting(asked, [t for t in objects if _pair(t) == _pair(item)])

    def counts(self) -> list[Turn]:
        """How many there are of every name, of every colour and name, in all, and of some that
        are not there.
        """
        objects = self.objects
        turns = [self._counting("objects", objects)]
        turns += [
            self._counting(plural(name), [t for t in objects if t.name == name])
            for name in self.names
        ]
        for pair in self.pairs:
            alike = [t for t in objects if _pair(t) == pair]
            if alike[0].colour is not None:
                turns.append(self._counting(f"{alike[0].colour} {plural(alike[0].name)}", alike))
        absent = {self._absent() for _ in range(2)}
        return turns + [self._counting(plural(name), ()) for name in sorted(absent)]

    def _counting(self, asked: str, counted: Sequence[SceneObject]) -> Turn:
        question = self.rng.choice(("How many {} are there?", "How many {} are in this image?"))
        middles = tuple(self._middle(item) for item in counted)
        return Turn(question.format(asked), str(len(counted)), "count", counted=middles)

    def colour(self) -> Turn | None:
        """The colour of an object whose name occurs once."""
        fitting = [t for t in self.objects if t.colour and self.names[t.name] == 1]
        if not fitting:
            return None
        item = self.rng.choice(fitting)
        spelling = self.rng.choice(("colour", "colour", "color"))
        question = f"What {spelling} is the {item.name}?"
        return self._about(item, question, str(item.colour), "colour")

    def where(self) -> Turn | None:
        """The place of an object."""
        fitting = [t for t in self.objects if t.place and self._unique(t)]
        if not fitting:
            return None
        item = self.rng.choice(fitting)
        question = f"Where is the {self._short(item)}?"
        return self._about(item, question, str(item.place), "where")

    def what(self) -> Turn | None:
        """The object in a place."""
        fitting = self._alone_in_place()
        return self._naming(self.rng.choice(fitting)) if fitting else None

    def whats(self) -> list[Turn]:
        """Every object that is alone in its place."""
        return [self._naming(item) for item in self._alone_in_place()]

    def _alone_in_place(self) -> list[SceneObject]:
        # Something that straddles a dividing line could be meant too.
        if self.places[None]:
            return []
        return [t for t in self.objects if t.place and self.places[t.place] == 1]

    def _naming(self, item: SceneObject) -> Turn:
        question = f"What is {in_place(str(item.place))}?"
        return self._about(item, question, with_article(_pair(item)), "what")

    def exists(self) -> Turn:
        """Yes or no."""
        if self.rng.random() < 0.5:
            item = self.rng.choice(self.objects)
            return self._about(item, f"Is there {with_article(_pair(item))}?", "yes", "exists")
        return Turn(f"Is there {with_article(self._absent())}?", "no", "exists")

    def locate_name(self) -> Turn | None:
        """Boxes of a name; every box if there are several."""
        item = self.rng.choice(self.objects)
        return self._locating(item.name, lambda t: t.name == item.name, "locate-name")

    def locate_colour(self) -> Turn | None:
        """Boxes of a colour and name, or of "the red object"."""
        fitting = [t for t in self.objects if t.colour]
        if not fitting:
            return None
        item = self.rng.choice(fitting)
        if self.colours[item.colour] == 1 and not self.colours[None] and self.rng.random() < 0.25:
            phrase = f"{item.colour} object"
            return self._locating(phrase, lambda t: t.colour == item.colour, "locate-colour")
        return self._locating(_pair(item), lambda t: _pair(t) == _pair(item), "locate-colour")

    def locate_place(self) -> Turn | None:
        """The box of what is in a place, by place alone or with its name."""
        fitting = [t for t in self.objects if t.place and self.places[t.place] == 1]
        if not fitting or self.places[None]:
            return None
        item = self.rng.choice(fitting)
        noun = self.rng.choice(("object", item.name))
        phrase = f"{noun} {in_place(str(item.place))}"
        return self._locating(phrase, lambda t: t is item, "locate-place")

    def locate_size(self) -> Turn | None:
        """The box of "the large car" where sizes tell objects apart."""
        fitting = [t for t in self.objects if Counter(x.size for x in self.objects)[t.size] == 1]
        if not fitting:
            return None
        item = self.rng.choice(fitting)
        phrase = f"{item.size} {item.name}"
        return self._locating(phrase, lambda t: t is item, "locate-size")

    def locate_every(self) -> Turn:
        """Every box of a name or a pair."""
        item = self.rng.choice(self.objects)
        asked = self.rng.choice((item.name, _pair(item)))
        boxes = [t.box for t in self.objects if asked in (t.name, _pair(t))]
        phrase = plural(asked) if self.rng.random() < 0.4 else asked
        return Turn(locate_all(phrase), tagged(phrase, boxes, self.size), "locate-all")

    def locate_nothing(self) -> Turn:
        """Something that is not there, answered plainly and without a box."""
        name = self._absent()
        phrase = self._phrase(name)
        ask = self.rng.choice((locate, locate, locate_all))
        return Turn(ask(phrase), f"There is no {name} in this image.", "locate-none")

    def _locating(self, asked: str, wanted: Callable[[SceneObject], bool], task: str) -> Turn:
        phrase = self._phrase(asked)
        boxes = [t.box for t in self.objects if wanted(t)]
        return Turn(locate(phrase), tagged(phrase, boxes, self.size), task)

    def _about(self, item: SceneObject, question: str, answer: str, task: str) -> Turn:
        return self._telling(question, answer, task, [(answer, item)])

    def _telling(
        self, question: str, answer: str, task: str, parts: Sequence[tuple[str, SceneObject]]
    ) -> Turn:
        """A turn whose answer names ``parts``, in this order."""
        mentions: list[Mention] = []
        end = 0
        for part, item in parts:
            # A sentence has made the first letter a capital.
            start = answer.lower().index(part.lower(), end)
            end = start + len(part)
            mentions.append(Mention(start, end, *self._middle(item)))
        return Turn(question, answer, task, tuple(mentions))

    def _middle(self, item: SceneObject) -> tuple[float, float]:
        x0, y0, x1, y1 = item.box
        return (x0 + x1) / 2 / self.size[0], (y0 + y1) / 2 / self.size[1]

    def _first(self, pair: str) -> SceneObject:
        return next(item for item in self.objects if _pair(item) == pair)

    def _phrase(self, asked: str) -> str:
        return self.rng.choice((asked, asked, f"the {asked}", f"The {asked}", with_article(asked)))

    def _unique(self, item: SceneObject) -> bool:
        return self.pairs[_pair(item)] == 1

    def _short(self, item: SceneObject) -> str:
        return item.name if self.names[item.name] == 1 else _pair(item)

    def _absent(self) -> str:
        """A name, or a name in another colour, that is not in the scene."""
        if self.rng.random() < 0.35:
            # Near misses: the right name in the wrong colour.
            item = self.rng.choice(self.objects)
            # Looks that no training scene holds would be learnt to be never there.
            pairs = [
                f"{colour} {item.name}"
                for colour in COLOURS
                if colour != item.colour
                and (self.split == "test" or not is_held_out(colour, item.name))
            ]
            missing = [pair for pair in pairs if item.colour and pair not in self.pairs]
            if missing:
                return self.rng.choice(missing)
        names = [e.name for e in EMOJI] + list(SHAPES)
        return self.rng.choice([name for name in names if name not in self.names])


def _pair(item: SceneObject) -> str:
    return f"{item.colour} {item.name}" if item.colour else item.name


def _where(item: SceneObject) -> str:
    return f" {in_place(item.place)}" if item.place else ""


def _counted(pair: str, count: int) -> str:
    return with_article(pair) if count == 1 else f"{_WORDS[count]} {plural(pair)}"


def _list(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _sentence(text: str) -> str:
    # A tag keeps its case: the phrase inside is what gets asked for again.
    return (text if text.startswith("<|") else text[0].upper() + text[1:]) + "."


def all_turns(
    canvas: Canvas, background: str, rng: random.Random, split: Split
) -> tuple[Turn, ...]:
    """One turn of every sort that fits the scene."""
    ask = SceneTurns(canvas, background, rng, split)
    asked = [
        ask.caption_short(), ask.caption(), ask.caption_long(), ask.grounded_caption(),
        ask.count(), ask.colour(), ask.where(), ask.what(), ask.exists(), ask.locate_name(),
        ask.locate_colour(), ask.locate_place(), ask.locate_size(), ask.locate_every(),
        ask.locate_nothing(),
    ]  # fmt: skip
    return tuple(turn for turn in asked if turn is not None)


def counting_turns(
    canvas: Canvas, background: str, rng: random.Random, split: Split
) -> tuple[Turn, ...]:
    """Questions whose answers depend on how many objects of a sort there are."""
    ask = SceneTurns(canvas, background, rng, split)
    counts = {turn.question: turn for turn in (ask.count() for _ in range(5))}
    others = [
        ask.locate_every(), ask.locate_every(), ask.locate_name(), ask.locate_colour(),
        ask.locate_nothing(), ask.exists(),
    ]  # fmt: skip
    turns = [*counts.values(), *(turn for turn in others if turn is not None)]
    rng.shuffle(turns)
    return tuple(turns)


def naming_turns(
    canvas: Canvas, background: str, rng: random.Random, split: Split
) -> tuple[Turn, ...]:
    """What every object is, one by one and in captions."""
    ask = SceneTurns(canvas, background, rng, split)
    others = [
        ask.caption(), rng.choice((ask.caption_short, ask.caption_long))(), ask.colour(),
        ask.exists(), ask.exists(), rng.choice((ask.locate_name, ask.locate_colour))(),
    ]  # fmt: skip
    turns = [*ask.whats(), *(turn for turn in others if turn is not None)]
    rng.shuffle(turns)
    return tuple(turns)


def how_many_turns(
    canvas: Canvas, background: str, rng: random.Random, split: Split
) -> tuple[Turn, ...]:
    """At most eight questions how many; every number that is an answer is one equally often.

    Most questions that can be asked have the answer 1, and it would be learnt to be the best guess.
    """
    ask = SceneTurns(canvas, background, rng, split)
    by_answer: dict[str, list[Turn]] = {}
    for turn in ask.counts():
        by_answer.setdefault(turn.answer, []).append(turn)
    for turns in by_answer.values():
        rng.shuffle(turns)
    asked: list[Turn] = []
    while by_answer and len(asked) < _HOW_MANY:
        answer = rng.choice(sorted(by_answer))
        asked.append(by_answer[answer].pop())
        if not by_answer[answer]:
            del by_answer[answer]
    return tuple(asked)


def some_turns(
    canvas: Canvas, background: str, rng: random.Random, split: Split
) -> tuple[Turn, ...]:
    """Eight turns in random order, so that no question always follows another."""
    turns = list(all_turns(canvas, background, rng, split))
    rng.shuffle(turns)
    return tuple(turns[:8])
