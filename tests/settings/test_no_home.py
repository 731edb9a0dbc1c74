"""A user without a home folder, as services and containers have."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvl2_cli.app import main

FOLDERS = ("user_config_path", "user_data_path", "user_state_path")


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    for name in FOLDERS:
        monkeypatch.setattr(f"platformdirs.{name}", missing)
    monkeypatch.chdir(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    monkeypatch.setattr("sys.argv", ["dvl2", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


@pytest.mark.parametrize(
    "words", [("ls",), ("config", "list"), ("show", "nano"), ("ps",), ("ls", "--json")]
)
def test_what_needs_no_folder_works(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *words) in (0, None)
    assert "home folder" not in capfd.readouterr().err


@pytest.mark.parametrize("words", [("history",), ("config", "set", "seed", "3")])
def test_what_needs_one_names_the_variables(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *words) == 2
    said = capfd.readouterr().err
    assert "HOME is not set" in said
    assert "XDG_CONFIG_HOME" in said


def test_the_checks_say_so() -> None:
    from dvl2_cli.doctor.check import Status
    from dvl2_cli.doctor.folders import folder_checks

    (check,) = folder_checks()
    assert check.status is Status.WARNING
    assert "HOME is not set" in f"{check.found}"


def test_an_answer_is_given_without_a_journal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "ocr", "missing.png") == 1
    assert "no such file: missing.png" in capfd.readouterr().err
