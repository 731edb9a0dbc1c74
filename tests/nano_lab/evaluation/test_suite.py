"""The nano suite with a scripted engine: right answers score full marks, wrong ones do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from dvl2_cli.engine.request import Request
from dvl2_cli.evaluation.gallery import pick, write_gallery
from dvl2_cli.evaluation.item import Item, ItemResult
from dvl2_cli.evaluation.plots import write_plots
from dvl2_cli.evaluation.runner import request_for, run
from dvl2_cli.evaluation.summary import summarise_part
from dvl2_cli.store.policy import Policy
from nano_lab.evaluation.nano_suite import PARTS, Part, part_items
from tests.fakes import FakeEngine
from tests.nano_lab.rendering.fonts_here import need_all

FEW = 12


@pytest.fixture(autouse=True)
def _fonts() -> None:
    need_all()


def _oracle(items: Iterable[Item]) -> FakeEngine:
    """Answers every question with its reference; questions are told apart by their picture."""
    answers = {_key(request_for(item)): item.reference for item in items}
    return FakeEngine(lambda request: answers[_key(request)])


def _key(request: Request) -> tuple[str, bytes]:
    last = request.messages[-1]
    return last.content, last.images[0].resize((32, 32)).tobytes()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_right_answers_score_full_marks(part: Part) -> None:
    items = list(part_items(part, FEW if part.kind == "scene" else 3))
    for row in summarise_part(part.name, list(run(_oracle(items), items)), part.bar):
        assert row.mean == (0.0 if row.metric == "cer" else 1.0)
        assert row.met is not False


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_wrong_answers_do_not(part: Part) -> None:
    items = list(part_items(part, FEW if part.kind == "scene" else 3))
    wrong = "<|ref|>a fig<|/ref|><|det|>[[0, 0, 3, 3]]<|/det|>"
    for row in summarise_part(part.name, list(run(FakeEngine(wrong), items)), part.bar):
        assert row.mean > 0.8 if row.metric == "cer" else row.mean < 0.1


def test_boxes_are_looked_at_again_as_ground_does() -> None:
    part = next(part for part in PARTS if part.name == "grounding")
    item = next(item for item in part_items(part, FEW) if item.metric == "iou")

    def answer(request: Request) -> str:
        whole = request.messages[-1].images[0].size == item.images[0].size
        boxed = "<|det|>[[200, 200, 800, 800]]<|/det|>"
        return item.reference if whole else f"<|ref|>it<|/ref|>{boxed}"

    engine = FakeEngine(answer)
    engine.info = dataclasses.replace(engine.info, policy=Policy(refine_boxes=True))
    (outcome,) = run(engine, [item])
    assert len(engine.requests) == 2
    assert outcome.score == 1
    assert outcome.answer != item.reference


def test_the_items_are_always_the_same() -> None:
    part = next(part for part in PARTS if part.name == "grounding")
    first, again = list(part_items(part, FEW)), list(part_items(part, FEW))
    assert [item.id for item in first] == [item.id for item in again]
    assert [item.reference for item in first] == [item.reference for item in again]
    assert len(first) == FEW
    assert all(len(item.boxes) == 1 for item in first if item.metric == "iou")


def _outcomes() -> list[ItemResult]:
    outcomes: list[ItemResult] = []
    for part in PARTS:
        if part.name != "text-page":
            items = list(part_items(part, 4))
            outcomes += run(_oracle(items), items)
    return outcomes


def test_plots_and_gallery_are_pictures(tmp_path: Path) -> None:
    outcomes = _outcomes()
    summaries = summarise_part("text-tile", outcomes[:4], 0.02)
    summaries += summarise_part("invoice-fields", outcomes[4:8], 0.9)
    names = [path.name for path in write_plots(summaries, outcomes, tmp_path, "title")]
    assert names == ["scores.png", "cer.png"]
    write_gallery(outcomes, tmp_path / "gallery.png", 10)
    for name in (*names, "gallery.png"):
        with Image.open(tmp_path / name) as image:
            assert image.format == "PNG"
            assert min(image.size) > 150


def test_the_gallery_shows_every_group_whatever_its_score() -> None:
    outcomes = _outcomes()
    groups = {outcome.item.group for outcome in outcomes}
    chosen = pick(outcomes, len(groups))
    assert {outcome.item.group for outcome in chosen} == groups
    assert len(pick(outcomes, 1000)) == len(outcomes)
