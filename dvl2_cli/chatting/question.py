"""From presets, prompts and options to the question that is asked."""

from __future__ import annotations

from dvl2_cli.errors import UsageError
from dvl2_cli.prompts import PRESETS

# Presets whose answer is a code block, and the language it should be in.
CODE_PRESETS = {"plot-to-python": "python", "web-to-code": "html", "formula": "latex"}
_OF_SEVERAL = ("compare",)
# Not a question of its own: --steps adds it to one.
_ADDED = "steps"
_DEFAULT_PRESET = "vqa"
_ANSWER = "Answer:"


def preset_names() -> list[str]:
    """What ``--preset`` takes."""
    return [_DEFAULT_PRESET, *(name for name in PRESETS if name != _ADDED)]


def question_of(preset: str | None, prompt: str | None, *, steps: bool, pictures: int) -> str:
    """The exact words of the question, without image tags.

    ``preset`` "vqa" asks ``prompt`` alone; others put it after their own words. ``pictures``
    is how many the conversation has.

    Raises:
        UsageError: nothing to ask, an unknown preset, or too few pictures for it.
    """
    words = _preset(preset, pictures)
    question = "\n".join(part for part in (words, (prompt or "").strip()) if part)
    if not question:
        hint = "Ask with -p." if preset else "Ask with -p, or choose a --preset."
        raise UsageError("there is nothing to ask", hint)
    return f"{question}\n{PRESETS[_ADDED]}" if steps else question


def last_answer(text: str) -> str | None:
    """What follows the last "Answer:" of a step-by-step answer; None where there is none."""
    _, found, answer = text.rpartition(_ANSWER)
    return answer.strip() or None if found else None


def _preset(name: str | None, pictures: int) -> str:
    if name is None:
        return ""
    if name not in preset_names():
        raise UsageError(f"there is no preset {name!r}", f"One of: {', '.join(preset_names())}.")
    if not pictures:
        raise UsageError(f"--preset {name} needs a picture", f"dvl2 chat photo.jpg --preset {name}")
    if name in _OF_SEVERAL and pictures < 2:
        raise UsageError(f"--preset {name} needs two pictures or more, got {pictures}")
    return "" if name == _DEFAULT_PRESET else PRESETS[name]
