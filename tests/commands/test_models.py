"""ls, show and rm, end to end as the user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dvl2_cli.store.names import RELEASED
from dvl2_cli.store.records import Record, StoredFile, write_record
from tests.store.tiny_checkpoint import write_checkpoint

TINY = RELEASED["tiny"]
COMMIT = "c0ffee" + "0" * 34
SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVL2_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("DVL2_CONFIG", str(tmp_path / "settings.toml"))
    monkeypatch.delenv("DVL2_MODEL", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def run(*words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "dvl2_cli", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def lines(done: subprocess.CompletedProcess[str], name: str) -> list[dict[str, Any]]:
    import jsonschema

    schema = json.loads((SCHEMAS / f"dvl2.{name}.1.json").read_text(encoding="utf-8"))
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for line in found:
        jsonschema.validate(line, schema)
    return found


def pulled(*, copies: tuple[str, ...] = ()) -> Record:
    files = (StoredFile("config.json", 3, "0" * 64),)
    record = Record(TINY, COMMIT, "main", "deepseek", 1.7e9, files)
    write_checkpoint(record.original)
    for quant in copies:
        write_checkpoint(record.folder / quant)
    write_record(record)
    return record


def test_ls_names_every_copy_and_the_default() -> None:
    record = pulled(copies=("int4",))
    found = lines(run("ls", "--json"), "ls")
    by_quant = {line["quant"]: line for line in found if line["id"] == TINY}
    assert by_quant.keys() == {"none", "int4"}
    assert by_quant["int4"]["default"] is True
    assert by_quant["none"]["default"] is False
    assert by_quant["none"]["folder"] == str(record.original)
    assert by_quant["none"]["size"] == sum(p.stat().st_size for p in record.original.iterdir())
    plain = run("ls").stdout.splitlines()
    assert any(line.split("\t")[:2] == ["tiny", "int4"] and "default" in line for line in plain)


def test_ls_does_not_count_as_use() -> None:
    record = pulled()
    os.utime(record.folder / "record.json", (5, 5))
    run("ls")
    assert record.used_at == 5


def test_ls_shows_unfinished_pulls(home: Path) -> None:
    partial = home / "models" / "owner--x" / COMMIT / "original.partial"
    partial.mkdir(parents=True)
    (partial / "model.safetensors.incomplete").write_bytes(bytes(100))
    (line,) = [line for line in lines(run("ls", "--json"), "ls") if line["id"] == "owner/x"]
    assert (line["state"], line["size"], line["default"]) == ("incomplete", 100, False)
    assert "incomplete: dvl2 pull owner/x" in run("ls").stdout


def test_ls_when_the_chosen_model_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVL2_MODEL", "tiny")
    assert f"no model is the default: {TINY} is not on this machine" in run("ls").stderr


def test_show(home: Path) -> None:
    record = pulled()
    (line,) = lines(run("show", "tiny", "--json"), "show")
    assert line["id"] == TINY
    assert line["licence"] == "deepseek"
    assert line["problems"] == []
    stored = sum(part["parameters"] for part in line["parts"])
    pool = sum(part["parameters"] for part in line["parts"] if "unused" in part["name"])
    assert line["parameters"] == stored - pool
    assert line["active_parameters"] < line["parameters"]
    assert {file["name"] for file in line["files"]} == {p.name for p in record.original.iterdir()}
    plain = run("show", record.original).stdout
    assert f"folder\t{record.original}" in plain
    assert "2 of 4 routed and 1 shared in 1 layers, softmax greedy router" in plain


def test_the_bundled_model_has_the_licence_of_dvl2() -> None:
    (line,) = lines(run("show", "nano", "--json"), "show")
    assert line["licence"] == "MIT License"
    licence = Path(line["folder"]) / "LICENSE"
    assert licence.read_bytes() == (Path(__file__).parents[2] / "LICENSE").read_bytes()


def test_show_lists_everything_that_is_wrong(home: Path) -> None:
    folder = write_checkpoint(home / "mine")
    (folder / "tokenizer.json").unlink()
    os.truncate(folder / "model.safetensors", 3000)
    done = run("show", folder, code=3)
    assert f"{folder / 'tokenizer.json'} is missing" in done.stderr
    assert f"{folder / 'model.safetensors'} is truncated" in done.stderr
    (line,) = lines(run("show", folder, "--json", code=3), "show")
    assert len(line["problems"]) == 2


def test_show_of_a_missing_model() -> None:
    done = run("show", "small", code=3)
    assert done.stdout == ""
    assert "Fetch it: dvl2 pull small" in done.stderr


def test_control_characters_in_a_model_stay_off_the_terminal(home: Path) -> None:
    folder = write_checkpoint(home / "m\x1b[31m")
    (folder / "LICENSE").write_text("free\x1b]0;x\x07", encoding="utf-8")
    assert "\x1b" not in run("show", folder).stdout


def test_rm_deletes_all_or_one_copy() -> None:
    record = pulled(copies=("int4", "int8"))
    run("rm", "tiny", "--quant", "int8", "-y")
    assert record.copies().keys() == {"none", "int4"}
    found = lines(run("rm", "tiny", "-y", "--json"), "rm")
    assert {line["quant"] for line in found} == {"none", "int4"}
    assert not record.folder.parent.exists()
    assert "there is no deepseek-ai/deepseek-vl2-tiny" in run("rm", "tiny", "-y", code=3).stderr


def test_rm_of_the_original_keeps_the_copy() -> None:
    record = pulled(copies=("int4",))
    run("rm", "tiny", "--quant", "none", "-y")
    assert record.copies().keys() == {"int4"}
    assert lines(run("ls", "--json"), "ls")[0]["quant"] == "int4"


def test_rm_deletes_an_unfinished_pull(home: Path) -> None:
    partial = home / "models" / "owner--x" / COMMIT / "original.partial"
    partial.mkdir(parents=True)
    run("rm", "owner/x", "-y")
    assert not partial.exists()


def test_rm_refuses(home: Path) -> None:
    pulled()
    assert "cannot be deleted" in run("rm", "nano", "-y", code=2).stderr
    folder = write_checkpoint(home / "mine")
    assert "is your own folder" in run("rm", folder, "-y", code=2).stderr
    assert "asks before it deletes" in run("rm", "tiny", code=2).stderr
    assert (home / "models").exists()


def test_quantised_copies_of_nano_and_of_folders_are_listed_and_go(home: Path) -> None:
    from dvl2_cli.store.copies import copy_folder
    from dvl2_cli.store.places import nano_folder

    nano, mine = nano_folder(), write_checkpoint(home / "mine")
    assert nano is not None
    copies = [copy_folder(nano, "int4"), copy_folder(mine, "int8")]
    for copy in copies:
        write_checkpoint(copy)
    found = {row["folder"]: row for row in lines(run("ls", "--json"), "ls")}
    rows = [found[str(copy)] for copy in copies]
    assert [row["quant"] for row in rows] == ["int4", "int8"]
    assert [row["state"] for row in rows] == ["converted", "converted"]
    assert rows[0]["name"] == "nano"
    run("rm", "nano", "--quant", "int4", "-y")
    run("rm", rows[1]["name"], "-y")
    assert not any(copy.exists() for copy in copies)
    assert (mine / "config.json").exists()
    assert lines(run("ls", "--json"), "ls")[0]["state"] == "bundled"


def test_a_mistyped_model_is_guessed() -> None:
    assert "Did you mean tiny?" in run("pull", "tinny", code=3).stderr


@pytest.mark.parametrize("width", [20, 40])
def test_names_and_folders_are_whole_on_a_narrow_terminal(width: int) -> None:
    from tests.terminal import Terminal

    record = pulled()
    for words in (("ls",), ("show", "tiny")):
        with Terminal("-m", "dvl2_cli", *words, columns=width, rows=60) as terminal:
            assert terminal.end() == 0
            joined = terminal.text.replace("\n", "")
        assert "tiny" in joined
        if words[0] == "show":
            assert str(record.original) in joined


def test_rm_asks_on_a_terminal() -> None:
    import pexpect

    record = pulled()
    for answer, left in (("n", True), ("y", False)):
        child = pexpect.spawn(sys.executable, ["-m", "dvl2_cli", "rm", "tiny"], timeout=30)
        child.expect("Delete .*B?")
        child.sendline(answer)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == (130 if left else 0)
        assert record.original.exists() is left


def test_ls_on_a_terminal_is_a_table() -> None:
    import pexpect

    pulled()
    child = pexpect.spawn(
        sys.executable, ["-m", "dvl2_cli", "ls"], timeout=30, dimensions=(40, 120), encoding="utf-8"
    )
    child.expect(pexpect.EOF)
    assert "last used" in child.before
    assert "c0ffee00" in child.before
