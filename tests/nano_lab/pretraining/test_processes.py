"""Weight averaging in several processes, and in a run that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dvl2_cli.finetuning.recipe_file import load_recipe
from dvl2_cli.finetuning.state import states
from nano_lab.pretraining.recipe import PretrainingStage, check_pretraining
from nano_lab.pretraining.run import pretrain
from tests.finetuning.conftest import options
from tests.finetuning.test_processes import FLAGS, LAUNCH, RECIPE, _assert_equal

pytestmark = pytest.mark.slow


@pytest.fixture
def recipe(data: Path) -> Path:
    path = data.with_name("short.toml")
    path.write_text(f"{RECIPE}weight_average = 0.25\n", "utf-8")
    return path


def train_here(recipe: Path, out: Path) -> None:
    pretrain(load_recipe(recipe, PretrainingStage, check_pretraining), options(out))


def test_two_processes_equal_one(recipe: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    train_here(recipe, one)
    done = subprocess.run(
        [*LAUNCH, "-m", "nano_lab", "train", str(recipe), "-o", str(two), *FLAGS],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [str(two / "model")]
    _assert_equal(two, one)


def test_a_killed_run_goes_on_as_if_nothing_had_happened(recipe: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    command = [sys.executable, "-m", "nano_lab", "train", str(recipe), "-o", str(cut), *FLAGS]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        limit = time.monotonic() + 200
        while not states(cut):
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    train_here(recipe, cut)
    train_here(recipe, whole)
    _assert_equal(cut, whole)
