"""What the commands really write, held to the published schemas."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dvl2_cli.app import COMMANDS, load_command
from dvl2_cli.results.schemas import all_schemas
from tests import golden_data
from tests.commands.conftest import Cli, Done, cli, picture
from tests.fakes import FakeEngine
from tests.store.tiny_checkpoint import write_checkpoint

__all__ = ["cli"]

DATA = Path(__file__).parents[2] / "examples" / "pictures" / "data.jsonl"
CAR = "<|ref|>car<|/ref|><|det|>[[100, 200, 300, 400]]<|/det|>"
# Validated where such an output takes more than a fake engine.
ELSEWHERE = {
    "doctor": "tests/doctor/test_command.py",
    "eval.benchmark": "tests/commands/test_eval_benchmark.py",
    "eval.benchmark-answer": "tests/commands/test_eval_benchmark.py",
    "eval.comparison": "tests/commands/test_eval_benchmark.py",
    "plan": "tests/commands/test_plan.py",
    "pull": "tests/hub/test_pull_command.py",
    "pull-plan": "tests/hub/test_pull_command.py",
}
HERE = (
    "chat", "ocr", "ground", "caption", "history", "history-hit", "history-delete", "session", "ls",
    "show", "rm", "config", "ps", "ps-stop", "serve", "quantize", "bench", "eval",
    "eval.answer", "train",
)  # fmt: skip


def check(rows: list[dict[str, Any]], name: str) -> None:
    assert rows
    validator = Draft202012Validator(all_schemas()[f"dvl2.{name}.1.json"])
    for row in rows:
        assert row["schema"] == f"dvl2.{name}/1"
        validator.validate(row)


def ran(done: Done, name: str) -> list[dict[str, Any]]:
    assert done.code == 0, done.err
    check(done.rows, name)
    return done.rows


def test_no_schema_is_without_a_test() -> None:
    published = {name.removeprefix("dvl2.").removesuffix(".1.json") for name in all_schemas()}
    assert published == {*HERE, *ELSEWHERE}
    root = Path(__file__).parents[2]
    for name, path in ELSEWHERE.items():
        assert f"dvl2.{name}.1.json" in (root / path).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "help"])
def test_every_command_has_json(name: str) -> None:
    options = {
        option for item in load_command(name, COMMANDS[name][0]).params for option in item.opts
    }
    assert "--json" in options


@pytest.mark.parametrize(
    ("name", "words", "answer"),
    [
        ("chat", ("{picture}", "-p", "What?"), "a car"),
        ("chat", ("{picture}", "-p", "What?", "--schema", "name"), '{"name": "car"}'),
        ("ocr", ("{picture}",), "Invoice 12"),
        ("ocr", ("{picture}", "--fields", "total"), "41.20"),
        ("ocr", ("{missing}",), ""),
        ("ground", ("{picture}", "car", "--draw"), CAR),
        ("ground", ("{picture}", "--caption"), f"A {CAR}."),
        ("caption", ("{picture}", "--sidecar", ".txt"), "A car."),
        ("caption", ("{picture}", "--grounded"), f"A {CAR}."),
    ],
)
def test_answers(cli: Cli, tmp_path: Path, name: str, words: tuple[str, ...], answer: str) -> None:
    named = {"picture": picture(tmp_path / "a.png"), "missing": tmp_path / "b.png"}
    filled = [word.format(**named) for word in words]
    done = cli(name, *filled, "--json", engine=FakeEngine(answer))
    assert done.code == int("{missing}" in words), done.err
    check(done.rows, name)


def test_history(cli: Cli, tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png")
    (row,) = ran(cli("chat", image, "-p", "Which car?", "--json"), "chat")
    assert [item["id"] for item in ran(cli("history", "--json"), "history")] == [row["session"]]
    assert ran(cli("history", "search", "car", "--json"), "history-hit")
    (kept,) = ran(cli("history", "show", row["session"], "--json"), "session")
    assert kept["turns"][0]["images"] == [str(image)]
    (other,) = ran(cli("chat", image, "-p", "And a dog?", "--json"), "chat")
    (gone,) = ran(cli("history", "delete", row["session"][:8], "--json"), "history-delete")
    assert gone["deleted"] == [row["session"]]
    (gone,) = ran(cli("history", "delete", "--all", "--json"), "history-delete")
    assert gone["deleted"] == [other["session"]]
    (gone,) = ran(cli("history", "delete", "--all", "--json"), "history-delete")
    assert gone["deleted"] == []


def test_settings(cli: Cli) -> None:
    (row,) = ran(cli("config", "set", "threads", "2", "--json"), "config")
    assert (row["name"], row["value"]) == ("threads", 2)
    (row,) = ran(cli("config", "--json"), "config")
    assert {item["name"]: item["value"] for item in row["settings"]}["threads"] == 2
    (row,) = ran(cli("config", "path", "--json"), "config")
    assert Path(row["path"]).is_file()
    (row,) = ran(cli("config", "unset", "threads", "--json"), "config")
    assert (row["value"], row["source"]) == (None, "default")
    assert ran(cli("config", "get", "quant", "--json"), "config")[0]["value"] == "auto"


def test_models(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvl2_cli.store.records import Record, StoredFile, write_record

    monkeypatch.setenv("DVL2_MODELS", str(tmp_path / "models"))
    files = (StoredFile("config.json", 3, "0" * 64),)
    record = Record("deepseek-ai/deepseek-vl2-tiny", "c" * 40, "main", None, 1.0, files)
    write_checkpoint(record.original)
    write_record(record)
    assert len(ran(cli("ls", "--json"), "ls")) == 2
    for name in ("nano", "tiny"):
        ran(cli("show", name, "--json"), "show")
    (record.original / "tokenizer.json").unlink()
    done = cli("show", "tiny", "--json")
    assert done.code == 3
    check(done.rows, "show")
    ran(cli("rm", "tiny", "-y", "--json"), "rm")


@pytest.fixture
def warm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from dvl2_cli.engine.remote.places import ModelKey
    from dvl2_cli.server.daemon import Daemon

    path = tmp_path / "d.sock"
    monkeypatch.setenv("DVL2_SOCKET", str(path))
    key = ModelKey("/m", "f", "auto", "cpu", None, None, None, None)
    daemon = Daemon(FakeEngine(), key, path, idle_seconds=60.0)
    ready = threading.Event()
    thread = threading.Thread(target=lambda: daemon.run(ready.set))
    thread.start()
    assert ready.wait(10)
    yield
    daemon.stop()
    thread.join(10)


@pytest.mark.usefixtures("warm")
def test_warm_models(cli: Cli) -> None:
    (row,) = ran(cli("ps", "--json"), "ps")
    assert row["servers"][0]["info"]["id"] == "fake"
    (stopped,) = ran(cli("ps", "--stop", "--json"), "ps-stop")
    assert stopped["stopped"] == [row["servers"][0]["socket"]]


def test_no_warm_model(cli: Cli) -> None:
    assert ran(cli("ps", "--json"), "ps")[0]["servers"] == []
    assert ran(cli("ps", "--stop", "--json"), "ps-stop")[0]["stopped"] == []


def test_evaluation(cli: Cli, tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    ran(cli("eval", DATA, "--json", "-q", "--answers", answers), "eval")
    lines = answers.read_text(encoding="utf-8").splitlines()
    check([json.loads(line) for line in lines], "eval.answer")


def test_quantising(cli: Cli, tmp_path: Path) -> None:
    source = golden_data.ROOT / "checkpoints" / "mha"
    words = ("quantize", source, "--to", "int8", "-o", tmp_path / "copy", "-q", "--json")
    for made in (True, False):
        (row,) = ran(cli(*words, *(() if made else ("--no-check",))), "quantize")
        assert row["made"] is made


@pytest.mark.slow
def test_bench(cli: Cli) -> None:
    folder = golden_data.ROOT / "checkpoints" / "mla"
    (row,) = ran(cli("bench", "-m", folder, "--prompt-tokens", "32", "--json"), "bench")
    assert row["speeds"]["decode_tokens"] > 0


@pytest.mark.slow
def test_serving(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    words = ["serve", "-m", "nano", "--at", str(path), "--json", "-q"]
    with subprocess.Popen(
        [sys.executable, "-m", "dvl2_cli", *words], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            row = json.loads(child.stdout.readline())
        finally:
            child.terminate()
    check([row], "serve")
    assert (row["address"], row["pid"]) == (str(path), child.pid)


@pytest.mark.slow
def test_training(cli: Cli, tmp_path: Path) -> None:
    picture(tmp_path / "a.png", size=(64, 64))
    turns = [
        {"role": "user", "content": "<image>\nWhat?"},
        {"role": "assistant", "content": "A car."},
    ]
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps({"images": ["a.png"], "messages": turns}) + "\n", encoding="utf-8")
    out = tmp_path / "run"
    model = golden_data.ROOT / "checkpoints" / "mla"
    words = ("-m", model, "--lora", "2", "--steps", "1", "--workers", "0", "-q", "--json")
    (row,) = ran(cli("train", data, "-o", out, *words), "train")
    assert row["what"] == "result"
    assert Path(row["path"]).is_dir()
    (row,) = ran(cli("train", out, "--merge", "--json"), "train")
    assert (row["what"], row["path"]) == ("merged", str(out / "merged"))
