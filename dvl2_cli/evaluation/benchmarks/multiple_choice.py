"""The options of a multiple-choice question, and the words around them, as VLMEvalKit has them."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_uppercase

from dvl2_cli.evaluation.benchmarks.row import SourceRow

REQUEST = "Please select the correct answer from the options above. \n"


def lettered_options(row: SourceRow) -> dict[str, str]:
    """Letter -> text of the columns A, B, C … that are filled."""
    found = {letter: row.optional(letter) for letter in ascii_uppercase}
    return {letter: text for letter, text in found.items() if text is not None}


def choice_prompt(question: str, options: Mapping[str, str], hint: str | None = None) -> str:
    """Hint, question, options and the request to select one; without options the question."""
    lines = [f"Hint: {hint}\n"] if hint is not None else []
    lines.append(f"Question: {question}\n")
    if options:
        lines.append("Options:\n")
        lines += [f"{letter}. {text}\n" for letter, text in options.items()]
        lines.append(REQUEST)
    return "".join(lines)
