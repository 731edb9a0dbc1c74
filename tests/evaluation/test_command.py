"""``dvl2 eval`` as a command, answering from a script."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dvl2_cli.commands.eval import app
from dvl2_cli.engine import opening
from dvl2_cli.engine.request import Request
from dvl2_cli.errors import UsageError
from dvl2_cli.evaluation.report import HEADINGS
from tests.fakes import FakeEngine

DATA = Path(__file__).parents[2] / "examples" / "pictures" / "data.jsonl"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine("yes")
    monkeypatch.setattr(opening, "open_engine", lambda common: fake)
    return fake


def test_own_data_as_a_table_with_plots(engine: FakeEngine, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [str(DATA), "-q", "--plot", str(tmp_path / "p")])
    assert result.exit_code == 0, result.output
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert tuple(lines[0]) == HEADINGS
    assert {line[0] for line in lines[1:]} >= {"data/text", "data/answers", "data/boxes"}
    drawn = {path.name for path in (tmp_path / "p").iterdir()}
    assert drawn == {"scores.png", "cer.png", "gallery.png"}


def test_own_data_as_json_lines(engine: FakeEngine, tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    arguments = [str(DATA), "--json", "-q", "--answers", str(answers)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert {row["group"] for row in rows} == {"data/text", "data/answers", "data/boxes"}
    assert all(0 <= row["low"] <= row["mean"] <= row["high"] for row in rows)
    kept = [json.loads(line) for line in answers.read_text().splitlines()]
    assert len(kept) == sum(row["n"] for row in rows) == len(engine.requests)
    # "yes" answers one question of the scene, the bus.
    assert sum(row["score"] for row in kept if row["metric"] == "anls") == 1
    assert engine.closed


@pytest.mark.parametrize(("given", "asked"), [("auto", "auto"), ("2", 2)])
def test_the_tile_budget_reaches_every_request(
    engine: FakeEngine, given: str, asked: object
) -> None:
    result = CliRunner().invoke(app, [str(DATA), "-q", "--tiles", given])
    assert result.exit_code == 0, result.output
    assert engine.requests
    assert {request.tiles for request in engine.requests} == {asked}


@pytest.mark.parametrize(("given", "asked"), [("auto", "auto"), ("1.5", 1.5)])
def test_the_zoom_reaches_every_request(engine: FakeEngine, given: str, asked: object) -> None:
    result = CliRunner().invoke(app, [str(DATA), "-q", "--zoom", given])
    assert result.exit_code == 0, result.output
    assert {request.zoom for request in engine.requests} == {asked}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the conversations, DATA.jsonl"),
        ([str(DATA), "--tiles", "few"], "--tiles is 'few'"),
        ([str(DATA), "--zoom", "much"], "--zoom is 'much'"),
        ([str(DATA), "--zoom", "0"], "--zoom is '0'"),
        ([str(DATA), "--zoom", "nan"], "--zoom is 'nan'"),
    ],
)
def test_wrong_use(engine: FakeEngine, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, UsageError)
    assert message in result.exception.message
    assert not engine.requests


class Killed(BaseException):
    """What ends a run as a kill does: nobody handles it."""


@pytest.mark.parametrize("left", [0, 1, 3])
def test_a_killed_run_goes_on_where_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, left: int
) -> None:
    def run(most: int | None, name: str) -> tuple[int, list[dict[str, object]]]:
        """Questions that reach the model, of which ``most`` are answered, and the answers."""

        def answer(request: Request) -> str:
            if most is not None and len(fake.requests) > most:
                raise Killed
            return f"answer {request.messages[-1].content}"

        fake = FakeEngine(answer)
        monkeypatch.setattr(opening, "open_engine", lambda common: fake)
        path = tmp_path / name
        runner, arguments = CliRunner(), [str(DATA), "-q", "--answers", str(path)]
        if most is not None:
            with pytest.raises(Killed):
                runner.invoke(app, arguments, catch_exceptions=False)
            assert not path.exists()
            return len(fake.requests), []
        assert runner.invoke(app, arguments, catch_exceptions=False).exit_code == 0
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return len(fake.requests), [{**row, "seconds": 0} for row in rows]

    asked, whole = run(None, "whole.jsonl")
    assert run(left, "killed.jsonl") == (left + 1, [])
    assert run(None, "again.jsonl") == (asked - left, whole)
    assert run(None, "afresh.jsonl")[0] == asked
