"""Read canvases: a text and a score for every strip, unsure ones once more by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from dvl2_cli.engine.events import Finished, LineConfidence
from dvl2_cli.tasks.reading.lines.pack import Canvas, Layout, alone
from dvl2_cli.tasks.reading.lines.strips import Strip
from dvl2_cli.tasks.reading.loops import cut_loop

# A line whose least sure token is below this is read once more.
_MIN_PROBABILITY = 0.5
# The text of a strip is as long as its width tells, within this factor.
_MAX_STRETCH = 2.2
# Characters of a strip's full height in width: about two.
_WIDTH_OF_CHARACTER = 0.4

Ask = Callable[[Canvas], Finished]
_UNKNOWN = LineConfidence(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class StripText:
    """What a strip says. ``sure`` is None where the engine does not tell; ``looped``: the answer
    repeated itself here.
    """

    strip: Strip
    text: str
    sure: LineConfidence | None
    retried: bool = False
    looped: bool = False


@dataclass(frozen=True, slots=True)
class CanvasText:
    """The texts of a canvas's strips, in order, and the answers that gave them."""

    texts: tuple[StripText, ...]
    answers: tuple[Finished, ...]


def read_lines(canvases: Sequence[Canvas], layout: Layout, ask: Ask) -> Iterator[CanvasText]:
    """Each canvas's lines as soon as they are final; ends after a cancelled answer."""
    for canvas in canvases:
        read = _read(canvas, layout, ask)
        yield read
        if read.answers[-1].finish_reason == "cancelled":
            return


def _read(canvas: Canvas, layout: Layout, ask: Ask) -> CanvasText:
    answers = [ask(canvas)]
    texts = _matched(canvas.strips, answers[0])
    final: list[StripText] = []
    for read in texts:
        if answers[-1].finish_reason != "cancelled" and _needs_second_reading(read):
            answers.append(ask(alone(read.strip, layout)))
            read = _surer(_matched((read.strip,), answers[-1])[0], read)
        final.append(read)
    return CanvasText(tuple(final), tuple(answers))


def _matched(strips: Sequence[Strip], answer: Finished) -> list[StripText]:
    """The lines of ``answer`` as the texts of ``strips``.

    Where there are more or fewer, the widths of the strips tell which line belongs to which:
    neighbouring lines may be parts of one strip, and strips may be missing.
    """
    lines = [line.strip() for line in answer.text.splitlines() if line.strip()]
    sure: Sequence[LineConfidence | None] = answer.confidence.lines
    if len(sure) != len(lines):
        sure = [None] * len(lines)
    if len(lines) == len(strips):
        spans = [(index, index + 1) for index in range(len(strips))]
        certain = True
    else:
        spans = _aligned([_expected(strip) for strip in strips], [len(line) for line in lines])
        certain = False
    texts = []
    for strip, (first, last) in zip(strips, spans, strict=True):
        text, known = " ".join(lines[first:last]), certain and last == first + 1
        looped = last == len(lines) and answer.finish_reason in ("loop", "length")
        text = cut_loop(text)[0] if looped else text
        texts.append(StripText(strip, text, sure[first] if known else _UNKNOWN, looped=looped))
    return texts


def _expected(strip: Strip) -> float:
    """About how many characters a strip has."""
    return max(1.0, sum(strip.widths) / (_WIDTH_OF_CHARACTER * strip.image.height))


def _aligned(expected: Sequence[float], lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Which lines belong to each strip, in order, so that lengths fit best."""
    best: list[list[tuple[float, int]]] = [[(0.0, 0)] + [(1e9, 0)] * len(lengths)]
    for wanted in expected:
        row = []
        for end in range(len(lengths) + 1):
            options = [
                (best[-1][start][0] + abs(sum(lengths[start:end]) - wanted), start)
                for start in range(max(0, end - 3), end + 1)
            ]
            row.append(min(options))
        best.append(row)
    # Lines after the last strip's belong to none.
    end = min(range(len(lengths) + 1), key=lambda end: best[-1][end][0])
    spans = []
    for row in reversed(best[1:]):
        start = row[end][1]
        spans.append((start, end))
        end = start
    return spans[::-1]


def _needs_second_reading(read: StripText) -> bool:
    if read.looped:
        return True
    if read.sure is not None and read.sure.lowest_probability < _MIN_PROBABILITY:
        return True
    return not _fits(read)


def _fits(read: StripText) -> bool:
    """Whether the text is about as long as the strip is wide."""
    expected = _expected(read.strip)
    length = len(read.text)
    return expected / _MAX_STRETCH - 2 <= length <= expected * _MAX_STRETCH + 2


def _surer(second: StripText, first: StripText) -> StripText:
    """The one that fits its strip, or else is surer; marked as read twice."""
    good, before = _fits(second) and not second.looped, _fits(first) and not first.looped
    kept = max(second, first, key=_sureness)
    if good != before:
        kept = second if good else first
    return replace(kept, strip=first.strip, retried=True)


def _sureness(read: StripText) -> float:
    return read.sure.mean_probability if read.sure is not None else 0.0
