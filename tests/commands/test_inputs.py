"""The options about inputs that commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.conftest import Cli, picture
from tests.inputs.pdfs import protected

COMMANDS = (("ocr",), ("caption",), ("ground", "star"))


def run(cli: Cli, command: tuple[str, ...], path: Path, *options: str) -> list[dict[str, object]]:
    name, *phrases = command
    return cli(name, path, *phrases, "--json", *options).rows


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_excluded_names_are_left_out(cli: Cli, tmp_path: Path, command: tuple[str, ...]) -> None:
    for name in ("a.png", "a_thumb.png", "small/b.png", "@eaDir/c.png"):
        picture(tmp_path / "in" / name)
    rows = run(cli, command, tmp_path / "in", "-r", "--exclude", "*_thumb.*", "--exclude", "small")
    assert [Path(row["source"]["path"]).name for row in rows] == ["a.png"]  # type: ignore[index]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("way", ["option", "variable", "none"])
def test_passwords_open_pdfs_and_are_not_shown(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], way: str
) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(protected("geheim"))
    if way == "variable":
        monkeypatch.setenv("DVL2_PDF_PASSWORD", "geheim")
    options = ("--password", "geheim") if way == "option" else ()
    (row,) = run(cli, command, path, *options)
    assert row["status"] == ("failed" if way == "none" else "ok")
    assert "geheim" not in str(row)


def test_chat_opens_protected_pdfs(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(protected("geheim"))
    assert cli("chat", path, "-p", "What is this?", "--password", "geheim").code == 0
    assert "Add --password" in cli("chat", path, "-p", "What is this?").err
