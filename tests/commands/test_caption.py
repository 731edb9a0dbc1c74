from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from dvl2_cli.engine.request import Request
from dvl2_cli.errors import OutOfMemoryError
from tests.commands.conftest import Cli, picture
from tests.fakes import FakeEngine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, colour in enumerate(("red", "green", "blue")):
        picture(tmp_path / "in" / f"{index}.png", colour)
    (tmp_path / "in" / "bad.jpg").write_bytes(b"\xff\xd8\xff broken")
    picture(tmp_path / "in" / "sub" / "deep.png", "yellow")
    return tmp_path / "in"


def names(rows: list[dict[str, object]]) -> list[str]:
    return [Path(row["source"]["path"]).name for row in rows]  # type: ignore[index]


def test_a_folder_gives_a_row_for_each_picture_and_counts_failures(cli: Cli, folder: Path) -> None:
    done = cli("caption", folder)
    assert done.code == 1
    assert names(done.rows) == ["0.png", "1.png", "2.png", "bad.jpg"]
    assert [row["status"] for row in done.rows] == ["ok", "ok", "ok", "failed"]
    assert done.rows[0]["caption"] == "a red car"
    assert "3 captioned, 0 skipped, 1 failed" in done.err


def test_recursion_looks_into_subfolders(cli: Cli, folder: Path) -> None:
    assert names(cli("caption", folder, "-r").rows)[-1] == "deep.png"


@pytest.mark.parametrize("parallel", [1, 2, 8])
def test_batches_give_the_same_rows_as_single_pictures(
    cli: Cli, folder: Path, parallel: int
) -> None:
    def answer(request: Request) -> str:
        return str(request.messages[0].images[0].getpixel((0, 0)))

    rows = cli("caption", folder, "--parallel", parallel, engine=FakeEngine(answer)).rows
    assert [row["caption"] for row in rows] == [
        "(255, 0, 0)", "(0, 128, 0)", "(0, 0, 255)", None,
    ]  # fmt: skip


def test_one_picture_too_large_for_memory_does_not_fail_its_batch(cli: Cli, folder: Path) -> None:
    def answer(request: Request) -> str:
        if request.messages[0].images[0].getpixel((0, 0)) == (0, 128, 0):
            raise OutOfMemoryError("the device is out of memory")
        return "fine"

    done = cli("caption", folder, "--parallel", 4, engine=FakeEngine(answer))
    assert [row["status"] for row in done.rows] == ["ok", "failed", "ok", "failed"]
    assert done.rows[1]["error"]["code"] == "oom"
    assert done.code == 1


def test_wording(cli: Cli, folder: Path) -> None:
    done = cli(
        "caption", folder / "0.png", "--prefix", "sks, ", "--include", "red", "--include", "toy",
        "--template", "{{{stem}}} {caption} {width}x{height}", "--length", "short",
    )  # fmt: skip
    assert done.rows[0]["caption"] == "sks, {0} a red car, toy 200x100"
    assert done.rows[0]["length"] == "short"


def test_words_to_avoid_become_a_grammar_and_are_checked(cli: Cli, folder: Path) -> None:
    engine = FakeEngine("A red car")
    done = cli("caption", folder / "0.png", "--avoid", "Car", engine=engine)
    constraint = engine.requests[0].constraint
    assert constraint is not None
    assert constraint.kind == "lark"
    assert done.rows[0]["status"] == "partial"
    assert "Car" in done.rows[0]["warnings"][0]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--template", "{nope}"),
        ("--template", "{caption.__class__}"),
        ("--length", "huge"),
        ("--include", "a", "--avoid", "A"),
        ("--sidecar", "txt"),
        ("--sidecar", ".txt", "--existing", "maybe"),
        ("-f", "parquet"),
        ("-f", "xml"),
    ],
)
def test_what_cannot_work_is_refused_before_any_answer(
    cli: Cli, folder: Path, arguments: tuple[str, ...]
) -> None:
    engine = FakeEngine()
    done = cli("caption", folder, *arguments, engine=engine)
    assert done.code == 2
    assert engine.requests == []
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("existing", "text", "asked"),
    [
        ("skip", "old\n", 0),
        ("overwrite", "a red car\n", 1),
        ("append", "old\na red car\n", 1),
        ("prepend", "a red car\nold\n", 1),
        ("error", "old\n", 0),
    ],
)
def test_existing_sidecars(cli: Cli, folder: Path, existing: str, text: str, asked: int) -> None:
    (folder / "0.txt").write_text("old\n", encoding="utf-8")
    engine = FakeEngine()
    done = cli(
        "caption", folder / "0.png", "--sidecar", ".txt", "--existing", existing, engine=engine
    )
    assert (folder / "0.txt").read_text(encoding="utf-8") == text
    assert len(engine.requests) == asked
    assert done.code == (1 if existing == "error" else 0)


def test_sidecars_are_named_in_the_rows(cli: Cli, folder: Path) -> None:
    done = cli("caption", folder, "--sidecar", ".caption", "--xmp")
    assert [Path(name).name for name in done.rows[0]["written"]] == ["0.caption", "0.xmp"]
    assert "a red car" in (folder / "0.xmp").read_text(encoding="utf-8")


def test_equal_pictures_are_captioned_once(cli: Cli, folder: Path) -> None:
    (folder / "copy.png").write_bytes((folder / "0.png").read_bytes())
    engine = FakeEngine()
    done = cli("caption", folder, "--dedupe", engine=engine)
    row = done.rows[names(done.rows).index("copy.png")]
    assert row["skipped"] == f"equal to {folder / '0.png'}"
    assert len(engine.requests) == 3


def test_a_dry_run_writes_and_asks_nothing(cli: Cli, folder: Path) -> None:
    engine = FakeEngine()
    done = cli(
        "caption", folder, "--sidecar", ".txt", "--dry-run", "-o", folder / "t.csv", engine=engine
    )
    assert engine.requests == []
    assert sorted(path.name for path in folder.iterdir()) == [
        "0.png", "1.png", "2.png", "bad.jpg", "sub",
    ]  # fmt: skip
    assert [row["skipped"] for row in done.rows[:3]] == ["dry run"] * 3


def test_tables(cli: Cli, folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for suffix in ("ndjson", "csv", "parquet"):
        done = cli("caption", folder, "-o", tmp_path / f"t.{suffix}")
        assert (done.code, done.out) == (1, "")
    lines = (tmp_path / "t.ndjson").read_text(encoding="utf-8").splitlines()
    wanted = [json.loads(line)["caption"] for line in lines]
    assert wanted == ["a red car"] * 3 + [None]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text(encoding="utf-8"))))
    assert [row["caption"] or None for row in rows] == wanted
    table = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert [row["caption"] for row in table] == wanted
    assert (
        table[3]["error"].endswith("cut off: the file ends before the picture does")
        or table[3]["error"]
    )


def test_grounded_captions_tie_words_to_boxes(cli: Cli, folder: Path) -> None:
    engine = FakeEngine("A <|ref|>red car<|/ref|><|det|>[[0, 0, 999, 500]]<|/det|> waits.")
    row = cli("caption", folder / "0.png", "--grounded", "--prefix", "x: ", engine=engine).rows[0]
    assert row["caption"] == "x: A red car waits."
    (span,) = row["grounding"]
    assert row["caption"][slice(*span["span"])] == span["text"] == "red car"
    assert span["box"] == [0, 0, 200, 50.05]


def test_doubtful_answers_are_marked(cli: Cli, folder: Path) -> None:
    done = cli("caption", folder / "0.png", engine=FakeEngine(mean_probability=0.2, is_nano=True))
    assert "low confidence" in done.rows[0]["warnings"][0]
    assert "low confidence" in done.err
    assert done.err.count("nano") == 1


def test_a_list_with_nul_and_newline_names(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    from types import SimpleNamespace

    odd = picture(tmp_path / "line\nbreak é 红.png")
    data = f"{odd}\0{tmp_path / 'no.png'}\0".encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data), isatty=bool))
    done = cli("caption", "-")
    assert [row["status"] for row in done.rows] == ["ok", "failed"]
    assert done.rows[0]["source"]["path"] == str(odd)


def test_a_picture_without_a_file_has_no_sidecar(cli: Cli, folder: Path) -> None:
    import base64

    data = base64.b64encode((folder / "0.png").read_bytes()).decode()
    done = cli("caption", f"data:image/png;base64,{data}", "--sidecar", ".txt")
    assert done.code == 1
    assert "is no file" in done.err
