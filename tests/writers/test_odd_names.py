"""Names with line breaks, control characters, markup and dashes in every output format."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from tests.commands.conftest import Cli, picture
from tests.commands.conftest import cli as cli
from tests.fakes import FakeEngine

NAMES = (
    "new\nline.png", "carriage\rreturn.png", "tab\there.png", "esc\x1b[31mred.png",
    "-rf.png", "--json.png", "a:b.png", "a=1,b.png", "=1+1.png", "<b>&amp;\"'.png", "]]>.png",
    "\u2028separator.png", "\u202egnp.exe.png", "back\\slash.png", "per%cent {curly}.png",
    os.fsdecode(b"bytes\xff.png"),
)  # fmt: skip
LABEL = "=car\t<b>\x1b[1m"
CAR = f"<|ref|>{LABEL}<|/ref|><|det|>[[220, 270, 422, 720]]<|/det|>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "in"
    for index, name in enumerate(NAMES):
        plain = picture(tmp_path / "plain.png", size=(100 + index, 100))
        inside.mkdir(exist_ok=True)
        plain.rename(inside / name)
    return inside


def is_clean(text: str, also: str = "") -> None:
    """No control character but line ends (and ``also``)."""
    assert not [char for char in text if ord(char) < 32 and char not in "\n" + also]


def files_of(folder: Path, suffix: str) -> list[Path]:
    return sorted(path for path in folder.rglob(f"*{suffix}") if path.is_file())


def coco(out: Path) -> None:
    found = json.loads((out / "annotations.json").read_text("utf-8"))
    assert len(found["images"]) == len(found["annotations"]) == len(NAMES)
    for image in found["images"]:
        assert (out / os.fsdecode(image["file_name"].encode("utf-8", "surrogateescape"))).exists()


def yolo(out: Path) -> None:
    labels = files_of(out / "labels", ".txt")
    assert len(labels) == len(NAMES)
    assert all(len(path.read_text("utf-8").splitlines()) == 1 for path in labels)
    assert len((out / "classes.txt").read_text("utf-8").splitlines()) == 1


def voc(out: Path) -> None:
    found = files_of(out, ".xml")
    assert len(found) == len(NAMES)
    assert all(Xml.parse(path).findtext("object/name") for path in found)


def labelme(out: Path) -> None:
    found = files_of(out, ".json")
    assert len(found) == len(NAMES)
    for path in found:
        content = json.loads(path.read_text("utf-8"))
        assert (path.parent / content["imagePath"]).exists()


def labelstudio(out: Path) -> None:
    (path,) = files_of(out, ".json")
    assert len(json.loads(path.read_text("utf-8"))) == len(NAMES)


READERS: dict[str, Callable[[Path], None]] = {
    "coco": coco, "yolo": yolo, "voc": voc, "labelme": labelme, "labelstudio": labelstudio,
}  # fmt: skip


@pytest.mark.parametrize("form", READERS)
def test_annotations_are_read_back(cli: Cli, folder: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    done = cli("ground", folder, "car", "-f", form, "-o", out, engine=FakeEngine(CAR))
    assert done.code == 0, done.err
    is_clean(done.err)
    READERS[form](out)


@pytest.mark.parametrize("command", [("ground", "car"), ("caption",), ("ocr",)])
def test_lines_stay_lines(cli: Cli, folder: Path, command: tuple[str, ...]) -> None:
    name, *more = command
    done = cli(name, folder, *more, engine=FakeEngine(CAR))
    assert done.code == 0, done.err
    assert [row["status"] for row in done.rows] == ["ok"] * len(NAMES)
    is_clean(done.out)
    is_clean(done.err)
    form = "text" if name != "ocr" else "md"
    done = cli(name, folder, *more, "-f", form, engine=FakeEngine(CAR))
    is_clean(done.err)


@pytest.mark.parametrize("command", [("ground", "car"), ("caption",)])
def test_tables_have_a_row_for_each(
    cli: Cli, folder: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    table = tmp_path / "rows.csv"
    name, *more = command
    done = cli(name, folder, *more, "-o", table, engine=FakeEngine(CAR))
    assert done.code == 0, done.err
    rows = list(csv.reader(io.StringIO(table.read_bytes().decode(), newline="")))
    assert len(rows) == len(NAMES) + 1
    assert len({len(row) for row in rows}) == 1
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "@")]


@pytest.mark.parametrize("form", ["hocr", "alto", "html", "tsv", "md", "csv", "json"])
def test_documents_are_well_formed(cli: Cli, folder: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    more = ("--boxes", "model") if form in ("hocr", "alto", "tsv") else ()
    done = cli("ocr", folder, "-f", form, "-o", out, *more, engine=FakeEngine(CAR))
    assert done.code == 0, done.err
    is_clean(done.err)
    found = [path for path in out.iterdir() if path.is_file()]
    assert len(found) == len(NAMES)
    for path in found:
        is_clean(path.name, also="")
        text = path.read_text("utf-8")
        if form in ("hocr", "alto"):
            Xml.fromstring(text)
        elif form == "html":
            HTMLParser().feed(text)


def test_sidecars_lie_beside_their_pictures(cli: Cli, folder: Path) -> None:
    done = cli("caption", folder, "--sidecar", ".txt", "--xmp", engine=FakeEngine("A car."))
    assert done.code == 0, done.err
    for name in NAMES:
        beside = folder / name
        assert beside.with_suffix(".txt").read_text("utf-8") == "A car.\n"
        Xml.parse(beside.with_suffix(".xmp"))


@pytest.mark.parametrize("name", ["a\0b.png", "\0", "a\0"])
def test_a_name_with_a_nul_is_one_failed_row(
    cli: Cli, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    listed = io.TextIOWrapper(io.BytesIO(f"{tmp_path}/{name}\n{tmp_path}/x.png\n".encode()))
    monkeypatch.setattr(sys, "stdin", listed)
    done = cli("caption", "-", engine=FakeEngine("x"))
    assert done.code == 1
    assert all(row["status"] == "failed" for row in done.rows)
    is_clean(done.err)
