"""``dvl2 ground`` over a folder, interrupted: once ends after the picture, twice at once."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.commands.conftest import picture
from tests.commands.fake_process import Process
from tests.commands.test_process import wait_for

CAR = "<|ref|>car<|/ref|><|det|>[[100, 100, 500, 500]]<|/det|>"


def folder(tmp_path: Path) -> Path:
    for index in range(8):
        picture(tmp_path / "in" / f"{index}.png", size=(100 + index, 40))
    return tmp_path / "in"


def test_ctrl_c_once_finishes_every_phrase_of_the_picture(tmp_path: Path) -> None:
    process = Process(tmp_path, answer=CAR, delay=0.4)
    running = process.start("ground", folder(tmp_path), "car", "van")
    wait_for(lambda: process.asked() >= 3)
    running.send_signal(signal.SIGINT)
    output, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert errors.count(b"finishing this one") == 1
    rows = [json.loads(line) for line in output.splitlines()]
    assert len(rows) == process.asked() / 2 < 8
    assert all(row["finish_reason"] == "stop" and len(row["objects"]) == 2 for row in rows)


@pytest.mark.parametrize("finished", [0, 1])
def test_ctrl_c_twice_stops_at_once_and_keeps_the_pictures_that_are_whole(
    tmp_path: Path, finished: int
) -> None:
    process = Process(tmp_path, answer=[CAR] * finished + [CAR + " and" * 2000], pace=0.01)
    out, crops = tmp_path / "labels", tmp_path / "crops"
    files = ("-f", "coco", "-o", out, "--crop-dir", crops)
    running = process.start("ground", folder(tmp_path), "car", *files)
    assert running.stderr is not None
    wait_for(lambda: process.asked() >= finished + 1)
    time.sleep(2)  # the box is there, the end of the answer is not
    running.send_signal(signal.SIGINT)
    assert b"finishing this one" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=15)
    assert running.returncode == 130
    assert b"Traceback" not in errors
    assert process.asked() == finished + 1
    assert len(list(crops.iterdir())) == finished
    assert [path.name for path in out.iterdir()] == ["annotations.json"] * finished
    for path in out.iterdir():
        document = json.loads(path.read_text(encoding="utf-8"))
        found = [(out / item["file_name"]).resolve() for item in document["images"]]
        assert found == [(tmp_path / "in" / "0.png").resolve()]
