"""``dvl2 chat`` where it answers once, and ``dvl2 history`` over what that leaves."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from dvl2_cli.engine.request import Request
from dvl2_cli.store.policy import Policy
from tests.commands.conftest import Cli, picture
from tests.fakes import FakeEngine

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "dvl2.chat.1.json"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return picture(tmp_path / "photo.png")


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def asked(engine: FakeEngine) -> str:
    return engine.requests[-1].messages[-1].shown


def test_the_answer_alone_is_on_stdout(cli: Cli, photo: Path) -> None:
    engine = FakeEngine("  a red car", is_nano=True)
    done = cli("chat", photo, photo, "-p", "what is it?", "--stats", engine=engine)
    assert (done.code, done.out) == (0, "a red car\n")
    assert asked(engine) == "<image>\n<image>\nwhat is it?"
    assert "per second" in done.err
    assert "answers come from nano" in done.err
    assert cli("chat", "-p", "hi", "-q", "--stats").err.count("\n") == 1
    assert engine.closed


def test_how_many_is_checked_by_pointing(cli: Cli, photo: Path) -> None:
    def answer(request: Request) -> str:
        question = request.messages[-1].shown
        boxes = "[[0, 0, 200, 200], [700, 700, 900, 900]]"
        return "1" if "How many" in question else f"<|ref|>cars<|/ref|><|det|>{boxes}<|/det|>"

    for counts, told in ((True, "2"), (False, "1")):
        engine = FakeEngine(answer)
        engine.info = dataclasses.replace(engine.info, policy=Policy(count_by_boxes=counts))
        ask = ("chat", photo, "-p", "How many cars are there?")
        assert cli(*ask, engine=engine).out == f"{told}\n"
        (row,) = cli(*ask, "--json", engine=engine).rows
        assert row["answer"] == told
        assert row["usage"]["completion_tokens"] > (50 if counts else 0)
    done = cli("chat", photo, "-p", "How many cars are there?", "--zoom", "1", engine=engine)
    assert done.out == "1\n"


def test_piped_text_is_the_question(cli: Cli, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in ((), ("-p", "-")):
        engine = FakeEngine()
        pipe(monkeypatch, b"is it red?\n")
        assert cli("chat", photo, *arguments, engine=engine).out == "a red car\n"
        assert asked(engine) == "<image>\nis it red?"
    pipe(monkeypatch, b"")
    assert "there is nothing to ask" in cli("chat", photo).err
    pipe(monkeypatch, b"\xff\xfe")
    assert "not UTF-8" in cli("chat", photo).err


def test_a_piped_picture(cli: Cli, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, photo.read_bytes())
    (row,) = cli("chat", "-", "-p", "what?", "--json").rows
    assert (row["source"]["path"], row["source"]["width"]) == ("-", 200)
    done = cli("chat", "-", "-p", "-")
    assert done.code == 2
    assert "both the image and the prompt" in done.err


def test_json_follows_its_schema_also_after_a_failure(cli: Cli, photo: Path) -> None:
    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    engine = FakeEngine("it is blurred", mean_probability=0.2)
    (row,) = cli("chat", photo, "-p", "what?", "--json", engine=engine).rows
    validator.validate(row)
    assert (row["status"], row["answer"], row["finish_reason"]) == ("ok", "it is blurred", "stop")
    assert row["warnings"] == [
        "low confidence: the model gave its words a chance of 20% on average, "
        "and under 50% an answer should be checked"
    ]
    done = cli("chat", "nowhere.png", "-p", "what?", "--json")
    validator.validate(done.rows[0])
    assert (done.code, done.rows[0]["error"]["code"]) == (1, "input")


def test_answers_that_ended_badly(cli: Cli) -> None:
    for reason, code, words in (("loop", 5, "repeated itself"), ("length", 0, "--max-tokens")):
        done = cli("chat", "-p", "x", "--json", engine=FakeEngine(finish_reason=reason))  # type: ignore[arg-type]
        (row,) = done.rows
        assert (done.code, row["status"], row["finish_reason"]) == (code, "partial", reason)
        assert words in row["warnings"][0]
        assert words in done.err
    done = cli("chat", "-p", "x", engine=FakeEngine(""))
    assert (done.code, done.out) == (5, "")


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("describe", "Describe this image."),
        ("table", "Convert the table in this image to Markdown."),
        ("chart-to-table", "Convert this chart to a Markdown table."),
        ("plot-to-python", "Write Python code with matplotlib that draws this plot."),
        ("web-to-code", "Write HTML and CSS code for this web page."),
        ("formula", "Convert the formula in this image to LaTeX."),
        ("story", "Tell a story that connects these images."),
        ("compare", "Compare these images. What is the same and what differs?"),
        ("vqa", "and why?"),
    ],
)
def test_presets_ask_in_their_own_words(cli: Cli, photo: Path, preset: str, words: str) -> None:
    engine = FakeEngine()
    done = cli("chat", photo, photo, "--preset", preset, "-p", "and why?", engine=engine)
    assert done.code == 0
    extra = "" if preset == "vqa" else "\nand why?"
    assert asked(engine) == f"<image>\n<image>\n{words}{extra}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "describe"], "--preset describe needs a picture"),
        (["PHOTO", "--preset", "compare"], "needs two pictures or more, got 1"),
        (["PHOTO", "--preset", "vqa"], "there is nothing to ask"),
        (["PHOTO", "--preset", "steps"], "there is no preset 'steps'"),
        (["-p", "x", "-c", "--session", "a"], "name two sessions"),
        (["-p", "x", "-c"], "no kept session"),
        (["-p", "x", "--schema", "a", "-x"], "want different answers"),
        (["-p", "x", "--schema", "a flot"], "'flot' is no type"),
        (["-p", "x", "--schema", '{"type": 3}'], "not a JSON Schema"),
        (["-p", "x", "--schema", "nowhere.json"], "cannot read the schema"),
        (["-p", "How many st\udce4rs?"], "the question is not UTF-8 text"),
        (["-p", "x", "--system", "K\udcfcrze"], "the system prompt is not UTF-8 text"),
    ],
)
def test_what_cannot_be_asked(cli: Cli, photo: Path, arguments: list[str], words: str) -> None:
    engine = FakeEngine()
    done = cli("chat", *[photo if a == "PHOTO" else a for a in arguments], engine=engine)
    assert done.code == 2
    assert words in done.err
    assert engine.requests == []


def test_a_question_may_speak_of_the_image_tag(cli: Cli, photo: Path) -> None:
    engine = FakeEngine()
    for images in ([], [photo]):
        assert cli("chat", *images, "-p", "Why <image> twice: <image>?", engine=engine).code == 0
        (message,) = engine.requests[-1].messages
        assert message.content == "Why <image> twice: <image>?"
        assert len(message.images) == len(images)


def test_data_that_follows_a_schema(cli: Cli, photo: Path, tmp_path: Path) -> None:
    engine = FakeEngine('{"total": 4.5, "paid": true}')
    done = cli("chat", photo, "-p", "x", "--schema", "total float, paid bool", engine=engine)
    assert json.loads(done.out) == {"total": 4.5, "paid": True}
    constraint = engine.requests[0].constraint
    assert constraint is not None
    assert json.loads(constraint.text)["required"] == ["total", "paid"]
    file = tmp_path / "s.json"
    file.write_text('{"type": "object", "required": ["total"]}', encoding="utf-8")
    (row,) = cli("chat", photo, "-p", "x", "--schema", file, "--json", engine=engine).rows
    assert row["data"] == {"total": 4.5, "paid": True}
    for answer in ('{"total": "much"}', '{"total": 4', "[NaN]"):
        done = cli("chat", "-p", "x", "--schema", "total float", engine=FakeEngine(answer))
        assert (done.code, done.out) == (5, "")
    cut = FakeEngine('{"total": 4', finish_reason="length")
    done = cli("chat", "-p", "x", "--schema", "total float", engine=cut)
    assert (done.code, done.out) == (5, "")
    assert "no JSON that follows --schema: the answer was cut at 11 tokens" in done.err


def test_a_lenient_schema_keeps_what_breaks_it(cli: Cli) -> None:
    ask = ("chat", "-p", "x", "--schema", "tags[]", "--schema-lenient")
    done = cli(*ask, engine=FakeEngine('{"tags": [1]}'))
    assert (done.code, json.loads(done.out)) == (0, {"tags": [1]})
    assert "the answer breaks --schema at $.tags[0]" in done.err
    (row,) = cli(*ask, "--json", engine=FakeEngine('{"tags": [1]}')).rows
    assert row["data"] == {"tags": [1]}
    assert row["warnings"] == ["the answer breaks --schema at $.tags[0]: 1 is not of type 'string'"]
    assert cli(*ask, engine=FakeEngine('{"tags": [')).code == 5
    done = cli("chat", "-p", "x", "--schema-lenient", engine=FakeEngine("x"))
    assert (done.code, "Give a --schema" in done.err) == (2, True)


def test_the_code_block_and_its_language(cli: Cli, photo: Path) -> None:
    code = "```py\nimport this\n```\n"
    ask = ("chat", photo, "--preset", "plot-to-python", "-x")
    done = cli(*ask, engine=FakeEngine(f"Sure:\n{code}\nDone."))
    assert (done.code, done.out, done.err) == (0, "import this\n", "")
    (row,) = cli(*ask, "--json", engine=FakeEngine("```js\nlet x\n```\n" + code)).rows
    assert (row["code"], row["language"], row["warnings"]) == ("import this\n", "python", [])
    done = cli(*ask, engine=FakeEngine("```js\nlet x\n```"))
    assert "the code block is js, not python" in done.err
    done = cli(*ask, engine=FakeEngine("```\nprint(\n```"))
    assert (done.code, done.out) == (0, "print(\n")
    assert "not valid Python" in done.err
    done = cli(*ask, engine=FakeEngine("no code"))
    assert (done.code, done.out) == (5, "")


def test_step_by_step(cli: Cli) -> None:
    engine = FakeEngine("One and one.\nAnswer: two")
    done = cli("chat", "-p", "1+1?", "--steps", "--json", engine=engine)
    assert asked(engine).startswith("1+1?\nThink step by step")
    assert done.rows[0]["answer"] == "two"
    assert cli("chat", "-p", "1+1?", "--steps", engine=engine).out.startswith("One and one.")


def test_the_prompt_is_shown_on_stderr(cli: Cli, photo: Path) -> None:
    done = cli("chat", photo, "-p", "what?", "--system", "be brief", "--show-prompt")
    assert done.out == "a red car\n"
    assert "prompt, system: be brief" in done.err
    assert "prompt, user: <image>\\nwhat?" in done.err


def test_sessions_go_on_are_searched_and_deleted(cli: Cli, photo: Path) -> None:
    first = cli("chat", photo, "-p", "what is it?", "--json").rows[0]["session"]
    engine = FakeEngine("blue")
    assert cli("chat", "-c", "-p", "its colour?", engine=engine).out == "blue\n"
    messages = engine.requests[0].messages
    assert [message.shown for message in messages] == [
        "<image>\nwhat is it?", "a red car", "its colour?",
    ]  # fmt: skip
    assert [len(message.images) for message in messages] == [1, 0, 0]
    cli("chat", "-p", "something else")
    assert cli("chat", "--session", first[:6], "-p", "sure?", "--json").rows[0]["session"] == first
    assert [row["turns"] for row in cli("history", "--json").rows] == [6, 2]
    (hit,) = cli("history", "search", "colour", "--json").rows
    assert hit["session"] == first
    assert ">>> its colour?" in cli("history", "show", first).out
    assert cli("history", "delete").code == 2
    assert cli("history", "delete", first).code == 0
    assert "something else" in cli("history").out
    assert cli("history", "show", first).code == 2
    assert cli("history", "delete", "--all").err == "dvl2: deleted 1 sessions\n"
    assert cli("history").out == ""


def test_nothing_is_kept_where_that_is_not_wanted(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("chat", "-p", "secret", "--no-history")
    monkeypatch.setenv("DVL2_HISTORY", "false")
    cli("chat", "-p", "secret")
    monkeypatch.delenv("DVL2_HISTORY")
    cli("config", "set", "history", "off")
    (row,) = cli("chat", "-p", "secret", "--json").rows
    assert row["session"] is None
    assert cli("history").out == ""


def test_a_history_that_cannot_be_written_does_not_cost_the_answer(
    cli: Cli, user_folders: Path
) -> None:
    (user_folders / "data" / "dvl2").write_text("a file in the way", encoding="utf-8")
    done = cli("chat", "-p", "hi")
    assert (done.code, done.out) == (0, "a red car\n")
    assert "warning: cannot open the history" in done.err


def test_verbose_tells_what_was_chosen_and_what_the_prompt_takes(cli: Cli, photo: Path) -> None:
    done = cli("chat", photo, "-p", "what is it?", "-v")
    assert "dvl2: prompt of 425 tokens of 4096, 421 of images (1x1 tiles + thumbnail)" in done.err
    assert "prompt of" not in cli("chat", photo, "-p", "what is it?").err
