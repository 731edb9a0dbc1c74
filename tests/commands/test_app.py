"""How the program ends, whatever its commands do."""

from __future__ import annotations

import pytest
import typer

from dvl2_cli import app


def interrupted_program() -> typer.Typer:
    program = typer.Typer()

    @program.command()
    def load() -> None:
        raise KeyboardInterrupt

    return program


def test_ctrl_c_before_a_command_looks_out_for_it_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "app", interrupted_program())
    monkeypatch.setattr("sys.argv", ["dvl2"])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 130
    assert capsys.readouterr() == ("", "dvl2: cancelled\n")


def said(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    monkeypatch.setattr("sys.argv", ["dvl2", *words])
    with pytest.raises(SystemExit) as ended:
        app.main()
    return ended.value.code


@pytest.mark.parametrize(
    ("word", "hint"),
    [("orc", "Did you mean ocr?"), ("Chat", "Did you mean chat?"), ("xyzzy", "dvl2 --help")],
)
def test_an_unknown_command_is_guessed(
    word: str, hint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(monkeypatch, word) == 2
    shown = capsys.readouterr().err
    assert f"there is no command {word!r}" in shown
    assert hint in shown


@pytest.mark.parametrize("words", [("-h",), ("ocr", "-h"), ("rm", "--help")])
def test_help_has_a_short_name(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(monkeypatch, *words) == 0
    assert "Usage:" in capsys.readouterr().out


def test_the_version_has_a_short_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(monkeypatch, "-V") == 0
    assert capsys.readouterr().out.startswith("dvl2 ")


@pytest.mark.parametrize("name", list(app.COMMANDS))
def test_help_has_no_type_of_switches_and_no_orphaned_lines(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = app.load_command(name, app.COMMANDS[name][0])
    for paragraph in (command.help or "").split("\n\n"):
        lines = paragraph.splitlines()
        assert len(lines) <= 1 or any(line.startswith(" ") for line in lines)
    monkeypatch.setenv("COLUMNS", "100")
    assert said(monkeypatch, name, "--help") == 0
    assert "<bool>" not in capsys.readouterr().out


_LONG = "x" * 300


@pytest.mark.parametrize(
    "words",
    [
        (_LONG,),
        ("show", f"./{_LONG}"),
        ("show", _LONG),
        ("rm", f"./{_LONG}"),
        ("quantize", f"./{_LONG}"),
        ("train", _LONG),
        ("eval", _LONG),
        ("ocr", "a.png", "-o", f"{_LONG}.md"),
        ("ocr", "a.png", "-o", f"{_LONG}/"),
        ("ground", "a.png", "car", "--draw", f"{_LONG}.png"),
        ("chat", "-p", "x", "--schema", f"{_LONG}.json"),
        ("chat", "-p", "x", "-m", f"./{_LONG}"),
        ("chat", "-p", "x", "--adapter", _LONG),
        ("serve", "--at", _LONG),
        ("help", _LONG),
    ],
)
def test_names_that_no_disk_holds_are_one_error(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = said(monkeypatch, *words)
    error = capsys.readouterr().err
    assert code in (1, 2, 3)
    assert any(line.startswith("dvl2: ") for line in error.splitlines())
    assert "Errno" not in error


@pytest.mark.parametrize("variable", ["DVL2_CONFIG", "DVL2_SOCKET", "DVL2_MODELS"])
def test_folders_that_no_disk_holds_are_no_traceback(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, f"/{_LONG}")
    for words in (("ls",), ("ps",), ("config", "list")):
        said(monkeypatch, *words)
        assert "Errno" not in capsys.readouterr().err
