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
