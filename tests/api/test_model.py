"""dvl2 from Python: results of the command line's own types, nothing printed, clear errors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from dvl2_cli import Model
from dvl2_cli.engine import opening
from dvl2_cli.engine.events import Finished, Started, Token
from dvl2_cli.engine.request import Request
from dvl2_cli.errors import InputError, ModelError, UsageError
from dvl2_cli.results import CaptionResult, GroundResult, OcrResult
from dvl2_cli.store.policy import Policy
from tests.fakes import FakeEngine

ROOT = Path(__file__).parents[2]
LETTER = ROOT / "examples" / "pictures" / "letter.png"
CAR = "<|ref|>car<|/ref|><|det|>[[100, 100, 300, 300]]<|/det|>"


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeEngine], Model]:
    def model(engine: FakeEngine) -> Model:
        monkeypatch.setattr(opening, "open_engine", lambda session: engine)
        return Model("nano")

    return model


def test_a_page(
    answering: Callable[[FakeEngine], Model], capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine("# Dear reader\n\nAll is well.")
    with answering(engine) as model:
        result = model.ocr(LETTER, markdown=True)
    assert isinstance(result, OcrResult)
    assert result.text == "Dear reader\nAll is well."
    assert result.source is not None
    assert result.source.path == str(LETTER)
    assert engine.closed
    assert capsys.readouterr() == ("", "")


def test_boxes_of_an_image_in_memory(answering: Callable[[FakeEngine], Model]) -> None:
    image = Image.new("RGBA", (999, 999), (255, 0, 0, 128))
    result = answering(FakeEngine(CAR)).ground(image, "red car", "blue car")
    assert isinstance(result, GroundResult)
    assert [item.query for item in result.objects] == ["red car", "blue car"]
    assert result.boxes == ((100.0, 100.0, 300.0, 300.0),) * 2


def test_an_image_is_seen_upright(answering: Callable[[FakeEngine], Model]) -> None:
    engine, image = FakeEngine(), Image.new("RGB", (40, 20))
    image.getexif()[0x0112] = 6
    answering(engine).caption(image)
    (shown,) = engine.requests[0].messages[0].images
    assert shown.size == (20, 40)


def test_a_caption(answering: Callable[[FakeEngine], Model]) -> None:
    result = answering(FakeEngine("a  letter")).caption(LETTER, "short")
    assert isinstance(result, CaptionResult)
    assert (result.caption, result.length) == ("a letter", "short")


def test_an_answer_comes_as_events(answering: Callable[[FakeEngine], Model]) -> None:
    engine = FakeEngine("yes")
    events = list(answering(engine).ask([LETTER, LETTER], "The same?"))
    assert isinstance(events[0], Started)
    assert "".join(item.text for item in events if isinstance(item, Token)) == "yes"
    assert isinstance(events[-1], Finished)
    assert len(engine.requests[0].messages[0].images) == 2


def test_the_policy_counts(answering: Callable[[FakeEngine], Model]) -> None:
    def answer(request: Request) -> str:
        return "7" if "How many" in request.messages[-1].content else CAR

    engine = FakeEngine(answer)
    engine.info = replace(engine.info, policy=Policy(count_by_boxes=True))
    (finished,) = answering(engine).ask(LETTER, "How many cars are there?")
    assert isinstance(finished, Finished)
    assert finished.text == "1"


def test_pages_of_a_document(answering: Callable[[FakeEngine], Model], tmp_path: Path) -> None:
    path, page = tmp_path / "two.tiff", Image.new("RGB", (60, 80), "white")
    page.save(path, save_all=True, append_images=[page])
    model = answering(FakeEngine("text"))
    assert [item.source.page for item in model.ocr_pages(path) if item.source] == [1, 2]
    assert len(list(model.ocr_pages(path, "2"))) == 1
    with pytest.raises(UsageError, match="several pictures"):
        model.ocr(path)


def test_what_is_wrong_is_said(answering: Callable[[FakeEngine], Model], tmp_path: Path) -> None:
    model = answering(FakeEngine())
    with pytest.raises(InputError):
        model.ocr(tmp_path / "none.png")
    with pytest.raises(UsageError, match="nothing to find"):
        model.ground(LETTER)
    with pytest.raises(UsageError, match="--length"):
        model.caption(LETTER, "huge")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="--zoom"):
        Model(zoom=100)
    with pytest.raises(UsageError, match="quant is one of"):
        Model(quant="int3")


def test_a_model_that_is_not_here(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        Model(tmp_path / "none").caption(LETTER)


def test_the_package_is_imported_at_once() -> None:
    code = "import dvl2_cli, sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in json.loads(done.stdout) if name.startswith("dvl2_cli")}
    assert loaded == {"dvl2_cli"}


@pytest.mark.slow
def test_the_lines_of_the_readme_run() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert "from dvl2_cli import Model" in code
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "models")])},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip().splitlines()) >= 4
    assert "Traceback" not in done.stderr
