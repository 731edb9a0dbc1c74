"""Pictures asked together get exactly the answers that each gets alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from dvl2_cli.engine.events import Finished
from dvl2_cli.engine.request import Message, Request, Sampling
from tests import golden_data as golden
from tests.commands.fake_process import ROOT
from tests.engine.test_local_engine import engine_of

# Of one tile, of two side by side, of two on top of each other, and of several.
SIZES = ((300, 300), (800, 380), (380, 800), (900, 700))
QUESTION = "Describe this picture."


def noise(size: tuple[int, int], seed: int) -> Image.Image:
    """A picture of ``size``, another for every ``seed``."""
    grey = Image.effect_noise((16, 16), 80).point(lambda value: (value + 40 * seed) % 256)
    return Image.merge("RGB", (grey, grey.rotate(90), grey.rotate(180))).resize(size)


def requests(tiles: int | None) -> list[Request]:
    """One question about each of several pictures, the first one twice."""
    pictures = [noise(size, index) for index, size in enumerate(SIZES)]
    pictures.append(pictures[0])
    return [
        Request(
            (Message("user", QUESTION, (picture,)),),
            Sampling(max_new_tokens=12),
            tiles=tiles,
            loop_guard=False,
        )
        for picture in pictures
    ]


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", golden.CHECKPOINTS)
@pytest.mark.parametrize("tiles", [None, 2])
def test_every_token_is_the_same(checkpoint: str, tiles: int | None) -> None:
    asked = requests(tiles)
    alone = []
    for request in asked:
        *_, last = engine_of(checkpoint).stream(request)
        assert isinstance(last, Finished)
        alone.append(last)
    images = {answer.usage.image_tokens for answer in alone}
    assert len(images) > 1, "the pictures should be cut into different numbers of tiles"
    for order in (slice(None), slice(None, None, -1)):
        together = engine_of(checkpoint).answer_batch(asked[order])
        for one, other in zip(alone[order], together, strict=True):
            assert other.raw == one.raw
            assert other.finish_reason == one.finish_reason
            assert other.usage.completion_tokens == one.usage.completion_tokens
            assert other.usage.image_tokens == one.usage.image_tokens
            # Made of the probability of every token: equal only if all of them are.
            assert other.confidence == one.confidence


@pytest.mark.slow
def test_the_command_writes_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for index, size in enumerate(SIZES):
        noise(size, index).save(tmp_path / "in" / f"{index}.png")
    written = []
    for parallel in (1, 3):
        done = subprocess.run(
            [sys.executable, "-m", "dvl2_cli", "caption", "in", "-m", "nano",
             "--parallel", str(parallel), "--max-tokens", "8", "--tiles", "2"],
            capture_output=True, text=True, check=False, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "models")))},
        )  # fmt: skip
        assert len(done.stdout.splitlines()) == len(SIZES), done.stderr
        written.append(re.sub(r'"seconds":[0-9.e-]+', "", done.stdout))
    assert written[0] == written[1]
    assert all(json.loads(line.replace(",}", "}"))["raw"] for line in written[0].splitlines())
