"""One document of the suite, before and after it is drawn."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Wear = Literal["none", "scan", "photo"]


@dataclass(frozen=True, slots=True)
class Document:
    """What is drawn: ``template`` names a file in ``templates``, ``seed`` its content and look.

    ``width`` is the page's in CSS pixels, ``scale`` the device pixels to one of them; for PDFs
    that are shown as pictures ``scale`` times 96 is the resolution in dots per inch.
    """

    kind: str
    template: str
    seed: int
    width: int = 794
    scale: float = 1.25
    size: int = 16
    wear: Wear = "none"

    @property
    def name(self) -> str:
        """Unique in the suite."""
        wear = "" if self.wear == "none" else f"-{self.wear}"
        return f"{self.template.replace('.', '-')}-{self.seed}{wear}"


@dataclass(frozen=True, slots=True)
class Word:
    """A printed word and its box (xyxy, in pixels or points; y goes down)."""

    text: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawn document: ``file`` is a PNG, or a PDF where the PDF itself is to be read.

    ``text`` is the layout engine's text in the order of the document, ``rows`` the same words
    row by row across the page. ``values`` are printed values by name.
    """

    kind: str
    name: str
    file: Path
    text: str
    rows: str
    values: dict[str, str] = field(default_factory=dict)
    table: tuple[tuple[str, ...], ...] = ()

    def save(self, folder: Path) -> None:
        """Write the truth beside the picture."""
        data = {**asdict(self), "file": self.file.name}
        (folder / f"{self.name}.json").write_text(json.dumps(data, ensure_ascii=False), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Drawn:
        """Read what `save` wrote."""
        data = json.loads(path.read_text("utf-8"))
        data["file"] = path.parent / data["file"]
        data["table"] = tuple(tuple(row) for row in data["table"])
        return cls(**data)


def by_rows(words: list[Word]) -> str:
    """The words from top to bottom, and from left to right where they stand side by side."""
    rows: list[list[Word]] = []
    for word in sorted(words, key=lambda w: (w.box[1] + w.box[3]) / 2):
        middle = (word.box[1] + word.box[3]) / 2
        if rows and _overlaps(middle, rows[-1]):
            rows[-1].append(word)
        else:
            rows.append([word])
    return "\n".join(
        " ".join(word.text for word in sorted(row, key=lambda w: w.box[0])) for row in rows
    )


def _overlaps(middle: float, row: list[Word]) -> bool:
    tops = sum(word.box[1] for word in row) / len(row)
    bottoms = sum(word.box[3] for word in row) / len(row)
    quarter = (bottoms - tops) / 4
    return tops + quarter <= middle <= bottoms - quarter
