"""The model's answer to caption text, labelled boxes, and what could not be used.

Never evaluates the text and never raises: upstream's parser gives up on the whole answer
when one box is bad, this one drops that box and says why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from deepseek_vl_v2.format.tags import DET_CLOSE, DET_OPEN, REF_CLOSE, REF_OPEN
from dvl2_cli.tasks.grounding.boxes import Rejected, parse_boxes, quote
from dvl2_cli.tasks.grounding.overlap import without_repeats
from dvl2_cli.tasks.grounding.tags import Box999

_TAG = re.compile(r"<\|/?(?:ref|det)\|>")
# The model's other special tokens carry no text: <|grounding|>, <｜end▁of▁sentence｜>, …
_OTHER_TOKENS = re.compile(r"<\|(?:grounding|User|Assistant)\|>|<｜[^<>｜]{1,40}｜>")
_BOX_TEXT = re.compile(r"[\s\d.,;+\-\[\](){}]*")
_NUMBER = r"[+-]?\d{1,8}(?:\.\d{1,18})?"
_FOUR = rf"\s*{_NUMBER}(?:\s*,\s*{_NUMBER}){{3}}\s*"
# Servers often drop special tokens and leave the bare brackets.
_BARE_BOXES = re.compile(rf"\[\s*\[[\s\d.,+\-\[\]]*|\[{_FOUR}\]")
# Boxes as JSON, as other models are taught to write them: x before y, 0..999.
_JSON_BOX = re.compile(
    rf'\{{[^{{}}]{{0,300}}?"(?:bbox_2d|bbox)"\s*:\s*\[({_FOUR})\][^{{}}]{{0,300}}?\}}'
)
_JSON_LABEL = re.compile(r'"label"\s*:\s*"([^"<>\n]{1,200})"')
_FENCE = re.compile(r"```(?:json)?")
# y before x, in thousandths: another model's order, which would be read wrongly.
_Y_FIRST = '"box_2d"'
# What may be a box in a form that is not read: four numbers in a row, or named corners.
_LIKE_A_BOX = re.compile(
    rf"[\[(]\s*{_NUMBER}(?:\s*,\s*{_NUMBER})+\s*[\])]|"
    rf"{_NUMBER}(?:[\s,;:()\[\]]{{1,8}}{_NUMBER}){{3}}|"
    r"\"?\b(?:bbox|box_2d|x_?1|x_?min|left)\b\"?\s{0,4}[=:].{0,60}",
    re.IGNORECASE,
)
_UNREAD = "it looks like a box, in a form that is not read: [x1, y1, x2, y2] in 0..999 is"


@dataclass(frozen=True, slots=True)
class Region:
    """One box, xyxy in 0..999. ``span`` is the label's [start, end) in the text, in code
    points; None with ``label`` None where the answer names no label.
    """

    label: str | None
    box: Box999
    span: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Grounded:
    """An answer taken apart: ``text`` has no tags and no numbers of boxes."""

    text: str
    regions: tuple[Region, ...]
    rejected: tuple[Rejected, ...]


def parse_grounding(raw: str) -> Grounded:
    """Take an answer apart; any text is accepted."""
    raw = _OTHER_TOKENS.sub("", raw)
    tagged = DET_OPEN in raw or REF_OPEN in raw
    if not tagged and _Y_FIRST not in raw:
        raw = _tagged_json(raw) or _BARE_BOXES.sub(
            lambda match: f"{DET_OPEN}{match.group()}{DET_CLOSE}", raw
        )
    reader = _TagReader()
    reader.read(raw)
    if not tagged and not reader.regions and not reader.rejected:
        like = _LIKE_A_BOX.search(raw)
        if like is not None:
            reader.rejected.append(Rejected(quote(like.group()), _UNREAD))
    return reader.result()


def _tagged_json(raw: str) -> str | None:
    """``raw`` with its JSON boxes as tags; None where it has none."""
    pieces = []
    end = 0
    for match in _JSON_BOX.finditer(raw):
        label = _JSON_LABEL.search(match.group())
        named = f"{REF_OPEN}{label.group(1)}{REF_CLOSE}" if label else ""
        pieces += [raw[end : match.start()], f"{named}{DET_OPEN}[[{match.group(1)}]]{DET_CLOSE}"]
        end = match.end()
    if not pieces:
        return None
    pieces.append(raw[end:])
    # Between the objects stand the list's brackets and commas, around it a fence.
    cleaned = (_FENCE.sub("", piece) for piece in pieces)
    return "".join(piece if piece.strip(" \t\n,[]") else "" for piece in cleaned)


@dataclass(slots=True)
class _Label:
    text: str
    span: tuple[int, int]


@dataclass(slots=True)
class _TagReader:
    """Walks the tags. Labels and box lists wait until the next label starts, because some
    answers give several labels first and their boxes after.
    """

    text: list[str] = field(default_factory=list)
    length: int = 0
    labels: list[_Label] = field(default_factory=list)
    lists: list[tuple[list[Box999], list[Rejected]]] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def read(self, raw: str) -> None:
        position = 0
        inside = ""
        for match in _TAG.finditer(raw):
            self._piece(inside, raw[position : match.start()], match.group())
            inside = match.group()
            position = match.end()
        self._piece(inside, raw[position:], "")
        self._pair()

    def _piece(self, inside: str, piece: str, closing: str) -> None:
        """``piece`` follows the tag ``inside`` and runs up to the tag ``closing``."""
        if inside == REF_OPEN:
            if self.lists:
                self._pair()
            start = self.length
            self._say(piece)
            self.labels.append(_Label(piece, (start, self.length)))
        elif inside == DET_OPEN:
            if closing == DET_CLOSE:
                self.lists.append(parse_boxes(piece))
                return
            end = _end_of_boxes(piece)
            self.lists.append(parse_boxes(piece[:end], cut_off=end == len(piece)))
            self._say(piece[end:])
        else:
            self._say(piece)

    def _say(self, piece: str) -> None:
        self.text.append(piece)
        self.length += len(piece)

    def _pair(self) -> None:
        """Tie the waiting box lists to the waiting labels."""
        labels, lists = self.labels, self.lists
        self.labels, self.lists = [], []
        if len(labels) == len(lists):
            pairs = list(zip(labels, lists, strict=True))
        else:
            # Counts differ: boxes belong to the label just before them.
            pairs = [(labels[-1], boxes) for boxes in lists] if labels else []
            if not labels:
                for boxes, rejected in lists:
                    self.regions += [Region(None, box, None) for box in boxes]
                    self.rejected += rejected
            unboxed = labels[:-1] if lists else labels
            self.rejected += [Rejected(quote(item.text), "no boxes follow") for item in unboxed]
        for label, (boxes, rejected) in pairs:
            kept, repeats = without_repeats(boxes)
            self.regions += [Region(label.text.strip(), box, label.span) for box in kept]
            self.rejected += [*rejected, *(_repeat(box) for box in repeats)]

    def result(self) -> Grounded:
        whole = "".join(self.text)
        shift = len(whole) - len(whole.lstrip())
        text = whole.strip()
        regions = tuple(
            Region(region.label, region.box, _trimmed(region.span, whole, shift))
            for region in self.regions
        )
        return Grounded(text, regions, tuple(self.rejected))


def _repeat(box: Box999) -> Rejected:
    numbers = ", ".join(f"{value:g}" for value in box)
    return Rejected(f"[{numbers}]", "it repeats a box before it")


def _end_of_boxes(piece: str) -> int:
    """Where boxes without a closing tag end: at "]]", or where they stop reading like boxes."""
    match = _BOX_TEXT.match(piece)
    plain = match.end() if match else 0
    if plain < len(piece):
        # Words follow: the blank or full stop before them is theirs.
        plain = len(piece[:plain].rstrip(" \n\t.,;"))
    closed = piece.find("]]") + 2
    return closed if piece.lstrip().startswith("[") and closed > max(plain, 1) else plain


def _trimmed(span: tuple[int, int] | None, whole: str, shift: int) -> tuple[int, int] | None:
    """``span`` without the blanks at its ends, counted in the stripped text."""
    if span is None:
        return None
    piece = whole[span[0] : span[1]]
    start = span[0] + len(piece) - len(piece.lstrip())
    end = start + len(piece.strip())
    return (max(start - shift, 0), max(end - shift, 0))


__all__ = ["Grounded", "Region", "Rejected", "parse_grounding"]
