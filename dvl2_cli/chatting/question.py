"""From presets, prompts and options to the question that is asked."""

from __future__ import annotations

from dvl2_cli.errors import UsageError
from dvl2_cli.prompts import PRESETS

# Presets whose answer is a code block, and the language it should be in.
CODE_PRESETS = {"plot-to-python": "python", "web-to-code": "html", "formula": "latex"}
_OF_SEVERAL = ("compare",)
_ANSWER = "Answer:"


def question_of(preset: str | None, prompt: str | None, *, steps: bool, pictures: int) -> str:
    """The exact words of the question, without image tags.

    ``preset`` "vqa" asks ``prompt`` alone; others put it after their own words.

    Raises:
        UsageError: nothing to ask, an unknown preset, or too few pictures for it.
    """
    words = _preset(preset, pictures)
    question = "\n".join(part for part in (words, (prompt or "").strip()) if part)
    if not question:
        raise UsageError("there is nothing to ask", "Ask with -p, or choose a --preset.")
    return f"{question}\n{PRESETS['steps']}" if steps else question


def last_answer(text: str) -> str | None:
    """What follows the last "Answer:" of a step-by-step answer; None where there is none."""
    _, found, answer = text.rpartition(_ANSWER)
    return answer.strip() or None if found else None


def _preset(name: str | None, pictures: int) -> str:
    if name is None or name == "vqa":
        return ""
    if name not in PRESETS:
        raise UsageError(f"there is no preset {name!r}", f"One of: vqa, {', '.join(PRESETS)}.")
    if name in _OF_SEVERAL and pictures < 2:
        raise UsageError(f"--preset {name} needs two pictures or more, got {pictures}")
    return PRESETS[name]
