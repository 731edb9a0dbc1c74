"""Draws the suite, asks dvl2 and its peers, and sums up by kind."""

from __future__ import annotations

import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from nano_lab.foreign import product, tools
from nano_lab.foreign.drawing.catalogue import KINDS
from nano_lab.foreign.drawing.chromium import Chromium
from nano_lab.foreign.drawing.document import Drawn
from nano_lab.foreign.drawing.paper import picture
from nano_lab.foreign.drawing.scenes import Scene, draw_scenes, load_scenes
from nano_lab.foreign.drawing.studio import cache_folder, draw_all
from nano_lab.foreign.measures import (
    EITHER_ORDER,
    Digits,
    character_error_rate,
    digits,
    is_refusal,
    is_value,
    overlap,
)
from nano_lab.foreign.peers import PEERS
from nano_lab.foreign.questions import Question, questions

FIELDS = ("number", "date", "total")
_PEER_DPI = 150
_MIN_OVERLAP = 0.5
# Kinds whose digits cost somebody money.
_COUNTED = frozenset({"invoice", "receipt"})

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Page:
    """A page as dvl2 or a peer read it."""

    kind: str
    name: str
    errors: float
    text: str
    warned: bool
    seconds: float
    digits: Digits


@dataclass(frozen=True, slots=True)
class Field:
    """A value that was asked for."""

    name: str
    wanted: str
    answer: str | None
    warned: bool

    @property
    def right(self) -> bool:
        """To the letter, but for spaces and case."""
        return is_value(self.wanted, self.answer)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a held-out wording."""

    question: Question
    text: str
    warned: bool

    @property
    def outcome(self) -> str:
        """One of "right", "refused", "warned" and "wrong"; the last is wrong in silence."""
        if self.question.is_right(self.text):
            return "right"
        if is_refusal(self.text):
            return "refused"
        return "warned" if self.warned else "wrong"


@dataclass(frozen=True, slots=True)
class Found:
    """The overlap of the first box for a name with the nearest one that is there."""

    scene: str
    name: str
    overlap: float


@dataclass(slots=True)
class Results:
    """Everything that a run measured."""

    pages: list[Page] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    peers: dict[str, list[Page]] = field(default_factory=dict)


def packages_folder() -> Path:
    """Where npm puts the icon sets."""
    return Path(platformdirs.user_cache_dir("dvl2")) / "foreign" / "npm"


def prepare(*, peers: bool) -> tuple[list[Drawn], list[Scene]]:
    """Documents and scenes, drawn where they are not yet.

    Raises:
        InputError: a tool is missing.
    """
    tools.check(packages_folder(), peers=peers)
    folder = cache_folder()
    documents = draw_all(folder)
    scenes = load_scenes(folder)
    if not scenes:
        with Chromium() as chromium:
            scenes = draw_scenes(folder, packages_folder(), chromium)
    return documents, scenes


def every(items: Sequence[Any], step: int) -> list[Any]:
    """Each ``step``-th item: the sample of a quick run, the same every time."""
    return list(items[::step])


def read_pages(
    documents: Sequence[Drawn], options: Sequence[str], say: Say = lambda _: None
) -> list[Page]:
    """``dvl2 ocr`` on the documents, those of one kind in one command."""
    pages = []
    for kind in KINDS:
        wanted = [doc for doc in documents if doc.kind == kind]
        if not wanted:
            continue
        ran = product.run("ocr", *options, *(str(doc.file) for doc in wanted))
        by_path: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for line in ran.lines:
            by_path[Path(str((line.get("source") or {}).get("path"))).name].append(line)
        for doc in wanted:
            lines = by_path[doc.file.name]
            text = "\n".join(str(line.get("text") or "") for line in lines)
            warned = not lines or any(line["warnings"] or line["error"] for line in lines)
            pages.append(scored(doc, text, warned=warned, seconds=ran.cpu_seconds / len(wanted)))
        say(f"{kind}: {statistics.median(p.errors for p in pages if p.kind == kind):.3f}")
    return pages


def scored(doc: Drawn, text: str, *, warned: bool, seconds: float) -> Page:
    """The page with its error rate, against whichever order of the truth is nearer where the kind
    has two.
    """
    orders = [doc.text, doc.rows] if doc.kind in EITHER_ORDER else [doc.text]
    truth = min(orders, key=lambda order: character_error_rate(order, text))
    return Page(
        doc.kind,
        doc.name,
        character_error_rate(truth, text),
        text,
        warned,
        seconds,
        digits(truth, text),
    )


def read_fields(invoices: Sequence[Drawn], options: Sequence[str]) -> list[Field]:
    """``dvl2 ocr --fields number,date,total`` on the invoices."""
    found = []
    for doc in invoices:
        ran = product.run("ocr", *options, "--fields", ",".join(FIELDS), str(doc.file))
        line = ran.lines[0] if ran.lines else {}
        values = line.get("fields") or {}
        for name in FIELDS:
            answer = values.get(name)
            warned = bool(line.get("warnings")) or answer is None
            text = None if answer is None else str(answer)
            found.append(Field(f"{doc.name}/{name}", doc.values[name], text, warned))
    return found


def ask(asked: Sequence[Question], options: Sequence[str]) -> list[Answer]:
    """``dvl2 chat PICTURE -p WORDING`` for every question."""
    answers = []
    for question in asked:
        ran = product.run(
            "chat", *options, str(question.picture), "-p", question.text, "--no-history"
        )
        line = ran.lines[0] if ran.lines else {}
        warned = not line or bool(line["warnings"]) or bool(line["error"])
        answers.append(Answer(question, str(line.get("answer") or ""), warned))
    return answers


def ground(scenes: Sequence[Scene], options: Sequence[str]) -> list[Found]:
    """``dvl2 ground SCENE NAME`` for every name in every scene."""
    found = []
    for scene in scenes:
        for name in sorted({thing.name for thing in scene.things}):
            ran = product.run("ground", *options, str(scene.file), name)
            boxes = ran.lines[0].get("objects", []) if ran.lines else []
            wanted = [thing.box for thing in scene.things if thing.name == name]
            best = (
                max((overlap(boxes[0]["box"], box) for box in wanted), default=0.0)
                if boxes
                else 0.0
            )
            found.append(Found(scene.name, name, best))
    return found


def read_peers(documents: Sequence[Drawn]) -> dict[str, list[Page]]:
    """The peers on the same documents; PDFs are shown to them at 150 dpi."""
    results: dict[str, list[Page]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, read in PEERS.items():
            pages = []
            for doc in documents:
                file = doc.file
                if file.suffix == ".pdf":
                    file = Path(folder) / f"{doc.name}.png"
                    picture(doc.file, _PEER_DPI, trim=False).save(file)
                text, seconds = read(file)
                pages.append(scored(doc, text, warned=False, seconds=seconds))
            results[name] = pages
    return results


def is_found(found: Found) -> bool:
    """Whether it counts as located."""
    return found.overlap >= _MIN_OVERLAP


def digits_right_or_flagged(pages: Sequence[Page]) -> float | None:
    """The share of the digits on invoices and receipts that are right or on a page that warns."""
    counted = [page for page in pages if page.kind in _COUNTED]
    printed = sum(page.digits.printed for page in counted)
    if not printed:
        return None
    good = sum(p.digits.printed if p.warned else p.digits.right for p in counted)
    return good / printed


def run(
    parts: Sequence[str], step: int, options: Sequence[str], *, peers: bool, say: Say
) -> Results:
    """Measure.

    Args:
        parts: of "pages", "fields", "questions" and "grounding".
        step: 1 for everything, n for each n-th item of every part.
        options: for dvl2, as ``-m FOLDER``.
        peers: whether tesseract and rapidocr read the pages too.
        say: hears how it goes.

    Raises:
        InputError: a tool is missing.
    """
    documents, scenes = prepare(peers=peers)
    invoices = [doc for doc in documents if doc.kind == "invoice"]
    results = Results()
    if "pages" in parts:
        results.pages = read_pages(every(documents, step), options, say)
    if peers:
        results.peers = read_peers(every(documents, step))
    if "fields" in parts:
        results.fields = read_fields(every(invoices, step), options)
    if "questions" in parts:
        results.answers = ask(every(questions(scenes, documents), step), options)
    if "grounding" in parts:
        results.found = ground(every(scenes, step), options)
    return results
