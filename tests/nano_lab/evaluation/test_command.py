"""``nano_lab eval`` as a command, answering from a script."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dvl2_cli.engine import opening
from dvl2_cli.errors import InputError, UsageError
from dvl2_cli.evaluation.report import HEADINGS
from nano_lab.__main__ import app
from nano_lab.evaluation import nano_suite
from nano_lab.rendering import VERSION
from tests.fakes import FakeEngine
from tests.nano_lab.rendering.fonts_here import need_suite


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine("yes")
    monkeypatch.setattr(opening, "open_engine", lambda common: fake)
    return fake


def test_the_suite_as_a_table_with_plots(engine: FakeEngine, tmp_path: Path) -> None:
    need_suite()
    arguments = ["eval", "--only", "vqa", "-n", "6", "-q", "--plot", str(tmp_path / "p")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert tuple(lines[0]) == HEADINGS
    assert lines[1][:4] == ["vqa", "accuracy", "6", "0.000"]
    assert {path.name for path in (tmp_path / "p").iterdir()} == {"scores.png", "gallery.png"}


def test_the_suite_as_json_names_the_renderer(engine: FakeEngine) -> None:
    need_suite()
    result = CliRunner().invoke(app, ["eval", "--only", "vqa", "-n", "2", "-q", "--json"])
    assert result.exit_code == 0, result.output
    assert {json.loads(line)["renderer"] for line in result.stdout.splitlines()} == {VERSION}


def test_other_fonts_than_the_suites_are_refused(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nano_suite, "missing_packages", lambda split: ["fonts-lato"])
    result = CliRunner().invoke(app, ["eval"])
    assert isinstance(result.exception, InputError)
    assert "apt-get install fonts-lato" in str(result.exception.hint)
    assert not engine.requests


def test_a_plan_is_refused(engine: FakeEngine) -> None:
    need_suite()
    result = CliRunner().invoke(app, ["eval", "--plan"])
    assert isinstance(result.exception, UsageError)
    assert "--plan" in result.exception.message
    assert not engine.requests


def test_an_unknown_part_is_refused(engine: FakeEngine) -> None:
    result = CliRunner().invoke(app, ["eval", "--only", "speech"])
    assert isinstance(result.exception, UsageError)
    assert "no part 'speech'" in result.exception.message
    assert not engine.requests
