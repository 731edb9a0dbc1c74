"""What ``dvl2 help`` explains: one Markdown file a topic, its name first, then one line on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# In the order in which they are listed.
NAMES = (
    "models",
    "formats",
    "grounding",
    "json",
    "exit-codes",
    "scripting",
    "memory",
    "training",
    "plugins",
    "privacy",
)


@dataclass(frozen=True, slots=True)
class Topic:
    """A text; ``summary`` is its first paragraph."""

    name: str
    summary: str
    text: str


def all_topics() -> list[Topic]:
    """Every topic, read from its file."""
    return [_read(name) for name in NAMES]


def _read(name: str) -> Topic:
    text = Path(__file__).with_name(f"{name}.md").read_text(encoding="utf-8")
    _, summary, _ = text.split("\n\n", 2)
    return Topic(name, " ".join(summary.split()), text)
