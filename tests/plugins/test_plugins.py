"""A package with plugins, found by its entry points, end to end in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import picture
from tests.commands.fake_process import Process

ROOT = Path(__file__).resolve().parents[2]
CAR = "<|ref|>car<|/ref|><|det|>[[0, 0, 999, 999]]<|/det|>"
MODULE = """
from PIL import Image


class Reader:
    suffixes = (".grey",)

    def accepts(self, name, head):
        if name.endswith(".bad"):
            raise RuntimeError("no idea")
        return head.startswith(b"GREY")

    def read(self, name, data):
        for page in data.splitlines()[1:]:
            if page == b"torn":
                raise ValueError("a torn page")
            yield Image.new("L", (30, 20), int(page))


class Boxes:
    command = "ground"

    def files(self, results):
        if any(result.status == "failed" for result in results):
            raise RuntimeError("cannot write failures")
        lines = [f"{item.label} {item.box}\\n" for result in results for item in result.objects]
        return {"boxes.txt": "".join(lines)}


class Shout:
    command = "ocr"
    suffix = ".loud"

    def files(self, results):
        return {"x": "\\n".join(result.text.upper() for result in results)}


class Twice(Shout):
    def files(self, results):
        return {"a": "1", "b": "2"}


class Count:
    command = "caption"

    def files(self, results):
        return {"x": f"{len(results)}: {results[0].caption}\\n"}


reader, boxes, shout, twice, count = Reader(), Boxes(), Shout(), Twice(), Count()
"""
ENTRY_POINTS = """[dvl2.inputs]
grey = testplugin:reader

[dvl2.writers]
boxes = testplugin:boxes
shout = testplugin:shout
twice = testplugin:twice
count = testplugin:count
gone = testplugin:gone
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder as pip leaves it: the module, and the metadata that names its plugins."""
    folder = tmp_path / "site"
    info = folder / "testplugin-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "testplugin.py").write_text(MODULE, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: testplugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    return folder


@pytest.fixture
def process(tmp_path: Path, site: Path) -> Process:
    process = Process(tmp_path, answer={"car": CAR, "": "some text"})
    process.environment["PYTHONPATH"] += f":{site}"
    return process


def ran(process: Process, *words: object, code: int = 0) -> tuple[str, str]:
    done = process.run(*words)
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    return done.stdout.decode(), done.stderr.decode()


def rows(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_an_input_plugin_gives_pages(process: Process, tmp_path: Path) -> None:
    name = tmp_path / "scan.grey"
    name.write_bytes(b"GREY\n10\n200\n")
    out, _ = ran(process, "ocr", name, "--json")
    found = rows(out)
    assert [row["status"] for row in found] == ["ok", "ok"]
    assert [row["source"]["page"] for row in found] == [1, 2]
    assert {(row["source"]["width"], row["source"]["height"]) for row in found} == {(30, 20)}


def test_a_folder_gives_the_files_that_a_plugin_knows(process: Process, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    picture(folder / "b.png")
    for name in ("a.GREY", "c.grey", "notes.txt"):
        (folder / name).write_bytes(b"GREY\n10\n")
    for words in (("ocr",), ("caption",), ("ground", "car")):
        found = rows(ran(process, words[0], folder, *words[1:], "--json")[0])
        assert [Path(row["source"]["path"]).name for row in found] == ["a.GREY", "b.png", "c.grey"]


def test_faults_of_an_input_plugin_stop_only_its_input(process: Process, tmp_path: Path) -> None:
    (tmp_path / "a.grey").write_bytes(b"GREY\n10\ntorn\n")
    (tmp_path / "b.bad").write_bytes(b"what")
    picture(tmp_path / "c.png")
    names = [tmp_path / name for name in ("a.grey", "b.bad", "c.png")]
    out, errors = ran(process, "ocr", *names, "--json", code=1)
    found = rows(out)
    assert [row["status"] for row in found] == ["ok", "failed", "failed", "ok"]
    assert "input plugin 'grey' failed: a torn page" in errors
    assert "input plugin 'grey' failed on " in errors


def test_an_input_plugin_that_does_not_load(process: Process, site: Path, tmp_path: Path) -> None:
    (site / "testplugin.py").write_text("import no_such_module", encoding="utf-8")
    (tmp_path / "a.grey").write_bytes(b"GREY\n10\n")
    out, errors = ran(process, "ocr", tmp_path / "a.grey", "--json", code=1)
    assert rows(out)[0]["error"]["code"] == "input"
    assert "the input plugin 'grey' does not load: No module named 'no_such_module'" in errors
    # What dvl2 knows itself asks no plugin.
    ran(process, "ocr", picture(tmp_path / "c.png"), "--json")
    # What a folder holds for the plugin is not known then: that is said, and the rest is read.
    picture(tmp_path / "in" / "d.png")
    out, errors = ran(process, "ocr", tmp_path / "in", "--json", code=1)
    assert [row["status"] for row in rows(out)] == ["failed", "ok"]
    assert "the input plugin 'grey' does not load" in errors


def test_a_writer_plugin_for_ground(process: Process, tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png", size=(100, 50))
    out, _ = ran(process, "ground", image, "car", "-f", "boxes")
    assert out == "car (0.0, 0.0, 100.0, 50.0)\n"
    ran(process, "ground", image, "car", "-f", "boxes", "-o", tmp_path / "out")
    assert (tmp_path / "out" / "boxes.txt").read_text(encoding="utf-8") == out


def test_a_writer_plugin_for_ocr_gets_documents(process: Process, tmp_path: Path) -> None:
    (tmp_path / "a.grey").write_bytes(b"GREY\n10\n20\n")
    (tmp_path / "b.grey").write_bytes(b"GREY\n30\n")
    names = (tmp_path / "a.grey", tmp_path / "b.grey")
    ran(process, "ocr", *names, "-f", "shout", "-o", tmp_path / "out")
    written = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert written == {"a.loud": "SOME TEXT\nSOME TEXT", "b.loud": "SOME TEXT"}
    _, errors = ran(process, "ocr", names[1], "-f", "twice", code=1)
    assert "writer plugin 'twice' made not one file but a, b" in errors


def test_a_writer_plugin_for_caption(process: Process, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "b.png", "red")
    table = tmp_path / "table.txt"
    ran(process, "caption", tmp_path / "in", "-f", "count", "-o", table)
    assert table.read_text(encoding="utf-8").startswith("2: some text")
    _, errors = ran(process, "caption", tmp_path / "in", "-f", "count", code=2)
    assert "Add -o FILE" in errors


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("ground", "{picture}", "car", "-f", "gone"), 1, "'gone' does not load"),
        (("ground", "{missing}", "car", "-f", "boxes"), 1, "failed: RuntimeError: cannot write"),
        (("ground", "{picture}", "car", "-f", "shout"), 2, "-f shout: no such format"),
        (("ocr", "{picture}", "-f", "boxes"), 2, "-f boxes: no such format"),
        (("caption", "{picture}", "-f", "shout", "-o", "x"), 2, "-f shout: no such format"),
    ],
)
def test_faults_of_writer_plugins_are_one_line(
    process: Process, tmp_path: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    named = {"picture": picture(tmp_path / "a.png"), "missing": tmp_path / "none.png"}
    _, errors = ran(process, *[word.format(**named) for word in words], code=code)
    assert message in errors


def test_the_shell_offers_formats_of_plugins(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.help.test_completion import offered

    assert offered("dvl2 ground a.png -f bo") == []
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'models'}:{site}")
    assert offered("dvl2 ground a.png -f bo") == ["boxes"]
