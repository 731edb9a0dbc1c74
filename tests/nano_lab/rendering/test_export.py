"""``nano_lab render`` as a command, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from dvl2_cli.errors import OutputError, UsageError
from dvl2_cli.evaluation.dataset import read_items
from nano_lab.__main__ import app
from nano_lab.rendering.export import DATA_FILE, export
from tests.nano_lab.rendering.fonts_here import need_all

PICTURES = Path(__file__).parents[3] / "examples" / "pictures"


def test_rows_are_conversations_over_the_written_pictures(tmp_path: Path) -> None:
    need_all()
    words = ["render", "scene", "example", "chat", "-n", "2", "--split", "test"]
    result = CliRunner().invoke(app, [*words, "-o", str(tmp_path), "-q"])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / DATA_FILE}\n"
    rows = [json.loads(line) for line in (tmp_path / DATA_FILE).read_text().splitlines()]
    assert [len(row["images"]) for row in rows] == [1, 1, 2, 2, 0, 0]
    for row in rows:
        for name in row["images"]:
            with Image.open(tmp_path / name) as image:
                assert image.format == "PNG"
        assert [m["role"] for m in row["messages"][:2]] == ["user", "assistant"]
        assert row["messages"][0]["content"].count("<image>") == len(row["images"])
        assert row["split"] == "test"
    # What is written is what eval reads.
    assert len(list(read_items(tmp_path / DATA_FILE))) > 10


def test_an_unfinished_run_leaves_no_data_file(tmp_path: Path) -> None:
    need_all()
    samples = export(["scene"], 5, 0, "train", tmp_path)
    next(samples)
    samples.close()  # type: ignore[attr-defined]
    assert [path.suffix for path in tmp_path.iterdir()] == [".png"]


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    need_all()
    words = ["render", "scene", "tile", "-n", "2", "-o", str(tmp_path / "out"), "-q", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)
    assert row["schema"] == "nano_lab.render/1"
    assert row["samples"] == len(Path(row["data"]).read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "at least one kind"), (["scene"], "-o FOLDER"), (["poster", "-o", "x"], "poster")],
)
def test_wrong_use(arguments: list[str], message: str, tmp_path: Path) -> None:
    arguments = [str(tmp_path / a) if a == "x" else a for a in arguments]
    result = CliRunner().invoke(app, ["render", *arguments])
    assert isinstance(result.exception, UsageError)
    assert message in result.exception.message


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="taken"):
        list(export(["chat"], 1, 0, "train", tmp_path / "taken"))


def test_bundled_pictures_have_their_questions() -> None:
    items = list(read_items(PICTURES / "data.jsonl"))
    assert {item.metric for item in items} == {"cer", "anls", "boxes"}
    assert len({item.id.split(",")[0] for item in items}) == 5
    for path in PICTURES.glob("*.png"):
        assert path.stat().st_size < 60_000
