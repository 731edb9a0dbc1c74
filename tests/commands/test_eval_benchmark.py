"""``dvl2 eval BENCHMARK`` as a command: tables, rows, comparisons, kills, wrong use."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dvl2_cli.engine.request import Request
from dvl2_cli.results.schemas import all_schemas
from tests.commands.conftest import Cli
from tests.evaluation.benchmarks.files import as_base64, picture, png, write_parquet, write_tsv
from tests.fakes import FakeEngine

ROOT = Path(__file__).parents[2]


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    """Twelve questions whose answers are their numbers, half of each kind."""
    rows = [
        {
            "image": picture(),
            "question": f"Q{n}?",
            "answer": str(n),
            "type": ("human_test", "augmented_test")[n % 2],
        }
        for n in range(10, 22)
    ]
    return write_parquet(tmp_path / "charts.parquet", rows)


def number(request: Request) -> str:
    return request.messages[-1].content[1:3]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def valid(row: dict[str, Any]) -> bool:
    name = {
        "dvl2.eval.benchmark/1": "dvl2.eval.benchmark.1.json",
        "dvl2.eval.benchmark-answer/1": "dvl2.eval.benchmark-answer.1.json",
        "dvl2.eval.comparison/1": "dvl2.eval.comparison.1.json",
    }[row["schema"]]
    return bool(Draft202012Validator(all_schemas()[name]).is_valid(row))


def test_a_table_and_the_papers_figures(cli: Cli, charts: Path) -> None:
    engine = FakeEngine(number)
    done = cli("eval", "chartqa", "--data", charts, engine=engine)
    assert done.code == 0, done.err
    lines = [line.split("\t") for line in done.out.splitlines()]
    assert lines[0] == [
        "benchmark", "group", "metric", "n", "score", "95 % interval", "points",
    ]  # fmt: skip
    assert lines[1] == [
        "chartqa", "all", "relaxed accuracy", "12", "100.00", "100.00 to 100.00", "12 of 12",
    ]  # fmt: skip
    assert [line[1] for line in lines[2:]] == ["augmented", "human"]
    assert "the paper's figures: Tiny 81, Small 84.5, 27B not known here" in done.err
    assert engine.closed


def test_json_and_rows_follow_their_schemas(cli: Cli, charts: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    arguments = ("eval", "chartqa", "--data", charts, "--json", "--answers", answers, "-q")
    done = cli(*arguments, engine=FakeEngine("15"))
    rows = rows_of(answers)
    assert all(valid(row) for row in (*done.rows, *rows))
    assert [row["score"] for row in rows if row["references"] == ["15"]] == [1.0]
    assert done.rows[0]["n"] == len(rows) == 12
    assert done.rows[0]["paper"] == {"tiny": 81.0, "small": 84.5, "large": None}
    assert done.err == ""


def test_two_runs_are_compared_in_pairs(cli: Cli, charts: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    worse = FakeEngine(
        lambda request: "?" if number(request) in {"10", "11", "12"} else number(request)
    )
    for path, engine in zip(files, (FakeEngine(number), worse), strict=True):
        assert cli("eval", "chartqa", "--data", charts, "--answers", path, engine=engine).code == 0
    done = cli("eval", "--compare", *files, "--json")
    (row,) = done.rows
    assert valid(row)
    assert (row["n"], row["better"], row["worse"], row["unpaired"]) == (12, 0, 3, 0)
    # Two of six and one of six are lost.
    assert row["difference"] == pytest.approx(-25)
    assert row["low"] < row["difference"] < row["high"] <= 0
    # Fewer questions in one file: only the shared ones count.
    files[1].write_text("\n".join(files[1].read_text("utf-8").splitlines()[3:]) + "\n", "utf-8")
    done = cli("eval", "--compare", *files)
    assert "3 questions have a score in one file only" in done.err
    assert done.out.splitlines()[1].split("\t")[2:6] == ["9", "100.00", "100.00", "+0.00"]


def test_the_prompt_is_shown_and_nothing_is_asked(cli: Cli, charts: Path) -> None:
    engine = FakeEngine()
    done = cli("eval", "chartqa", "--data", charts, "--show-prompt", "-n", "2", engine=engine)
    suffix = "Answer the question using a single word or phrase."
    assert done.out == f"<image>\nQ10?\n{suffix}\n\n<image>\nQ11?\n{suffix}\n"
    assert not engine.requests


def test_ctrl_c_keeps_what_was_answered(cli: Cli, charts: Path, tmp_path: Path) -> None:
    def interrupted(request: Request) -> str:
        if number(request) == "12":
            signal.raise_signal(signal.SIGINT)
        return number(request)

    answers = tmp_path / "a.jsonl"
    arguments = ("eval", "chartqa", "--data", charts, "--answers", answers)
    done = cli(*arguments, engine=FakeEngine(interrupted))
    assert done.code == 130
    assert "these figures cover only what was answered" in done.err
    assert len(rows_of(answers)) == 3
    engine = FakeEngine(number)
    done = cli(*arguments, engine=engine)
    assert done.code == 0
    assert "going on after 3 answers" in done.err
    assert (len(engine.requests), len(rows_of(answers))) == (9, 12)


def test_a_bad_picture_fails_its_question_only(cli: Cli, tmp_path: Path) -> None:
    rows = [
        {"index": n, "image": image, "question": "Q?", "answer": "['a']"}
        for n, image in enumerate((as_base64(png()), as_base64(b"none" * 40)), 1)
    ]
    path, answers = write_tsv(tmp_path / "d.tsv", rows), tmp_path / "a.jsonl"
    done = cli("eval", "docvqa", "--data", path, "--answers", answers, engine=FakeEngine("a"))
    assert done.code == 1
    assert "row 2, image 1" in done.err
    assert "1 questions could not be asked" in done.err
    assert [row["score"] for row in rows_of(answers)] == [1.0, None]
    assert all(valid(row) for row in rows_of(answers))


def test_refcoco_says_loudly_how_boxes_are_read(cli: Cli, tmp_path: Path) -> None:
    row = {"question_id": "1", "image": picture(), "bbox": [1.0, 1.0, 5.0, 5.0], "answer": ["it"]}
    path = write_parquet(tmp_path / "r.parquet", [row])
    done = cli("eval", "refcoco", "--data", path, engine=FakeEngine("none"))
    assert "dvl2: warning: the model's 0..999 are turned into pixels" in done.err
    assert "of the 27B: RefCOCO val 95.1" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("eval", "docvqa"), "eval docvqa: name the file with --data FILE"),
        (("eval", "docvqa", "--data", "DATA", "--seed", "1"), "--seed chooses the items"),
        (("eval", "docvqa", "--data", "DATA", "--plot", "p"), "does not go with --plot"),
        (("eval", "docs", "--data", "DATA"), "eval docs does not go with --data"),
        (("eval", "mine.jsonl", "--show-prompt"), "does not go with --show-prompt"),
        (("eval", "docvqa", "--compare", "a", "b"), "does not go with the name of a set"),
        (("eval", "docvqa", "--data", "DATA"), "lacks what DocVQA needs: answers or answer"),
        (
            ("eval", "chartqa", "--data", "DATA", "--show-prompt", "--json"),
            "does not go with --json",
        ),
    ],
)  # fmt: skip
def test_wrong_use(cli: Cli, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    rows = [{"index": 1, "image": as_base64(png()), "question": "Q?"}]
    path = write_tsv(tmp_path / "d.tsv", rows)
    engine = FakeEngine()
    done = cli(*[path if word == "DATA" else word for word in arguments], engine=engine)
    assert done.code == 2
    assert message in done.err
    assert not engine.requests


def test_the_data_is_not_replaced(cli: Cli, charts: Path) -> None:
    before, engine = charts.read_bytes(), FakeEngine()
    done = cli("eval", "chartqa", "--data", charts, "--answers", charts, engine=engine)
    assert done.code == 2
    assert "is an input and would be replaced" in done.err
    assert charts.read_bytes() == before
    assert not engine.requests


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "line 1: not JSON"),
        ('{"schema": "dvl2.ocr/1"}', "line 1: not an answer to a benchmark"),
        ('{"schema": "dvl2.eval.benchmark-answer/1"}', "line 1: a member is missing or wrong"),
        ("", "holds the answers of 0 benchmarks"),
    ],
)
def test_files_that_cannot_be_compared(cli: Cli, tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    done = cli("eval", "--compare", path, path)
    assert done.code == 1
    assert said in done.err


def test_a_killed_run_goes_on(
    charts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while a question is answered: the rest is asked, and the rows are all there."""
    for name in ("STATE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    log, answers = tmp_path / "log", tmp_path / "answers.jsonl"
    script = tmp_path / "script.json"
    command = [
        sys.executable, str(ROOT / "tests" / "commands" / "fake_cli.py"), str(script),
        "eval", "chartqa", "--data", str(charts), "--answers", str(answers),
    ]  # fmt: skip
    script.write_text(json.dumps({"answer": "12", "log": str(log), "delay": 0.2}))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _wait(lambda: log.exists() and len(log.read_text().splitlines()) >= 4)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not answers.exists()
    asked = log.read_text().splitlines()
    script.write_text(json.dumps({"answer": "12", "log": str(log)}))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"going on after {len(asked) - 1} answers of a killed run" in done.stderr
    again = log.read_text().splitlines()[len(asked) :]
    # Only the question that was being answered is asked once more.
    assert again[0] == asked[-1]
    assert len(asked) - 1 + len(again) == 12
    assert [row["row"] for row in rows_of(answers)] == list(range(1, 13))
    assert sum(row["score"] for row in rows_of(answers)) == 1


def _wait(reached: Callable[[], bool]) -> None:
    for _ in range(3000):
        if reached():
            return
        time.sleep(0.05)
    raise AssertionError("the run asked too little")
