"""The nano suite: held-out renders with fixed seeds, and the bars they are held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from dvl2_cli.errors import InputError
from dvl2_cli.evaluation.item import Item, Metric
from dvl2_cli.evaluation.scoring import boxes_of
from nano_lab.evaluation.object_names import objects_f1
from nano_lab.rendering.fonts import missing_packages
from nano_lab.rendering.render import render
from nano_lab.rendering.sample import Sample, Split, Turn

# Far from the seeds that anyone renders by hand.
FIRST_SEED = 900_000
_LOCATE = {
    "locate-name": "grounding/name",
    "locate-colour": "grounding/colour",
    "locate-place": "grounding/place",
}
_VQA = ("count", "colour", "where", "what")


@dataclass(frozen=True, slots=True)
class Part:
    """A sub-suite: ``count`` items by default, and the bar of each group's metric."""

    name: str
    kind: str
    count: int
    bar: float | None
    items: Callable[[Sample], list[Item]]


def _item(sample: Sample, group: str, metric: Metric, turn: Turn) -> Item:
    assert sample.image is not None  # noqa: S101 - every kind of the suite has a picture
    names = tuple(item.name for item in sample.objects)
    return Item(
        f"{sample.kind}-{sample.seed}-{turn.task}",
        group,
        metric,
        turn.question,
        turn.answer,
        (sample.image,),
        tuple(boxes_of(turn.answer)) if metric in {"iou", "boxes"} else (),
        grade=partial(objects_f1, names) if metric == "objects" else None,
    )


def _text(group: str) -> Callable[[Sample], list[Item]]:
    def items(sample: Sample) -> list[Item]:
        return [_item(sample, group, "cer", turn) for turn in sample.turns if turn.task == "ocr"]

    return items


def _fields(sample: Sample) -> list[Item]:
    turns = [turn for turn in sample.turns if turn.task == "field"]
    return [_item(sample, "invoice-fields", "anls", turn) for turn in turns]


def _grounding(sample: Sample) -> list[Item]:
    if not 2 <= len(sample.objects) <= 8:
        return []
    items = []
    for turn in sample.turns:
        if turn.task in _LOCATE and len(boxes_of(turn.answer)) == 1:
            items.append(_item(sample, _LOCATE[turn.task], "iou", turn))
        elif turn.task == "locate-all":
            items.append(_item(sample, "grounding/all", "boxes", turn))
        elif turn.task == "locate-none":
            items.append(_item(sample, "grounding/absent", "absent", turn))
    return items


def _vqa(sample: Sample) -> list[Item]:
    return [
        _item(sample, f"vqa/{turn.task}", "exact", turn)
        for turn in sample.turns
        if turn.task in _VQA
    ]


def _captions(sample: Sample) -> list[Item]:
    return [
        _item(sample, "caption", "objects", turn) for turn in sample.turns if turn.task == "caption"
    ]


PARTS: tuple[Part, ...] = (
    Part("text-tile", "clean-tile", 40, 0.02, _text("text-tile")),
    Part("text-page", "clean-page", 20, 0.04, _text("text-page")),
    Part("invoice-fields", "invoice", 120, 0.90, _fields),
    Part("grounding", "scene", 240, 0.90, _grounding),
    Part("vqa", "scene", 200, 0.90, _vqa),
    Part("caption", "scene", 40, 0.90, _captions),
)


def check_fonts() -> None:
    """Refuse to measure with other fonts than the suite's: figures would not compare.

    Raises:
        InputError: fonts of the test split are missing; the hint says how to get them.
    """
    missing = missing_packages("test")
    if missing:
        raise InputError(
            "eval: fonts that the nano suite is drawn with are not installed",
            hint=f"On Debian: apt-get install {' '.join(missing)}",
        )


def part_items(part: Part, limit: int | None = None, split: Split = "test") -> Iterator[Item]:
    """The items of a part: the same ones in the same order every time.

    Args:
        part: one of PARTS.
        limit: how many items; None for the part's own number.
        split: "train" for pictures like those, which no suite is measured on.
    """
    left = part.count if limit is None else limit
    seed = FIRST_SEED
    while left > 0:
        items = part.items(render(part.kind, seed, split))[:left]
        yield from items
        left -= len(items)
        seed += 1
