"""``dvl2 ground`` over a folder, interrupted: once ends after the picture, twice at once."""

from __future__ import annotations

import json
import signal
from pathlib import Path

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


def test_ctrl_c_twice_stops_at_once_and_keeps_what_was_found(tmp_path: Path) -> None:
    process = Process(tmp_path, answer=CAR + " and" * 2000, pace=0.01)
    out = tmp_path / "labels"
    running = process.start("ground", folder(tmp_path), "car", "-f", "coco", "-o", out)
    assert running.stderr is not None
    wait_for(lambda: process.asked() >= 1)
    running.send_signal(signal.SIGINT)
    assert b"finishing this one" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=15)
    assert running.returncode == 130
    assert b"Traceback" not in errors
    assert process.asked() == 1
    document = json.loads((out / "annotations.json").read_text(encoding="utf-8"))
    assert len(document["images"]) == 1
