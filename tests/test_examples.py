"""The examples run, on a tiny checkpoint whose answers mean nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECKPOINT = ROOT / "tests" / "golden" / "checkpoints" / "mla"
PICTURE = ROOT / "tests" / "golden" / "images" / "small_100x100.png"


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT), str(ROOT / "models"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "DVL2_MAX_TOKENS": "16"}
    return subprocess.run(
        [sys.executable, ROOT / "examples" / name, *map(str, arguments)],
        env={**environment, "DVL2_MODEL": str(CHECKPOINT)},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.slow
def test_transformers_generate() -> None:
    done = run("transformers_generate.py", CHECKPOINT, PICTURE, "What is it?")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.slow
def test_several_questions() -> None:
    done = run("several_questions.py", PICTURE, "What is it?", "Which colour?")
    assert done.returncode == 0, done.stderr
    assert "(0 prompt tokens reused)" in done.stdout
    assert done.stdout.count("prompt tokens reused") == 2


@pytest.mark.slow
def test_describe_and_find() -> None:
    done = run("describe_and_find.py", PICTURE, "dog")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("caption: ")
    assert "\nanswer: " in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_boxes_to_crops(tmp_path: Path) -> None:
    done = run("boxes_to_crops.py", PICTURE, "a dog", tmp_path / "crops")
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert Path(line).is_file()
