"""Commands that need a package which is not there: one line, before anything is read."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from dvl2_cli import packages
from dvl2_cli.errors import UsageError
from dvl2_cli.packages import install_command, need_packages
from tests.commands.conftest import Cli, cli
from tests.fakes import FakeEngine

__all__ = ["cli"]

Lacking = Callable[[str], None]


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> Lacking:
    """``lacking("peft")``: as if it were not installed."""
    find = importlib.util.find_spec

    def take_away(name: str) -> None:
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda module, package=None: None if module == name else find(module, package),
        )

    return take_away


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (["ocr", "none.png", "--boxes", "rapidocr"], "rapidocr", "linebox"),
        (["caption", "none.png", "-o", "rows.parquet"], "pyarrow", "parquet"),
        (["ocr", "none.png", "--adapter", "run/adapter"], "peft", "train"),
        (["chat", "none.png", "-p", "What?", "--adapter", "run/adapter"], "peft", "train"),
        (["eval", "none.jsonl"], "jiwer", "eval"),
        (["eval", "none.jsonl", "--plot", "plots"], "matplotlib", "eval"),
        (["bench", "--plot", "bench.png"], "matplotlib", "eval"),
        (["train", "data.jsonl", "-o", "run", "--lora", "8"], "peft", "train"),
        (["train", ".", "--plot"], "matplotlib", "train"),
        (["train", ".", "--merge"], "peft", "train"),
    ],
)
def test_it_is_said_before_anything_is_read(
    cli: Cli,
    lacking: Lacking,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    package: str,
    extra: str,
) -> None:
    if package != "rapidocr" and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed anyway")
    lacking(package)
    monkeypatch.chdir(tmp_path)
    Path("data.jsonl").write_text(
        '{"id": "a", "messages": [{"role": "user", "content": "Hi"},'
        ' {"role": "assistant", "content": "Hello"}]}\n'
    )
    engine = FakeEngine()
    done = cli(*arguments, engine=engine)
    lines = [line for line in done.err.splitlines() if not line.startswith("dvl2: model")]
    assert done.code == 2
    assert done.out == ""
    assert f" needs {package}" in lines[0]
    assert "not installed" in lines[0]
    assert lines[1:] == [f"  Install it: {install_command(extra)}"]
    assert engine.requests == []
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["data.jsonl"]


def test_the_hint_is_for_how_it_was_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(packages, "_ROOT", tmp_path)
    assert install_command("eval") == f"pip install -e '{tmp_path}[eval]'"
    monkeypatch.chdir(tmp_path)
    assert install_command("eval") == "pip install -e '.[eval]'"
    (tmp_path / "pyproject.toml").unlink()
    assert install_command("eval") == "pip install 'dvl2[eval]'"


def test_several_are_named_together() -> None:
    with pytest.raises(UsageError, match="--x needs no_such_a and no_such_b, which are not"):
        need_packages("--x", "eval", "no_such_a", "pathlib", "no_such_b")
