"""Whether the text layer of a PDF's page is what a reader of the page sees.

A layer may be an earlier OCR's, its font may lack the table that says which Unicode its glyphs
are, or it may hold what the page hides. Such a page is read from its pixels, and the reason is
told. The tests compare the layer with the rendered page; they never ask a model.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from dvl2_cli.inputs.text_layer import TextLayer, Word
from dvl2_cli.tasks.reading.lines.find import find_lines

if TYPE_CHECKING:
    from dvl2_cli.inputs.picture import Picture
    from dvl2_cli.tasks.reading.lines.line import LineBox

# Of a layer's characters or words: more than this share, and the layer is no text of the page.
_MAX_UNMAPPED, _MAX_INVISIBLE, _MAX_UNSEEN = 0.02, 0.1, 0.05
# Of the lines of print on the page: more than this share is lacking, and pixels tell more.
_MAX_LACKING = 0.15
# Grey levels between a word's darkest and lightest pixel; under it nothing is printed there.
_MIN_CONTRAST = 24
# Surprise of letters: lines of ten European languages have 3.7 to 4.6, and of the 25 shifts of
# their letters all but one or two have 4.9 and more.
_MAX_SURPRISE = 4.9
_MIN_LETTERS = 60
# Occurrences in a thousand letters, without accents: the mean of English, German, French, Spanish,
# Italian, Portuguese, Dutch, Polish, Swedish and Finnish, rounded.
_LETTERS = {
    "e": 130, "a": 93, "n": 76, "i": 80, "s": 66, "r": 65, "t": 68, "o": 68, "l": 48, "d": 42,
    "u": 41, "c": 33, "m": 31, "p": 26, "k": 19, "g": 18, "h": 25, "v": 15, "z": 15, "b": 13,
    "f": 12, "w": 13, "y": 10, "j": 7, "q": 4, "x": 2,
}  # fmt: skip
_BITS = {letter: -math.log2(count / 1000) for letter, count in _LETTERS.items()}
# Pixels across at which lines of print are looked for: enough to tell that there are some.
_SEARCH_WIDTH = 900
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LayerVerdict:
    """What a page's text layer is good for.

    Attributes:
        layer: the words that the page shows; None where the layer is not to be used.
        reason: why it is not, as a sentence's end; None where it is, or where there is none.
        warnings: what a reader of the layer should know.
    """

    layer: TextLayer | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = ()


def judge_layer(picture: Picture) -> LayerVerdict:
    """The verdict on the text layer of ``picture``, which was asked for when it was read."""
    layer = picture.text_layer
    if layer is None or not any(True for _ in layer.words):
        return LayerVerdict()
    if (reason := _fault_of(layer)) is not None:
        return LayerVerdict(reason=reason)
    shown, hidden = _shown(layer, picture.image)
    total = sum(1 for _ in layer.words)
    if hidden > _MAX_UNSEEN * total:
        return LayerVerdict(reason=f"{hidden} of its {total} words are not seen on the page")
    lacking, lines = _lacking(shown, picture.image)
    if lacking > _MAX_LACKING * lines:
        return LayerVerdict(reason=f"it lacks {lacking} of {lines} lines that the page shows")
    warnings = []
    if hidden:
        warnings.append(f"left out {hidden} words of the text layer that the page does not show")
    if lacking:
        warnings.append(
            f"the text layer may lack {lacking} of {lines} lines that the page shows: "
            "--text-layer ignore reads the pixels"
        )
    return LayerVerdict(shown, warnings=tuple(warnings))


def _fault_of(layer: TextLayer) -> str | None:
    """What is wrong with the characters themselves."""
    characters = [character for word in layer.words for character in word.characters]
    unmapped = sum(not character.mapped for character in characters)
    if unmapped > _MAX_UNMAPPED * len(characters):
        return f"{unmapped} of its {len(characters)} characters have no Unicode"
    invisible = sum(not character.visible for character in characters)
    if invisible > _MAX_INVISIBLE * len(characters):
        return "it is invisible, as an earlier OCR leaves it"
    surprise = letter_surprise("".join(word.text for word in layer.words))
    if surprise is not None and surprise > _MAX_SURPRISE:
        return "its letters are spread as in no language: the font's table of characters is wrong"
    return None


def letter_surprise(text: str) -> float | None:
    """How unlike the languages of Europe the Latin letters of ``text`` are; None for too few.

    Mean negative log2 probability of a letter, and 6 bits for each vowel that is missing of four
    in ten letters.
    """
    letters = [char for char in unicodedata.normalize("NFD", text.casefold()) if char in _BITS]
    if len(letters) < _MIN_LETTERS:
        return None
    counts = Counter(letters)
    bits = sum(_BITS[letter] * count for letter, count in counts.items()) / len(letters)
    vowels = sum(counts[letter] for letter in "aeiouy") / len(letters)
    return bits + 6 * (0.4 - vowels)


def _shown(layer: TextLayer, page: Image.Image) -> tuple[TextLayer, int]:
    """The layer without the words that leave no mark on ``page``, and how many those are."""
    grey = np.asarray(page.convert("L"))
    lines, hidden = [], 0
    for line in layer.lines:
        words = tuple(word for word in line if _is_seen(word, grey))
        hidden += len(line) - len(words)
        if words:
            lines.append(words)
    return TextLayer(tuple(lines)), hidden


def _is_seen(word: Word, grey: npt.NDArray[np.uint8]) -> bool:
    if not all(character.visible for character in word.characters):
        return False
    left, top, right, bottom = word.box
    rows = slice(max(0, math.floor(top) - 1), max(0, math.ceil(bottom) + 1))
    columns = slice(max(0, math.floor(left) - 1), max(0, math.ceil(right) + 1))
    place = grey[rows, columns]
    return place.size > 0 and int(place.max()) - int(place.min()) >= _MIN_CONTRAST


def _lacking(layer: TextLayer, page: Image.Image) -> tuple[int, int]:
    """How many lines of print ``page`` shows where ``layer`` has no words, and how many in all."""
    scale = min(1.0, _SEARCH_WIDTH / page.width)
    size = (max(1, round(page.width * scale)), max(1, round(page.height * scale)))
    small = page.resize(size, Image.Resampling.BOX) if scale < 1 else page
    worded: Mask = np.zeros((small.height, small.width), np.bool_)
    for word in layer.words:
        left, top, right, bottom = (value * scale for value in word.box)
        rows = slice(max(0, math.floor(top)), max(0, math.ceil(bottom)))
        worded[rows, max(0, math.floor(left)) : max(0, math.ceil(right))] = True
    lines = [line for line in find_lines(small) if _is_words(line)]
    return sum(not _has_words(line, worded) for line in lines), len(lines)


def _is_words(line: LineBox) -> bool:
    """Whether a line is long enough to be more than a mark."""
    return line.width >= 2.5 * line.print_height


def _has_words(line: LineBox, worded: Mask) -> bool:
    """Whether words of the layer stand over half of the line's width."""
    place = worded[line.top : line.bottom, line.left : line.right]
    return bool(place.any(axis=0).mean() >= 0.5)
