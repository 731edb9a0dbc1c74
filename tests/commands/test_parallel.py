"""--parallel asks about several inputs at once, and changes nothing of what is written."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest

from dvl2_cli.engine.request import Request
from tests.commands.conftest import Cli, picture
from tests.fakes import FakeEngine

COLOURS = ("red", "green", "blue", "white", "yellow", "black")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, colour in enumerate(COLOURS):
        picture(tmp_path / "in" / f"{index}.png", colour)
    (tmp_path / "in" / "bad.png").write_bytes(b"\x89PNG broken")
    return tmp_path / "in"


def colour_of(request: Request) -> str:
    return str(request.messages[0].images[0].getpixel((0, 0)))


class Together:
    """Answers only when so many questions are there at once."""

    def __init__(self, count: int) -> None:
        self._barrier = threading.Barrier(count, timeout=60)

    def __call__(self, request: Request) -> str:
        self._barrier.wait()
        return colour_of(request)


def engine_worth(parallel: int, answer: Together) -> FakeEngine:
    engine = FakeEngine(answer)
    engine.info = dataclasses.replace(engine.info, parallel=parallel)
    return engine


@pytest.mark.parametrize("arguments", [("caption",), ("ocr",), ("ground",)])
def test_rows_are_the_same_and_in_order(cli: Cli, folder: Path, arguments: tuple[str, ...]) -> None:
    what = ("a car",) if arguments == ("ground",) else ()
    alone = cli(*arguments, folder, *what, engine=FakeEngine(colour_of))
    beside = cli(*arguments, folder, *what, "--parallel", 3, engine=FakeEngine(Together(3)))
    assert [row["source"]["path"] for row in beside.rows] == [
        row["source"]["path"] for row in alone.rows
    ]
    for one, other in zip(alone.rows, beside.rows, strict=True):
        assert one["status"] == other["status"]
        assert one["raw"] == other["raw"]
    assert beside.code == alone.code == 1


def test_auto_is_what_the_model_gains_by(cli: Cli, folder: Path) -> None:
    done = cli("caption", folder, engine=engine_worth(2, Together(2)))
    assert sum(row["status"] == "ok" for row in done.rows) == len(COLOURS)


def test_a_journal_serves_several_threads(cli: Cli, folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "captions.csv"
    engine = FakeEngine(Together(3))
    cli("caption", folder, "-o", table, "--parallel", 3, engine=engine)
    assert len(engine.requests) == len(COLOURS)
    assert len(table.read_text().splitlines()) == 1 + len(COLOURS) + 1
    assert not list(tmp_path.glob(".captions*"))


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1000", "1.5", ""])
def test_other_values_are_refused(cli: Cli, folder: Path, wrong: str) -> None:
    done = cli("ocr", folder, "--parallel", wrong)
    assert done.code == 2
    assert "--parallel" in done.err
    assert "auto" in done.err


def test_the_old_name_says_the_new_one(cli: Cli, folder: Path) -> None:
    done = cli("caption", folder, "--batch-size", 4)
    assert done.code == 2
    assert "--parallel 4" in done.err
