"""The text that a page of a PDF carries beside its pixels, as the file has it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Box = tuple[float, float, float, float]

# Letters that fonts draw as one; what follows them in Unicode's compatibility forms is kept.
_LIGATURES = range(0xFB00, 0xFB07)
# What PDFium gives for a hyphen at the end of a line, beside its mark.
_LINE_END_HYPHENS = {0x02, 0xFFFE}
_MAX_CODE_POINT = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Character:
    """One character: ``box`` around its ink, ``top`` and ``bottom`` of its line, in pixels.

    ``mapped`` is whether the file says which Unicode it is. ``visible`` is False where the file
    draws it without ink, or draws a picture over it. ``turned`` is whether it does not stand
    upright on the page.
    """

    text: str
    box: Box
    top: float
    bottom: float
    mapped: bool = True
    visible: bool = True
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """Characters without a space between them; never empty."""

    characters: tuple[Character, ...]

    @property
    def text(self) -> str:
        """The characters as text."""
        return "".join(character.text for character in self.characters)

    @property
    def box(self) -> Box:
        """Around the ink, in pixels."""
        boxes = [character.box for character in self.characters]
        return (
            min(box[0] for box in boxes),
            min(box[1] for box in boxes),
            max(box[2] for box in boxes),
            max(box[3] for box in boxes),
        )


@dataclass(frozen=True, slots=True)
class TextLayer:
    """The words of a page in the file's order, by the lines that PDFium tells apart."""

    lines: tuple[tuple[Word, ...], ...]

    @property
    def words(self) -> Iterator[Word]:
        """All of them."""
        return (word for line in self.lines for word in line)


def layer_of(found: Sequence[Sequence[Any]]) -> TextLayer:
    """The layer of characters as `dvl2_cli.inputs.pdf_child` sends them."""
    lines: list[tuple[Word, ...]] = []
    words: list[Word] = []
    word: list[Character] = []

    def end_word() -> None:
        if word:
            words.append(Word(tuple(word)))
            word.clear()

    def end_line() -> None:
        end_word()
        if words:
            lines.append(tuple(words))
            words.clear()

    for code, *place, marks in found:
        if code in (0x0A, 0x0D):
            end_line()
        elif _is_space(code):
            end_word()
        elif (character := _character(code, place, marks)) is not None:
            if word and not _same_line(word[-1], character):
                end_line()  # no line break follows a hyphen
            word.append(character)
    end_line()
    return TextLayer(tuple(lines))


def _is_space(code: int) -> bool:
    return code <= _MAX_CODE_POINT and chr(code).isspace()


def _same_line(one: Character, other: Character) -> bool:
    if one.turned or other.turned:
        return one.turned and other.turned
    return other.top < one.bottom and one.top < other.bottom


def _character(code: int, place: Sequence[float], marks: str) -> Character | None:
    """The character; None where PDFium made it up, or nobody sees it."""
    left, top, right, bottom, line_top, line_bottom = place
    if "h" in marks or code in _LINE_END_HYPHENS:
        text, mapped = "-", True
    elif "g" in marks:
        return None
    else:
        text, mapped = _text(code), "u" not in marks and _is_text(code)
    visible = not ("i" in marks or "c" in marks)
    box = (left, top, right, bottom)
    return Character(text, box, line_top, line_bottom, mapped, visible, "t" in marks)


def _text(code: int) -> str:
    if not _is_text(code):
        return "\ufffd"
    return unicodedata.normalize("NFKC", chr(code)) if code in _LIGATURES else chr(code)


def _is_text(code: int) -> bool:
    """Whether a code point stands for a character that people write."""
    if not 0 < code <= _MAX_CODE_POINT or code == 0xFFFD:
        return False
    return unicodedata.category(chr(code)) not in {"Cc", "Cn", "Co", "Cs"}
