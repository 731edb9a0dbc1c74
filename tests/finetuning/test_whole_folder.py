"""A folder of results is whole whenever one looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvl2_cli.errors import OutputError
from dvl2_cli.finetuning.whole_folder import write_folder


def fill(text: str, folder: Path) -> None:
    def write(part: Path) -> None:
        (part / "weights").write_text(text)

    write_folder(folder, write)


def test_a_folder_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    for text in ("first", "second"):
        fill(text, tmp_path / "model")
        assert (tmp_path / "model" / "weights").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failure_keeps_the_older_folder(tmp_path: Path) -> None:
    fill("first", tmp_path / "model")

    def fail(part: Path) -> None:
        (part / "weights").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError):
        write_folder(tmp_path / "model", fail)
    assert (tmp_path / "model" / "weights").read_text() == "first"


def test_what_a_kill_left_between_the_renames_has_its_name_again(tmp_path: Path) -> None:
    fill("first", tmp_path / "model")
    (tmp_path / "model").rename(tmp_path / ".model.old.4711")
    seen: list[str] = []

    def look(part: Path) -> None:
        seen.append((tmp_path / "model" / "weights").read_text())
        (part / "weights").write_text("second")

    write_folder(tmp_path / "model", look)
    assert seen == ["first"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
