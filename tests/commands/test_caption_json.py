"""``caption -f json`` in a pipe is an object on each line, as with other commands."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.commands.conftest import Cli
from tests.fakes import FakeEngine


def test_json_on_stdout_is_a_line_for_each_picture(cli: Cli, tmp_path: Path) -> None:
    paths = [tmp_path / f"{colour}.png" for colour in ("red", "blue")]
    for path in paths:
        Image.new("RGB", (8, 8), path.stem).save(path)
    done = cli("caption", *paths, "-f", "json", engine=FakeEngine("a square"))
    assert [row["source"]["path"] for row in done.rows] == [str(path) for path in paths]
    assert {row["caption"] for row in done.rows} == {"a square"}


def test_a_name_without_a_suffix_is_a_file_where_the_format_is_said(
    cli: Cli, tmp_path: Path
) -> None:
    path = tmp_path / "red.png"
    Image.new("RGB", (8, 8), "red").save(path)
    done = cli(
        "caption", path, "-f", "csv", "-o", tmp_path / "words", engine=FakeEngine("a square")
    )
    assert done.code == 0
    assert "a square" in (tmp_path / "words").read_text("utf-8")
