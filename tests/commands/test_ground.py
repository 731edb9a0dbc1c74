from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from dvl2_cli.engine.request import Request
from dvl2_cli.store.policy import Policy
from tests.commands.conftest import Cli, picture
from tests.fakes import FakeEngine

CAR = "<|ref|>red car<|/ref|><|det|>[[220, 270, 422, 720], [1, 2, 3]]<|/det|>"


def by_phrase(request: Request) -> str:
    return CAR if "red car" in request.messages[0].content else "There is no dog in this image."


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return picture(tmp_path / "scene.png", size=(1920, 1080))


def test_every_phrase_is_asked_and_boxes_are_in_pixels(cli: Cli, scene: Path) -> None:
    engine = FakeEngine(by_phrase)
    done = cli("ground", scene, "red car", "dog", engine=engine)
    (row,) = done.rows
    assert done.code == 0
    assert [item.messages[0].shown for item in engine.requests] == [
        "<image>\n<|ref|>red car<|/ref|>.",
        "<image>\n<|ref|>dog<|/ref|>.",
    ]
    (found,) = row["objects"]
    assert found == {
        "id": 0, "query": "red car", "label": "red car", "box": [422.82, 291.89, 811.05, 778.38],
        "box_999": [220, 270, 422, 720], "score": None,
    }  # fmt: skip
    assert row["rejected"] == [{"text": "[1, 2, 3]", "reason": "expected 4 numbers, got 3"}]
    assert row["status"] == "partial"
    assert engine.closed


def test_of_several_phrases_each_is_named(cli: Cli, scene: Path) -> None:
    engine = FakeEngine(CAR, mean_probability=0.3)
    done = cli("ground", scene, "Red Car", "van", "-f", "text", engine=engine)
    lines = done.out.splitlines()
    assert lines[0].startswith("red car       423, 292 to 811, 778  (pixels of 1920 x 1080)")
    assert lines[1].startswith("van: red car  423, 292")
    assert "low confidence for 'Red Car'" in done.err
    assert "low confidence for 'van'" in done.err


def test_all_and_free_writing(cli: Cli, scene: Path) -> None:
    engine = FakeEngine(CAR)
    cli("ground", scene, "red car", "--all", engine=engine)
    cli("ground", scene, "red car", "--no-constrain", engine=engine)
    assert "Locate all <|ref|>red car<|/ref|>" in engine.requests[0].messages[0].content
    assert engine.requests[0].constraint is not None
    assert engine.requests[1].constraint is None


def test_an_example_comes_before_the_picture(cli: Cli, scene: Path, tmp_path: Path) -> None:
    reference = picture(tmp_path / "ref.png", "red", (64, 64))
    engine = FakeEngine(CAR)
    cli("ground", scene, "the marked thing", "--example", reference, engine=engine)
    images = engine.requests[0].messages[0].images
    assert [image.size for image in images] == [(64, 64), (1920, 1080)]
    assert engine.requests[0].messages[0].shown.startswith("<image>\n<image>\n<|grounding|>")


def test_a_grounded_caption(cli: Cli, scene: Path) -> None:
    engine = FakeEngine("A <|ref|>car<|/ref|><|det|>[[0, 0, 999, 999]]<|/det|> waits.")
    (row,) = cli("ground", scene, "--caption", engine=engine).rows
    assert row["caption"] == "A car waits."
    assert row["grounding"] == [{"span": [2, 5], "text": "car", "box": [0, 0, 1920, 1080]}]
    assert row["objects"][0]["query"] is None


def test_drawing_and_cropping(cli: Cli, scene: Path, tmp_path: Path) -> None:
    crops = tmp_path / "crops"
    done = cli("ground", scene, "red car", "--crop-dir", crops, "--draw", engine=FakeEngine(CAR))
    (row,) = done.rows
    assert row["drawn"] == str(tmp_path / "scene.boxes.png")
    with Image.open(row["drawn"]) as drawn, Image.open(row["crops"][0]) as crop:
        assert drawn.size == (1920, 1080)
        assert crop.size == (390, 488)
    out = tmp_path / "out.jpg"
    assert cli("ground", scene, "red car", "--draw", out, engine=FakeEngine(CAR)).code == 0
    assert out.exists()


def test_the_picture_itself_is_never_overwritten(cli: Cli, scene: Path) -> None:
    before = scene.read_bytes()
    done = cli("ground", scene, "red car", "--draw", scene, engine=FakeEngine(CAR))
    assert done.code == 1
    assert "overwrite" in done.err
    assert scene.read_bytes() == before


def test_nothing_found_is_no_failure_unless_asked_for(cli: Cli, scene: Path) -> None:
    assert cli("ground", scene, "dog", engine=FakeEngine(by_phrase)).code == 0
    assert cli("ground", scene, "dog", "--fail-empty", engine=FakeEngine(by_phrase)).code == 1


def test_an_answer_of_which_nothing_can_be_used(cli: Cli, scene: Path) -> None:
    bad = FakeEngine("<|ref|>car<|/ref|><|det|>[[999999, 1]]<|/det|>")
    assert cli("ground", scene, "car", engine=bad).code == 5
    loop = FakeEngine("car car car", finish_reason="loop")
    assert cli("ground", scene, "car", engine=loop).code == 5


def test_annotation_formats(cli: Cli, scene: Path, tmp_path: Path) -> None:
    done = cli("ground", scene, "red car", "-f", "coco", engine=FakeEngine(CAR))
    assert json.loads(done.out)["categories"] == [{"id": 1, "name": "red car"}]
    out = tmp_path / "labels"
    done = cli("ground", scene, "red car", "-f", "yolo", "-o", out, engine=FakeEngine(CAR))
    assert (out / "labels" / "scene.txt").read_text(encoding="utf-8").startswith("0 0.321")
    assert cli("ground", scene, "red car", "-f", "yolo", engine=FakeEngine(CAR)).code == 2


def test_a_folder_of_pictures(cli: Cli, scene: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"nothing")
    done = cli("ground", tmp_path, "red car", "--draw", engine=FakeEngine(CAR))
    assert done.code == 1
    assert [row["status"] for row in done.rows] == ["failed", "partial"]
    again = cli("ground", tmp_path, "red car", "--draw", engine=FakeEngine(CAR))
    assert len(again.rows) == 2  # the drawing is not drawn on


@pytest.mark.parametrize(
    "arguments",
    [(), ("",), ("car", "--caption"), ("car", "-f", "xyz"), ("car", "-o", "x"),
     ("car", "--draw", "out.xyz"), ("car", "--pages", "0")],
)  # fmt: skip
def test_usage_errors(cli: Cli, scene: Path, arguments: tuple[str, ...]) -> None:
    engine = FakeEngine(CAR)
    done = cli("ground", scene, *arguments, engine=engine)
    assert done.code == 2
    assert engine.requests == []


def test_prompts_are_shown_on_stderr(cli: Cli, scene: Path) -> None:
    done = cli("ground", scene, "red car", "--show-prompt", engine=FakeEngine(CAR))
    assert "prompt: <image>\\n<|ref|>red car<|/ref|>." in done.err


def test_a_model_that_wants_small_print_enlarged_looks_at_its_boxes_again(
    cli: Cli, scene: Path
) -> None:
    def answer(request: Request) -> str:
        near = request.messages[0].images[0].size != (1920, 1080)
        return CAR.replace("220, 270, 422, 720", "350, 350, 650, 650") if near else CAR

    engine = FakeEngine(answer)
    engine.info = dataclasses.replace(engine.info, policy=Policy(refine_boxes=True))
    (row,) = cli("ground", scene, "red car", "--all", engine=engine).rows
    asked = [item.messages[0].shown for item in engine.requests]
    assert asked[1] == "<image>\n<|ref|>red car<|/ref|>."
    assert row["objects"][0]["box_999"] != [220, 270, 422, 720]
    assert row["usage"]["image_tokens"] == 2 * 421
    (plain,) = cli("ground", scene, "red car", "--zoom", "1", engine=engine).rows
    assert plain["objects"][0]["box_999"] == [220, 270, 422, 720]
    cli("ground", scene, "--caption", engine=engine)
    assert len(engine.requests) == 4


def test_class_numbers_follow_the_phrases_and_stay(cli: Cli, scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("ground", scene, "dog", "red car", "-f", "yolo", "-o", out)
    assert cli(*words, engine=FakeEngine(by_phrase)).code == 0
    label = out / "labels" / "scene.txt"
    assert label.read_text(encoding="utf-8").startswith("1 ")  # no dog was found: it is still 0
    assert (out / "classes.txt").read_text(encoding="utf-8") == "dog\nred car\n"
    words = ("ground", scene, "red car", "bus", "-f", "yolo", "-o", out)
    assert cli(*words, engine=FakeEngine(by_phrase)).code == 0
    assert (out / "classes.txt").read_text(encoding="utf-8") == "dog\nred car\nbus\n"
    assert '  2: "bus"\n' in (out / "data.yaml").read_text(encoding="utf-8")
    assert label.read_text(encoding="utf-8").startswith("1 ")
    coco = cli("ground", scene, "dog", "red car", "-f", "coco", engine=FakeEngine(by_phrase))
    document = json.loads(coco.out)
    assert [item["name"] for item in document["categories"]] == ["dog", "red car"]
    assert document["annotations"][0]["category_id"] == 2


def test_classes_that_cannot_be_kept_stop_the_run(cli: Cli, scene: Path, tmp_path: Path) -> None:
    words = ("ground", scene, "dog", "-f", "yolo", "-o", tmp_path)
    for name, text in (("classes.txt", "dog\ndog\n"), ("data.yaml", "train: images\nnames: [a]\n")):
        engine = FakeEngine(by_phrase)
        (tmp_path / name).write_text(text, encoding="utf-8")
        done = cli(*words, engine=engine)
        assert done.code != 0
        assert name in done.err
        assert not engine.requests
        (tmp_path / name).unlink()


def test_labels_lie_where_trainers_look(cli: Cli, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("images/train/a.png", "images/val/a.png"):
        (data / name).parent.mkdir(parents=True)
        picture(data / name, size=(64, 64))
    words = ("ground", data / "images", "red car", "-r", "-f", "yolo")
    assert cli(*words, "-o", data, engine=FakeEngine(CAR)).code == 0
    assert cli(*words, "-o", tmp_path / "out", engine=FakeEngine(CAR)).code == 0
    for folder in (data, tmp_path / "out"):
        found = sorted(p.relative_to(folder).as_posix() for p in folder.glob("labels/**/*.txt"))
        assert found == ["labels/train/a.txt", "labels/val/a.txt"]


@pytest.mark.parametrize("form", ["yolo", "voc", "labelme"])
def test_pictures_of_one_name_stop_the_run(cli: Cli, tmp_path: Path, form: str) -> None:
    for name in ("a.png", "A.jpg"):
        picture(tmp_path / name, size=(64, 64))
    engine = FakeEngine(CAR)
    done = cli("ground", tmp_path, "car", "-f", form, "-o", tmp_path / "out", engine=engine)
    assert done.code == 1
    assert "share the annotation file" in done.err
    assert not engine.requests


@pytest.mark.parametrize("form", ["coco", "voc", "labelme", "labelstudio"])
def test_paths_resolve_from_the_file_that_holds_them(
    cli: Cli, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set" / "a").mkdir(parents=True)
    image = picture(tmp_path / "set" / "a" / "one.png", size=(64, 64))
    assert (
        cli("ground", "set", "car", "-r", "-f", form, "-o", "out", engine=FakeEngine(CAR)).code == 0
    )
    ((holder, named),) = named_pictures(tmp_path / "out", form)
    assert (holder.parent / named).samefile(image)


@pytest.mark.parametrize("form", ["coco", "yolo", "voc", "labelme", "labelstudio"])
def test_every_page_has_its_own_picture(cli: Cli, tmp_path: Path, form: str) -> None:
    pages = [Image.new("RGB", (60, 40), shade) for shade in ("red", "blue")]
    document = tmp_path / "two.pdf"
    pages[0].save(document, save_all=True, append_images=pages[1:])
    out = tmp_path / "out"
    engine = FakeEngine(CAR)
    assert cli("ground", document, "car", "-f", form, "-o", out, engine=engine).code == 0
    shades = []
    for number in (1, 2):
        with Image.open(out / "images" / f"two.p{number}.png") as page:
            shades.append(page.convert("RGB").tobytes()[0])
    assert shades[0] > 200 > shades[1]
    if form == "yolo":
        assert sorted(path.name for path in out.glob("labels/*")) == ["two.p1.txt", "two.p2.txt"]
    else:
        found = {(holder.parent / named).resolve() for holder, named in named_pictures(out, form)}
        assert found == {(out / "images" / f"two.p{number}.png").resolve() for number in (1, 2)}
    if form == "coco":
        engine = FakeEngine(CAR)
        done = cli("ground", document, "car", "-f", form, engine=engine)
        assert done.code == 1
        assert "no file that -f coco can name" in done.err
        assert not engine.requests


def named_pictures(folder: Path, form: str) -> list[tuple[Path, str]]:
    """(annotation file, picture as it names it) for each picture."""
    if form == "coco":
        holder = folder / "annotations.json"
        images = json.loads(holder.read_text(encoding="utf-8"))["images"]
        return [(holder, item["file_name"]) for item in images]
    if form == "labelstudio":
        holder = folder / "tasks.json"
        tasks = json.loads(holder.read_text(encoding="utf-8"))
        return [(holder, task["data"]["image"]) for task in tasks]
    if form == "labelme":
        holders = sorted(folder.rglob("*.json"))
        return [
            (path, json.loads(path.read_text(encoding="utf-8"))["imagePath"]) for path in holders
        ]
    holders = sorted(folder.rglob("*.xml"))
    return [(path, ElementTree.parse(path).getroot().findtext("path", "")) for path in holders]
