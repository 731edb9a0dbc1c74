"""RefCOCO, RefCOCO+ and RefCOCOg: the box of what an expression names, by IoU."""

from __future__ import annotations

from collections.abc import Iterator

from dvl2_cli import prompts
from dvl2_cli.evaluation.benchmarks.cells import as_list
from dvl2_cli.evaluation.benchmarks.item import Benchmark, BenchmarkItem, Graded, Size
from dvl2_cli.evaluation.benchmarks.row import SourceRow
from dvl2_cli.evaluation.scoring import boxes_of
from dvl2_cli.tasks.grounding.coordinates import Pixels, to_pixels
from dvl2_cli.tasks.grounding.overlap import iou

MIN_IOU = 0.5
# lmms-eval's copies of the sets keep the expressions as answers.
_EXPRESSIONS = ("expressions", "sentences", "captions", "answer")


def _items(row: SourceRow, has_rotations: bool) -> Iterator[BenchmarkItem]:
    """One question for each expression."""
    del has_rotations
    name = row.optional("question_id", "index", "id") or str(row.place)
    wanted = _corners(row)
    for number, expression in enumerate(row.answers(*_EXPRESSIONS), 1):
        yield BenchmarkItem(
            id=f"{name}/{number}",
            unit=f"{name}/{number}",
            group=row.optional("split") or "",
            row=row,
            text=prompts.locate(expression),
            pictures=row.pictures,
            references=(_written(wanted),),
            grade=lambda answer, sizes: _grade(answer, sizes, wanted),
            with_tags=True,
        )


def _corners(row: SourceRow) -> Pixels:
    """The right box, x1 y1 x2 y2, from x y width height; pixels."""
    try:
        x, y, width, height = (float(value) for value in as_list(row.cells.get("bbox")) or ())
    except ValueError as error:
        raise row.wrong("bbox is not [x, y, width, height] in pixels") from error
    if not (width > 0 and height > 0):
        raise row.wrong(f"bbox is {width:g} x {height:g} pixels: [x, y, width, height] is needed")
    return (x, y, x + width, y + height)


def _grade(answer: str, sizes: tuple[Size, ...], wanted: Pixels) -> Graded:
    found = boxes_of(answer)
    if not found:
        return Graded(0.0, None)
    box = to_pixels(found[0], *sizes[0])
    return Graded(float(iou(wanted, box) >= MIN_IOU), _written(box))


def _written(box: Pixels) -> str:
    return f"[{', '.join(f'{value:g}' for value in box)}]"


REFCOCO = Benchmark(
    "refcoco",
    "RefCOCO/+/g",
    "accuracy at IoU 0.5",
    (("image",), ("bbox",), _EXPRESSIONS),
    _items,
    warning=(
        "the model's 0..999 are turned into pixels by width / 999 and height / 999. Harnesses that "
        "read the numbers as pixels, as shares of 1 or as thousandths give other scores"
    ),
)
