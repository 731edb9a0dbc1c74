"""Which option of a multiple-choice question an answer names, by VLMEvalKit's exact matching."""

from __future__ import annotations

from collections.abc import Mapping

_SPACED = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_LAST_WORDS = 4
_NO_OPTION = "Z"  # the harness' word for an answer that names none


def chosen_option(answer: str, options: Mapping[str, str]) -> str | None:
    """The letter of the option that ``answer`` names, or None.

    The one letter that stands alone, among the last four words; else the one option whose text
    the answer contains, if the answer is at most twice as long as all options. Where the harness
    would ask another model, or choose at random, there is no option.

    Args:
        answer: of the model.
        options: letter -> text.
    """
    words = answer.translate(_SPACED).split()
    letters = [letter for letter in options if letter in words]
    if len(letters) == 1 and words.index(letters[0]) >= len(words) - _LAST_WORDS:
        return letters[0]
    if not letters and _NO_OPTION in words:
        return None
    return _by_text(answer.lower(), options)


def _by_text(answer: str, options: Mapping[str, str]) -> str | None:
    if len(answer) > 2 * sum(len(text) for text in options.values()):
        return None
    found = [letter for letter, text in options.items() if text.lower() in answer]
    return found[0] if len(found) == 1 else None


def rotations(options: Mapping[str, str], right: str) -> list[tuple[dict[str, str], str]]:
    """Every rotation of the options' texts over their letters, with the letter that is then right.

    The first is the question as it came.

    Raises:
        ValueError: ``right`` is no option.
    """
    letters, texts = list(options), list(options.values())
    place = letters.index(right)
    count = len(letters)
    turned = []
    for shift in range(count):
        moved = texts[-shift:] + texts[:-shift] if shift else texts
        placed = dict(zip(letters, moved, strict=True))
        turned.append((placed, letters[(place + shift) % count]))
    return turned
