"""No output replaces an input, and links stay links."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from dvl2_cli.files import atomic_write
from tests import golden_data
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
    before, engine = (page.read_bytes(), crop.read_bytes()), FakeEngine(CAR)
    done = cli("ocr", page, "-f", "text", "-o", tmp_path, engine=engine)
    assert done.code == 1
    assert "would be replaced" in done.err
    done = cli("ground", tmp_path / "a*.png", "car", "--crop-dir", tmp_path, engine=engine)
    assert done.code == 1
    assert "a.0.png is an input" in done.err
    assert (page.read_bytes(), crop.read_bytes()) == before
    assert image.exists()
    assert not engine.requests


# What is read, the options, and the input that would be replaced; all in one folder.
CLASHES = {
    "ocr": (["a.txt"], "ocr {a.txt} -f text -o {}", "a.txt"),
    "ocr, a name that repeats": (
        ["a.png", "b/a.png", "c/a-2.txt"],
        "ocr {a.png} {b/a.png} {c/a-2.txt} -f text -o {c}",
        "c/a-2.txt",
    ),
    "draw": (["a.png"], "ground {a.png} car --draw {a.png}", "a.png"),
    "draw over the example": (
        ["a.png", "r.png"],
        "ground {a.png} --example {r.png} --draw {r.png}",
        "r.png",
    ),
    "draw beside": (
        ["a.png", "a.boxes.png"],
        "ground {a.png} --example {a.boxes.png} --draw",
        "a.boxes.png",
    ),
    "crop of a page": (
        ["a.tif", "a.p2.0.png"],
        "ground {} car --crop-dir {}",
        "a.p2.0.png",
    ),
    "voc": (["a.xml"], "ground {a.xml} car -f voc -o {}", "a.xml"),
    "labelme": (["a.json"], "ground {a.json} car -f labelme -o {}", "a.json"),
    "yolo": (["labels/a.txt"], "ground {labels/a.txt} car -f yolo -o {}", "labels/a.txt"),
    "coco": (["annotations.json"], "ground {annotations.json} car -f coco -o {}", "annotations"),
    "sidecar": (
        ["a.png", "a.txt"],
        "caption {a.png} {a.txt} --sidecar .txt --existing overwrite",
        "a.txt",
    ),
    "xmp": (["a.png", "a.xmp"], "caption {a.png} {a.xmp} --xmp", "a.xmp"),
}


@pytest.mark.parametrize("case", CLASHES)
@pytest.mark.parametrize("linked", [None, "symbolic", "hard"])
def test_no_output_replaces_an_input(
    cli: Cli, tmp_path: Path, case: str, linked: str | None
) -> None:
    names, words, clash = CLASHES[case]
    folder = tmp_path / "pictures"
    for name in names:
        path = folder / name
        picture(path.with_suffix(".png")).rename(path)
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for path in kept if linked else ():
        # The input is found by a link, as by its own name.
        real = tmp_path / "real" / path.relative_to(folder)
        real.parent.mkdir(parents=True, exist_ok=True)
        path.rename(real)
        if linked == "symbolic":
            path.symlink_to(real)
        else:
            path.hardlink_to(real)
    arguments = [
        f"{folder}/{word[1:-1]}".rstrip("/") if word.startswith("{") else word
        for word in words.split()
    ]
    engine = FakeEngine(CAR)
    done = cli(*arguments, engine=engine)
    assert done.code in (1, 2), done.err
    assert f"{clash}" in done.err
    # The suffix of a sidecar is refused for the name alone.
    assert "is an input and would be replaced" in done.err or "is the suffix of" in done.err
    assert not engine.requests
    assert {path: path.read_bytes() for path in kept} == kept
    assert {path for path in folder.rglob("*") if path.is_file()} == kept.keys()


def test_text_never_replaces_the_schema(cli: Cli, tmp_path: Path) -> None:
    image, schema = picture(tmp_path / "a.png"), tmp_path / "s.json"
    schema.write_text('{"type": "object", "properties": {"total": {}}}', "utf-8")
    (tmp_path / "a.txt").symlink_to(schema)
    before = schema.read_bytes()
    done = cli("ocr", image, "--schema", schema, "-f", "text", "-o", tmp_path)
    assert done.code == 1
    assert "a.txt is an input" in done.err
    assert schema.read_bytes() == before


def test_plots_never_replace_the_pictures_of_the_data(cli: Cli, tmp_path: Path) -> None:
    image = picture(tmp_path / "gallery.png")
    turns = [
        {"role": "user", "content": "<image>Hi"},
        {"role": "assistant", "content": "Hello"},
    ]
    data = tmp_path / "x.jsonl"
    data.write_text(json.dumps({"images": ["gallery.png"], "messages": turns}) + "\n", "utf-8")
    before, engine = image.read_bytes(), FakeEngine("Hello")
    done = cli("eval", data, "--plot", tmp_path, engine=engine)
    assert done.code == 2
    assert "gallery.png is an input" in done.err
    assert image.read_bytes() == before
    assert not engine.requests


def test_outputs_that_replace_no_input_are_written(cli: Cli, tmp_path: Path) -> None:
    """Of a second run, files of other names in the folder, and kept sidecars."""
    image = picture(tmp_path / "a.png", size=(100, 100))
    note = picture(tmp_path / "note.txt.png").rename(tmp_path / "note.txt")
    before = note.read_bytes()
    for words in (
        ["ocr", image, "-f", "text", "-o", tmp_path],
        ["ground", image, "car", "--crop-dir", tmp_path, "--draw"],
        ["ground", image, "car", "-f", "labelme", "-o", tmp_path],
        ["caption", note, image, "-o", tmp_path / "rows.csv"],
    ):
        for _ in range(2):
            done = cli(*words, engine=FakeEngine(CAR))
            assert done.code == 0, done.err
    assert note.read_bytes() == before


def test_a_sidecar_that_is_kept_may_be_an_input(cli: Cli, tmp_path: Path) -> None:
    image, other = picture(tmp_path / "a.png"), picture(tmp_path / "b.png", "red")
    (tmp_path / "a.txt").symlink_to(other)
    before = other.read_bytes()
    done = cli("caption", image, other, "--sidecar", ".txt", engine=FakeEngine("A car."))
    assert done.code == 0, done.err
    done = cli("caption", image, other, "--sidecar", ".txt", "--existing", "overwrite")
    assert done.code == 1
    assert "a.txt is an input" in done.err
    assert other.read_bytes() == before


def test_a_copy_of_a_model_never_replaces_it(cli: Cli, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(golden_data.ROOT / "checkpoints" / "mha", model)
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    (tmp_path / "link").symlink_to(model)
    for target in (model, tmp_path / "link"):
        done = cli("quantize", model, "-o", target, "--no-check")
        assert done.code == 1
        assert "holds no quantised copy" in done.err
        assert {path.name: path.read_bytes() for path in model.iterdir()} == before


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


def test_pictures_of_pages_never_replace_inputs(cli: Cli, tmp_path: Path) -> None:
    document = tmp_path / "d.tif"
    pages = [Image.new("RGB", (50 + index, 50)) for index in range(2)]
    pages[0].save(document, save_all=True, append_images=pages[1:])
    clash = picture(tmp_path / "out" / "images" / "d.p2.png")
    before, engine = clash.read_bytes(), FakeEngine(CAR)
    words = ("car", "-r", "-f", "coco", "-o", tmp_path / "out")
    done = cli("ground", tmp_path, *words, engine=engine)
    assert done.code == 1
    assert "d.p2.png is an input" in done.err
    assert clash.read_bytes() == before
    assert not engine.requests


def test_a_journal_never_replaces_an_input(cli: Cli, tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png")
    odd = image.rename(tmp_path / ".rows.csv.journal")
    before, engine = odd.read_bytes(), FakeEngine("A car.")
    done = cli("caption", odd, "-o", tmp_path / "rows.csv", engine=engine)
    assert done.code == 1
    assert ".rows.csv.journal is an input" in done.err
    assert odd.read_bytes() == before
    assert not engine.requests


@pytest.mark.parametrize(
    "words",
    [
        ("caption", "-", "--sidecar", ".txt", "--existing", "overwrite"),
        ("ocr", "-", "-f", "text", "-o", "{}"),
        ("ground", "-", "car", "-f", "voc", "-o", "{}"),
    ],
)
def test_text_never_replaces_a_picture_that_stdin_names_later(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    first = picture(tmp_path / "a.png")
    later = [
        picture(tmp_path / f"b{suffix}.png").rename(tmp_path / f"a{suffix}")
        for suffix in (".txt", ".xml")
    ]
    before = [path.read_bytes() for path in later]
    names = "".join(f"{path}\n" for path in (first, *later)).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(names)))
    done = cli(*(word.format(tmp_path) for word in words), engine=FakeEngine(CAR))
    assert done.code != 0
    assert "would be replaced" in done.err + done.out
    assert [path.read_bytes() for path in later] == before
