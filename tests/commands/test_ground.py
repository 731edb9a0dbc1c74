from __future__ import annotations

import dataclasses
import json
from pathlib import Path

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
