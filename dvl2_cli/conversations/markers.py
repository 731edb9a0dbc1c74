"""``<image>`` in the texts of data files: where a picture of the row belongs.

Only files have these markers; everywhere else pictures stand beside the text.
"""

from __future__ import annotations

IMAGE_TAG = "<image>"


def with_markers(question: str, count: int) -> str:
    """A question after ``count`` pictures, each on a line of its own."""
    return f"{IMAGE_TAG}\n" * count + question


def without_markers(text: str) -> tuple[str, int, tuple[int, ...] | None]:
    """The text alone, how many pictures it holds, and their places as in `Message`."""
    count = text.count(IMAGE_TAG)
    question = text.removeprefix(f"{IMAGE_TAG}\n" * count)
    if IMAGE_TAG not in question:
        return question, count, None
    pieces = text.split(IMAGE_TAG)
    places: list[int] = []
    for piece in pieces[:-1]:
        places.append(len(piece) + (places[-1] if places else 0))
    return "".join(pieces), count, tuple(places)
