"""MMMU: college questions with one or several pictures, by accuracy on the validation split."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from string import ascii_uppercase
from typing import TYPE_CHECKING

from dvl2_cli.evaluation.benchmarks.cells import as_list, is_missing
from dvl2_cli.evaluation.benchmarks.item import Benchmark, BenchmarkItem, Graded
from dvl2_cli.evaluation.benchmarks.metrics.choice import chosen_option
from dvl2_cli.evaluation.benchmarks.multiple_choice import (
    REQUEST,
    choice_prompt,
    lettered_options,
)
from dvl2_cli.evaluation.benchmarks.row import SourceRow

if TYPE_CHECKING:
    from PIL.Image import Image

_DEV = "dev"
_MENTION = re.compile(r"<image (\d)>")
_SUBJECT = re.compile(r"[a-z]+_(.+)_\d+")
# What the adapter writes for the harness' own words.
_LETTER_ONLY = (
    "Answer with the option's letter from the given choices directly. "
    "Answer the question using a single word or phrase.\n"
)
# VLMEvalKit's second option of an open question; its length bounds the answer's.
_OTHER = "Other Answers"


def _items(row: SourceRow, has_rotations: bool) -> Iterator[BenchmarkItem]:
    """The row's question; none for the dev split, which the paper's figure leaves out."""
    del has_rotations
    name = row.text("id", "index")
    if row.optional("split") == _DEV or name.startswith(f"{_DEV}_"):
        return
    options = _options(row)
    answers = row.answers("answer")
    if options and answers[0] not in options:
        raise row.wrong(f"answer is {answers[0][:40]!r}, which is none of {', '.join(options)}")
    asked = choice_prompt(row.text("question"), options, row.optional("hint"))
    mentions = [int(found) for found in _MENTION.findall(asked)]
    subject = _SUBJECT.fullmatch(name)
    yield BenchmarkItem(
        id=name,
        unit=name,
        group=row.optional("category") or (subject[1] if subject else ""),
        row=row,
        text=_adapted(asked, len(mentions)),
        pictures=lambda: _pictures(row, mentions),
        references=answers,
        grade=lambda answer, sizes: _grade(answer, options, answers),
        on_one_line=True,
    )


def _options(row: SourceRow) -> dict[str, str]:
    """Letter -> text, of lettered columns or of a list; empty for an open question."""
    listed = row.cells.get("options")
    if is_missing(listed) or listed == "[]" or listed == []:
        return lettered_options(row)
    try:
        texts = as_list(listed)
    except ValueError as error:
        raise row.wrong(f"options is no list: {error}") from error
    if texts is None or len(texts) > len(ascii_uppercase):
        raise row.wrong(f"options is no list of options: {str(listed)[:40]!r}")
    return dict(zip(ascii_uppercase, texts, strict=False))


def _adapted(asked: str, mentions: int) -> str:
    """The harness' prompt as its adapter for DeepSeek-VL2 changes it: mentions are numbered in
    their order, the words for question and options go, and a letter is asked for.
    """
    numbers = iter(range(1, mentions + 1))
    text = _MENTION.sub(lambda found: f"<image {next(numbers)}>", asked)
    text = text.replace(REQUEST.removesuffix(" \n"), _LETTER_ONLY)
    return text.replace("Question:", "").replace("Options:\n", "")


def _pictures(row: SourceRow, mentions: list[int]) -> tuple[Image, ...]:
    """One picture for each mention, the first twice as wide and high, as the adapter shows it."""
    from PIL.Image import Resampling

    found = row.pictures()
    missing = next((number for number in mentions if not 1 <= number <= len(found)), None)
    if missing is not None:
        raise row.wrong(f"the question names <image {missing}>, and there are {len(found)} images")
    shown = [found[number - 1] for number in mentions] or list(found)
    width, height = shown[0].size
    shown[0] = shown[0].resize((2 * width, 2 * height), Resampling.BILINEAR)
    return tuple(shown)


def _grade(answer: str, options: Mapping[str, str], answers: tuple[str, ...]) -> Graded:
    if options:
        chosen = chosen_option(answer, options)
        return Graded(float(chosen == answers[0]), chosen)
    return Graded(float(any(_says(answer, reference) for reference in answers)), answer)


def _says(answer: str, reference: str) -> bool:
    """Whether an open question's answer contains the reference, and is not much longer."""
    found = chosen_option(answer.lower(), {"A": reference, "B": _OTHER})
    return found == "A"


MMMU = Benchmark(
    "mmmu",
    "MMMU",
    "accuracy",
    (("id", "index"), ("question",), ("answer",), ("options", "A"), ("image", "image_1")),
    _items,
)
