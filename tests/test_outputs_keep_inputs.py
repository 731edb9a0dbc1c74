"""No output replaces an input, and links stay links."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dvl2_cli.files import atomic_write
from tests.commands.conftest import Cli, cli, picture
from tests.fakes import FakeEngine

__all__ = ["cli"]

CAR = "<|ref|>car<|/ref|><|det|>[[220, 270, 422, 720]]<|/det|>"


def test_a_table_never_replaces_a_picture(cli: Cli, tmp_path: Path) -> None:
    first, second = picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
    before, engine = first.read_bytes(), FakeEngine("A car.")
    done = cli("caption", "-o", first, second, engine=engine)  # as the shell writes -o *.png
    assert done.code == 2
    assert "would be replaced" in done.err
    assert first.read_bytes() == before
    assert not engine.requests


def test_answers_never_replace_the_data(cli: Cli, tmp_path: Path) -> None:
    data = tmp_path / "x.jsonl"
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    data.write_text(json.dumps({"messages": turns}) + "\n", "utf-8")
    (tmp_path / "y.jsonl").symlink_to(data)
    before = data.read_bytes()
    for name in ("x.jsonl", "y.jsonl"):
        done = cli("eval", data, "--answers", tmp_path / name, engine=FakeEngine("Hello"))
        assert done.code == 2
        assert "is an input" in done.err
        assert data.read_bytes() == before


def test_pages_and_crops_never_replace_pictures(cli: Cli, tmp_path: Path) -> None:
    page = picture(tmp_path / "t.txt.png").rename(tmp_path / "t.txt")
    crop = picture(tmp_path / "a.0.png", size=(100, 100))
    image = picture(tmp_path / "a.png", size=(100, 100))
    before = page.read_bytes(), crop.read_bytes()
    done = cli("ocr", page, "-f", "text", "-o", tmp_path, engine=FakeEngine("words"))
    assert done.code == 1
    assert "would be replaced" in done.err
    done = cli("ground", tmp_path / "a*.png", "car", "--crop-dir", tmp_path, engine=FakeEngine(CAR))
    assert done.code == 1
    assert (page.read_bytes(), crop.read_bytes()) == before
    assert image.exists()


def test_a_link_stays_and_leads_to_the_new_file(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    target = tmp_path / "disk" / "rows.txt"
    target.write_text("old", "utf-8")
    link = tmp_path / "rows.txt"
    link.symlink_to("disk/rows.txt")
    for text in ("new", "newer"):
        with atomic_write(link) as stream:
            stream.write(text)
        assert link.is_symlink()
        assert target.read_text("utf-8") == text
    target.unlink()
    with atomic_write(link) as stream:
        stream.write("made")
    assert target.read_text("utf-8") == "made"
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["rows.txt"]


@pytest.mark.parametrize("run", [1, 2])
def test_drawings_of_an_earlier_run_are_replaced(cli: Cli, tmp_path: Path, run: int) -> None:
    picture(tmp_path / "a.png", size=(100, 100))
    for _ in range(run):
        assert cli("ground", tmp_path, "car", "--draw", engine=FakeEngine(CAR)).code == 0
